"""A damaged spool: sets the file aside, copies what can be read, counts what is lost. Normally none of this runs.

Read ``opening`` first: it decides. ``salvage`` carries over what can be read, ``pages`` reads rows straight off the
file's pages, ``counts`` and ``high_water`` notice what is missing.
"""
