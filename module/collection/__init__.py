"""From a tick to a Capture: schedules, polls, filters, encoding, and folders of files.

Read ``collector`` first: each source has one. ``schedule`` decides when to poll, ``apis`` how to ask a resource,
``filter`` what to keep, and ``encoder`` makes captures of it. ``folders`` does the same for a folder of files. Nothing
here knows the spool's files or the cloud.
"""
