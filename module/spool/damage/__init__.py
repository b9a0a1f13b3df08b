"""A damaged spool: what is set aside, what can still be read, what is counted as lost. Normal life never comes here.

Read ``opening`` first: it decides. ``salvage`` carries over what can be read, ``pages`` reads rows straight off the
file's pages, ``counts`` and ``high_water`` notice what is missing.
"""
