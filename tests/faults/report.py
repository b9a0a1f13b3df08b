"""The table of docs/reliability.md, from the books of the benches."""

from __future__ import annotations

import collections
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.ledger import Row

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
SOAK_BEGIN, SOAK_END = "<!-- soak: begin -->", "<!-- soak: end -->"
NETWORK_BEGIN, NETWORK_END = "<!-- network: begin -->", "<!-- network: end -->"
CLOCK_BEGIN, CLOCK_END = "<!-- clock: begin -->", "<!-- clock: end -->"
SLOW_BEGIN, SLOW_END = "<!-- slow disk: begin -->", "<!-- slow disk: end -->"
_HEAD = "# Reliability\n\nWhat breaks, how often it was tried, and what came of it.\n"


class Group(enum.Enum):
    """What faults are of, in the order of the table; each in words."""

    KILLS = "kills"
    CUTS = "power cuts"
    CLOUD = "faults of the cloud"
    ADDRESS = "of its address"
    DISK = "of the disk"
    MACHINE = "of the machine"


Rows = Mapping[str, Row]
"""What came of each fault, by its name."""


def total(books: Iterable[Mapping[str, Row]]) -> dict[str, Row]:
    """Add the rows of several benches, fault by fault, in the order of the first."""
    rows: collections.defaultdict[str, Row] = collections.defaultdict(Row)
    for book in books:
        for fault, row in book.items():
            rows[fault].add(row)
    return dict(rows)


def table(groups: Mapping[Group, Rows]) -> str:
    """The rows as a Markdown table, group by group."""
    lines = [
        "| fault | tries | captures at stake | of these not yet in the cloud | lost | delivered twice |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for fault, row in (pair for group in Group for pair in groups.get(group, {}).items()):
        figures = (row.tries, row.at_stake, row.waiting, row.lost, row.twice)
        lines.append(f"| {fault} | {' | '.join(f'{figure:,}' for figure in figures)} |")
    return "\n".join(lines)


def section(groups: Mapping[Group, Rows], command: str, backlog: str, slow: str) -> str:
    """The part of docs/reliability.md that is made of figures.

    ``backlog`` is what is said of the large one, ``slow`` the table of the slow disks.
    """
    return f"""{BEGIN}
## What was tried

{_counts(groups)}, by
`{command}`, which wrote this table.

{table(groups)}

{backlog}

A real module process polls three counting sensors at 20, 30 and 50 Hz into a real spool, and uploads over TCP to a
cloud on this computer. *At stake* is what the module had reported as captured (by `status`, or by its answer to
`upload_data`) between the fault before and the end of this one, and what still waited from earlier. *Lost* is what of
it is not in the cloud after the faults are over, what waits has been uploaded, and failures have been retried.
*Delivered twice* counts the captures that the cloud had already, from this fault to the next: delivery is at least
once.

A power cut is simulated: all that a process writes under its spool is recorded, with its syncs, and the disk is rebuilt
as of a random moment from what was synced and a random part of what was not, pages torn and names forgotten included.
There, *at stake* is what had counted and was not acknowledged, and *delivered twice* what was acknowledged and is back.

On a disk that is full or damaged, *lost* is what is missing without a word: what the status counts as dropped, refused
or unreadable was named.

## A slow disk

{slow}

Two sensors are polled at 50 Hz on a disk each of whose syncs (fsync, fdatasync) takes so much longer than it does here.
*Behind* is how many polls were answered and not yet captured, `lag_s` what the status said of it, each at most. *A
command* is the longest `upload_data`, *a reconfiguration* the longest change of the service, from request to
answer. *Missed* are ticks that were skipped because the disk was 2 s behind, or the computer busy.
{END}
"""


def _counts(groups: Mapping[Group, Rows]) -> str:
    *first, last = (f"{sum(row.tries for row in groups.get(group, {}).values()):,} {group.value}" for group in Group)
    return f"{', '.join(first)} and {last}"


def slow_section(groups: Mapping[Group, Rows], command: str, backlog: str, fsync_ms: float) -> str:
    """The part of docs/reliability.md about the same faults on a slow disk."""
    return f"""{SLOW_BEGIN}
## The same on a slow disk

Each sync of the module took {fsync_ms:g} ms longer, as on an ordinary SD card, except in the simulated power cuts.
{_counts(groups)}, by
`{command}`, which wrote this table.

{table(groups)}

{backlog}
{SLOW_END}
"""


def clock_section(sentence: str, command: str) -> str:
    """The part of docs/reliability.md about a clock that is set late; ``sentence`` says what came of it."""
    return f"""{CLOCK_BEGIN}
## A board without a real-time clock

By `{command}`, which wrote this part:

{sentence}

A sensor and a camera are polled ten times and five times a second. The sensor's readings hold the true time; the camera
remembers when it was asked. A time counts as wrong by how far the truth lies outside of request and answer.
{CLOCK_END}
"""


def soak_section(sentence: str, command: str) -> str:
    """The part of docs/reliability.md about all faults at once; ``sentence`` says what came of them."""
    return f"""{SOAK_BEGIN}
## All at once, for minutes

By `{command}`, which wrote this part:

{sentence}

Six sensors and two cameras are polled, at 200 a second together; two of the sensors and one camera have a gate on a
vision service. Meanwhile the cloud goes away and comes back, loses answers, is slow and has no room. The service is in
turn changed, rebuilt as it is, removed and added. The vision service resets streams, fails with any status, hangs and
answers late. The cameras give 0 bytes, half a JPEG, no `captured_at`, errors. *Lost* is what a source without a gate
answered, or what the status counted of one with a gate, and what is not in the cloud at the end. A change of the
service waits for a second at most for polls under way; what is answered later is not counted as lost. *Stored twice*
has its reason if the cloud did not answer, or if the connection or the service ended before the module must have read
the answer.
{SOAK_END}
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one thing that was tried."""

    sentence: str
    sound: bool = True
    """Whether it is as promised."""


def network_section(sentences: Iterable[str], command: str) -> str:
    """The part of docs/reliability.md about the channel."""
    lines = "\n".join(f"- {sentence}." for sentence in sentences)
    return f"""{NETWORK_BEGIN}
## The way to the machine and to the cloud

By `{command}`, which wrote this part:

{lines}

What `max_bytes_per_s` lets through is counted by a proxy before the cloud, for as long as there is a backlog. The
server that is killed is polled 500 times a second over one channel.
{NETWORK_END}
"""


def write(path: Path, text: str) -> None:
    """Put the text into the file, in place of that of an earlier run between the same marks; the rest stays."""
    whole = path.read_text() if path.exists() else _HEAD
    begin, end = text.partition("\n")[0], text.rstrip("\n").rpartition("\n")[2]
    if begin in whole:
        head, _, rest = whole.partition(begin)
        whole = head + text.rstrip("\n") + rest.partition(end)[2]
    else:
        whole = f"{whole.rstrip()}\n\n{text}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(whole)
