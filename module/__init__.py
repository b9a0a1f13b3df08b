"""Capture Courier: captures sensors and cameras on schedules, keeps every capture safe, delivers it to the cloud.

The pipeline in one picture::

    tick → poll → filter → encode → spool → upload → acknowledge
    └──────── collection ────────┘ └ spool ┘ └──── delivery ────┘

The rooms, from the ground up; a name within a room is a file of it, ``name/`` a room within::

    clock        what the time is on a machine whose clock may be wrong
    attributes   a machine's JSON → frozen models, and no other code validates. ``uploader`` and ``source`` have the
                 fields, ``allowed`` knows what a value may be and words each refusal, ``timetable`` parses cron
                 expressions and reads hours
    files        ``folder_paths`` keeps every path inside its folder, ``threads`` may wait for a disk
    network      gRPC over libcurl, to the machine and to the cloud: ``routes`` takes a proxy or none, ``throttle``
                 limits the bandwidth
    collection   from a tick to a capture, for each source by its ``collector``: ``schedule`` has the next tick,
                 ``phases`` which sources tick together, ``ticker`` waits, ``apis`` ask the resource, ``gate`` and
                 ``changes`` (deadbands, similar images) drop unwanted captures, ``images`` crops and resizes,
                 ``encoder`` makes the bytes to send; ``folders`` watches files, ``folder_scan`` matches patterns and
                 reads tags from paths
    spool        the durable queue on the disk: others call ``store``, ``thread`` owns the file, ``gathering`` lets rows
                 wait for each other, ``database`` writes and reads the tables, ``rows`` makes rows of captures and has
                 their checksums, ``stream_index`` knows the next stream, ``retention`` chooses what a full spool drops;
                 ``damage/opening`` sets a broken file aside, ``damage/pages`` checks its pages; ``adoption/orphans``
                 finds a spool that nobody opens any more, ``adoption/adopter`` takes it over
    delivery     what is sent next (``uploader``) and when (``upload_windows``), what an answer means, so whether to try
                 again (``outcome``), the next try (``attempts``), how long that waits (``backoff``), which part of a
                 batch is bad (``batch_split``); ``sequence_maker`` makes sequences in the cloud; ``wire/`` has the
                 bytes: ``wire/cloud`` is the connection, and renews its token
    courier      owns all of these for one lifetime of the service: ``status`` is built from it, ``control`` has the
                 calls for commands, ``carried`` what the next lifetime keeps; ``pause_record`` has what the command
                 ``pause`` has stopped, and the file that remembers it; ``pause_switch`` does it
    commands     the verbs of DoCommand, one file for each subject; ``table`` lists them
    service      the uploader as Viam's SDK builds it
    health       the sensor of the uploader's health: ``readings`` decides whether it is well
    discovery    ``service`` asks the machine's resources, ``proposal`` makes a config of their answers
    serving      the socket to viam-server (``module_server``), the log; ``parent`` notices that viam-server has ended
    conversion   ``run.sh convert``: a config of the data manager → one with the uploader; ``captures`` become sources
    local, demo  a local cloud and a local machine; ``run.sh demo``

Each room's ``__init__`` says what the room is for, and which file to read first.

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
