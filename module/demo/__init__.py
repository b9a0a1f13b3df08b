"""``run.sh demo``: the main job on a computer without a Viam account, with a local machine, a local cloud, a report.

Read ``story`` first: it has the demo from its beginning to its end. ``machine`` has the sensors and cameras,
``configuration`` what is configured, ``tally`` counts what arrived, ``report`` prints it, and ``page_server`` shows it.
"""
