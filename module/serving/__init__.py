"""The side of the module that viam-server sees: socket, calls, logs and end.

Read ``module_server`` first. ``do_command`` receives commands, ``log_relay`` sends the log to viam-server, and
``parent`` notices that viam-server has ended.
"""
