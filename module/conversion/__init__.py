"""A machine's config with Viam's data manager → the same machine with the uploader in its place, and a report.

``document`` reads JSON by path, ``captures`` makes sources of capture methods, ``settings`` the rest of the uploader's
attributes of the data manager's own, ``machine`` puts the parts in their places, and ``main`` is the command line.
Facts about the data manager: rdk, ``services/datamanager/data_manager.go`` and ``…/builtin/config.go`` beside it.
"""
