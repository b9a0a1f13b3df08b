"""Capture Courier: captures sensors and cameras on schedules, keeps every capture safe, delivers it to the cloud.

The pipeline in one picture::

    tick → poll → filter → encode → spool → upload → acknowledge
    └──────── collection ────────┘ └ spool ┘ └──── delivery ────┘

    attributes   a machine's JSON → frozen models; the only validator
    clock        what the time is on a machine whose clock may be wrong
    files        paths, leases, and threads that may wait for a disk
    network      gRPC over libcurl, to the machine and to the cloud
    collection   when to poll, what to ask, what to keep, how it travels
    spool        the durable queue on the disk, and what goes when it is full
    delivery     what is sent next, what an answer means, when it is tried again; ``wire`` in it has the bytes
    courier      owns all of these for one lifetime of the service
    commands     the verbs of DoCommand, and the status
    service      the uploader as Viam's SDK builds it; ``health`` and ``discovery`` are the two other models
    serving      the socket to viam-server, the log, the module's end
    conversion   ``run.sh convert``: a config of the data manager → one with the uploader
    local, demo  a local cloud and a local machine; ``run.sh demo``

Each room's ``__init__`` says what the room is for, and most name the file to read first.

The promise: from the moment that the spool's ``append`` returns, a capture is delivered at least once. Only three
things ever remove one: the cloud's answer, a retention policy (named, counted, logged), and a person's ``discard``.
Cancellation is neither success nor failure.

Imports go in one direction only, which ``IMPORT_ORDER`` below lists. viam, gRPC and libcurl are imported only in the
files that talk to the outside.
"""

__version__ = "0.1.0"

NAMESPACE = "courier"
"""The registry's namespace of this module. To publish it under another one, change this and ``meta.json``."""
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
    ("carried", "pause_switch"),
    ("courier",),
    ("status",),
    ("control",),
    ("commands",),
    ("service", "health", "discovery", "serving"),
    ("conversion",),
    ("local",),
    ("demo",),
    ("__main__",),
)
"""The floors of the house. A file imports from its own room and from the floors below. Rooms of one floor never import
one another: collection, spool and delivery meet in ``courier`` only."""
