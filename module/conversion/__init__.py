"""A machine's config with Viam's data manager → the same machine with the uploader in its place, and a report.

``document`` reads JSON by path. ``captures`` turns capture methods into sources, and ``settings`` turns the data
manager's attributes into the uploader's. ``machine`` puts the parts together, and ``main`` is the command line.
The facts about the data manager are from rdk, ``services/datamanager/data_manager.go`` and ``…/builtin/config.go``.
"""
