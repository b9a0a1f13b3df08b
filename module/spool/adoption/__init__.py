"""Spools that nobody opens any more, and how ours takes over what waits in one.

Read ``adopter`` first: it has the steps. ``orphans`` finds such spools, ``old_spool`` reads one, ``table`` remembers
how far an adoption has come.
"""
