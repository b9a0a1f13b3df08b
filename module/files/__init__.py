"""Files and folders of the machine: paths within a folder, leases, and threads that may wait for a disk.

A path is only opened through ``folder_paths``. Nothing here runs on the event loop for longer than a system call.
"""
