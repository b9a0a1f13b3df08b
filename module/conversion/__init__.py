"""``run.sh convert``: a machine's config with Viam's data manager → the same machine with the uploader, and a report.

Read ``machine`` first: it puts the parts together. ``document`` reads JSON by path. ``captures`` turns capture methods
into sources, ``settings`` turns the data manager's attributes into the uploader's, and ``main`` is the command line.
The facts about the data manager are from rdk, ``services/datamanager/data_manager.go`` and ``…/builtin/config.go``.
"""
