"""The side of the module that viam-server sees: socket, calls, logs and end. Read ``module_server`` first."""
