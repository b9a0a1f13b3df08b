"""How each case is measured, for the reader of the page."""

from __future__ import annotations

from benchmarks.cases import channel, data_manager, drain, files, growth, idle, polls, spool, written
from benchmarks.report import Told

_FROM_DISK = (
    "Ours reads a prepared spool, sends with the default settings, and is done when the last acknowledgement is in the "
    "file; the rate counts from the first upload on, the processor's time from the opening of the spool. The others "
    "send what lies in memory, on a connection that is open. The cloud is a process of its own that counts and keeps "
    "nothing, so that the client is what is measured."
)
_BESIDE = (
    "One unmodified viam-server with its built-in fake components, default settings, and a cloud on loopback. The "
    "figures are of viam-server and the module together, less those of a viam-server that captures nothing. The data "
    "manager only captures here: its sync would come on top. The module captures and delivers."
)

TOLD: dict[str, Told] = {
    polls.CASE: Told(
        "50 sensors of ten fields at 10 Hz, 2 at 100 Hz, 4 cameras of 720p JPEG at 10 Hz. The bare loop asks the same "
        "server over the same socket with the SDK's clients, on absolute deadlines, and throws the answers away. CPU "
        "is that of the module's process alone. Lateness is the status's own: each source's p99 weighs as much as the "
        "source ticks, and the worst source stands beside it.",
        polls.BARE,
    ),
    channel.CASE: Told(
        "A server of gRPC's C core answers polls of ten fields over a unix socket, and takes uploads over loopback, "
        "without and with TLS. Ours and grpclib take turns. CPU is that of the calling process, with its own "
        "timers in it.",
        channel.PEER,
    ),
    **{load.case: Told(_BESIDE, data_manager.THEIRS) for load in data_manager.LOADS},
    "drain rows": Told(_FROM_DISK, drain.ONE_ROW),
    "drain frames": Told(_FROM_DISK, drain.AT_ONCE),
    files.CASE: Told(
        "Ours and the bare stream send 1 GB in chunks of 256 KiB; the SDK sends 100 MB, since it holds a file several "
        "times over in memory and sends it as one message.",
        files.SDK,
    ),
    spool.SMALL: Told(
        "64 appends arrive together, each from a caller of its own, and the next 64 when all of them are durable; then "
        "all is claimed and acknowledged. The libraries are set to sync each commit; `-transact` is the same with each "
        "wave in one transaction that the caller opens. Bytes written are those that the kernel counts for the process "
        "(`write_bytes`), without what opening the queue writes once.",
        spool.OURS,
    ),
    spool.LARGE: Told("The same with payloads of 100 kB.", spool.OURS),
    written.CASE: Told(
        "What the kernel counts for the module's process (`write_bytes`), checkpoints included, while its captures are "
        "delivered with the default settings. A row has some 110 bytes, one of ten fields 270.",
        written.MANY,
    ),
    idle.CASE: Told(
        "From `run.sh` with its environment made, to the answer of Ready, and to the first capture that is in the "
        "spool (a sensor at 100 Hz). Idle is one sensor at 1 Hz with uploads on.",
        idle.EMPTY,
    ),
    growth.SOURCES: Told(
        "500 polls a second of sensors of ten fields, by so many sources. To disk, a capture costs the same whoever it "
        "is of. To the cloud it does not: an upload is of one source, so that 10 sources send some 10 uploads a "
        "second, of 50 rows, and 500 sources 250, of two. An upload takes half a millisecond of CPU whatever is in it, "
        "most of it in grpclib and h2 (by a sampling profile, 22 % to send the request's headers, 20 % to read the "
        "answer's three frames, 15 % to send the message). A longer `upload.batch_wait_s` makes them few again; to "
        "make each cheaper it would take another gRPC client.",
        "",
    ),
    growth.BACKLOG: Told(
        "Ten rows are claimed at the head of a backlog and acknowledged, again and again. An acknowledgement's time is "
        "mostly the wait for company in its commit; the CPU is that of both together.",
        "",
    ),
    f"{growth.DISTANCE}, frames": Told("A backlog through a link that delays every byte, and drops none.", ""),
    f"{growth.DISTANCE}, rows": Told("The same with rows of ten fields.", ""),
    growth.DISK: Told("50 sensors at 10 Hz while each fsync takes so much longer; uploads are off.", ""),
}
