"""One lifetime of the service: all its parts, their status, the calls for commands, and what the next lifetime keeps.

Read ``courier`` first: it makes, starts and ends everything, and collection, spool and delivery meet only there.
``control`` has the calls for commands, ``status`` the answer to one of them, ``carried`` what the next lifetime keeps.
``pause_record`` is the list of what is paused, and its file; ``pause_switch`` stops and resumes the parts.
"""
