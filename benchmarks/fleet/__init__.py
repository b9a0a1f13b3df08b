"""A fleet of uploaders that lose one cloud together: how they come back, and what the cloud sees of it.

The uploaders are the module's own, spool and all, many to a process; the cloud is the demo's. ``main`` runs the
acts and writes the figures of ``docs/scale.md``.
"""
