"""The module as viam-server sees it: its socket, its calls, its logs and its end. Read ``module_server`` first."""
