"""From a tick to a Capture: schedules, polls, filters, encoding, and folders of files.

Read ``collector`` first: one for each source. ``schedule`` decides when, ``apis`` how a resource is asked, ``filter``
what is kept, ``encoder`` what travels. ``folders`` is the same for a folder of files. Nothing here knows the spool's
files or the cloud.
"""
