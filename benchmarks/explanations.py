"""How each case is measured, for the reader of the page."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cases import arrival, channel, data_manager, drain, files, growth, idle, polls, spool, written


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reader must know of a case."""

    how: str
    reference: str
    """The subject that the others are divided by; empty: the first one."""


_FROM_DISK = (
    "Ours reads a prepared spool, sends with the default settings, and ends when the last acknowledgement is in the "
    "file. The rate begins with the first upload, the processor's time with the opening of the spool. The others "
    "send from memory, on an open connection. The cloud is a separate process that only counts and stores nothing, so "
    "the figures are those of the client."
)
_BESIDE = (
    "One unmodified viam-server with its built-in fake components, default settings, and a cloud on loopback. The "
    "figures are of viam-server and the module together, minus those of a viam-server that captures nothing. The data "
    "manager only captures here: its sync is not included. The module captures and delivers."
)

EXPLANATIONS: dict[str, Explanation] = {
    polls.CASE: Explanation(
        "50 sensors of ten fields at 10 Hz, 2 at 100 Hz, 4 cameras of 720p JPEG at 10 Hz. The bare loop asks the same "
        "server over the same socket with the SDK's clients, on absolute deadlines, and drops the answers. CPU is only "
        "that of the module's process. Lateness and ticks are from the status: the mean of the sources' p99, weighted "
        "by their ticks, and beside it the worst source; of all ticks those that were neither missed nor failed. "
        "The machine is the demo's, one Python process, which runs on the same computer as the module and the cloud. "
        "Under a real viam-server its fake components answer: sensors of three values, and cameras of 720p that "
        "viam-server encodes for each poll.",
        polls.BARE,
    ),
    arrival.CASE: Explanation(
        "From when the resource is asked until the cloud has stored the upload; the cloud is the demo's, and has the "
        "times of each row and frame. Default settings: rows wait up to a second for others.",
        arrival.ROWS,
    ),
    channel.CASE: Explanation(
        "A server of gRPC's C core answers polls of ten fields over a unix socket, and takes uploads over loopback, "
        "without and with TLS. Ours, grpclib and bare libcurl take turns. Bare libcurl sends messages that are "
        "framed already, without a client of gRPC. CPU is that of the calling process, including its timers.",
        channel.PEER,
    ),
    **{load.case: Explanation(_BESIDE, data_manager.THEIRS) for load in data_manager.LOADS},
    "drain rows": Explanation(_FROM_DISK, drain.ONE_ROW),
    "drain frames": Explanation(_FROM_DISK, drain.AT_ONCE),
    files.CASE: Explanation(
        "Ours and the bare stream send 1 GB in chunks of 256 KiB. The SDK sends 100 MB, because it has several copies "
        "of a file in memory and sends it as one message.",
        files.SDK,
    ),
    spool.SMALL: Explanation(
        "64 appends arrive together, each from another caller, and the next 64 once all of them are durable. Then all "
        "are claimed and acknowledged. The libraries sync each commit; with `-transact` the caller opens one "
        "transaction for each 64. Bytes written are those that the kernel counts for the process (`write_bytes`), "
        "without the bytes that are written once when the queue is opened.",
        spool.OURS,
    ),
    spool.LARGE: Explanation("The same with payloads of 100 kB.", spool.OURS),
    written.CASE: Explanation(
        "The bytes that the kernel counts for the module's process (`write_bytes`), including checkpoints, while its "
        "captures are delivered with the default settings. A row has some 110 bytes, one of ten fields 270. Rows that "
        "are captured together share a commit. If a busy computer takes half of the ticks, a row costs nearly twice as "
        "much.",
        written.MANY,
    ),
    idle.CASE: Explanation(
        "From the start of `run.sh` (its environment is there) to the answer of Ready, and to the first capture in the "
        "spool (a sensor at 100 Hz). Idle is one sensor at 1 Hz with uploads on.",
        idle.EMPTY,
    ),
    growth.SOURCES: Explanation(
        "500 polls a second of sensors of ten fields, from 10 to 500 sources. On the disk each capture costs the same. "
        "In uploads it does not, because an upload has rows of one source: 10 sources send some 10 uploads a second "
        "of 50 rows, and 500 sources send 250 of two rows. A longer `upload.batch_wait_s` makes them fewer again.",
        "",
    ),
    growth.BACKLOG: Explanation(
        "Ten rows at the head of a backlog are claimed and acknowledged, again and again. The time of an "
        "acknowledgement is mostly the wait for others in its commit; the CPU is that of both together.",
        "",
    ),
    f"{growth.DISTANCE}, frames": Explanation("A backlog over a link that delays every byte, and loses none.", ""),
    f"{growth.DISTANCE}, rows": Explanation("The same with rows of ten fields.", ""),
    growth.DISK: Explanation("50 sensors at 10 Hz while each fsync takes longer; uploads are off.", ""),
}
