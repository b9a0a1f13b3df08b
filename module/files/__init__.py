"""Files and folders of the machine: contained paths, leases, and threads that may wait for a disk."""
