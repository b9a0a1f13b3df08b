"""A damaged spool: sets the file aside, copies what can be read, counts what is lost.

Read ``opening`` first: it opens each spool, and decides. ``counts`` checks the streams' counts at each opening;
``high_water`` notes the last id with each commit, and so shows what is missing. Only if a file is damaged, ``salvage``
carries over what can be read, and ``pages`` reads rows straight off the file's pages.
"""
