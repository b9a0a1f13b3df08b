"""Capture Courier: captures sensors and cameras on schedules, keeps every capture safe, delivers it to the cloud.

The pipeline in one picture::

    tick → poll → filter → encode → spool → upload → acknowledge
    └──────── collection ────────┘ └ spool ┘ └──── delivery ────┘

The promise: from the moment that the spool's ``append`` returns, a capture is delivered at least once. Only three
things ever remove one: the cloud's answer, a retention policy (named, counted, logged), and a person's ``discard``.
Cancellation is neither success nor failure.

Imports lead one way: ``IMPORT_ORDER`` below is the one list of it. viam, gRPC and libcurl are imported only where the
outside is met.
"""

__version__ = "0.1.0"

NAMESPACE = "courier"
"""Whose module it is in the registry. Who publishes it under another namespace changes this and ``meta.json``."""
FAMILY = "capture"
"""The module's name within the namespace, and the family of its models."""
MODULE_ID = f"{NAMESPACE}:{FAMILY}"
UPLOADER_MODEL = f"{MODULE_ID}:uploader"

IMPORT_ORDER = (
    ("errors", "structs", "supervised", "throttled_log", "sequence"),
    ("clock",),
    ("capture",),
    ("recent", "files", "attributes"),
    ("network",),
    ("collection", "spool", "delivery"),
    ("pauses",),
    ("carried",),
    ("courier",),
    ("commands",),
    ("service", "health", "discovery", "serving"),
    ("conversion",),
    ("local",),
    ("demo",),
    ("__main__",),
)
"""The floors of the house. A file imports from its own room and from the floors below. Rooms of one floor never import
one another: collection, spool and delivery meet in ``courier`` only."""
