"""A local cloud and a stand-in for viam-server, which tests, benchmarks and the demo use.

Read ``cloud`` first, then ``viam_server``; ``calls`` has what reaches the cloud, ``shelf`` the folder in which it keeps
what arrives, ``machine_server`` the socket on which a machine serves its resources.
"""
