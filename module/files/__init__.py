"""Files and folders of the machine: paths within a folder, leases, and threads that may wait for a disk.

Read ``folder_paths`` first: a path is only opened through it. ``threads`` are those that may wait. Nothing here runs on
the event loop for longer than a system call.
"""
