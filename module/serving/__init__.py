"""The side of the module that viam-server sees: socket, calls, logs and end.

Read ``module_server`` first. ``do_command`` receives commands, ``log_relay`` sends the log to viam-server, ``parent``
notices that viam-server has ended, and ``event_loop`` has exact timers.
"""
