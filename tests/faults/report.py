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
_HEAD = "# Reliability\n\nWhich faults were tried, how often, and how many captures were lost.\n"


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

A real module process polls three counting sensors at 20, 30 and 50 Hz into a real spool, and uploads over TCP to a
cloud on this computer. The columns:

- *At stake* are the captures that the module reported (by `status`, or by its answer to `upload_data`) between the last
  fault and the end of this one, and those that still waited from earlier.
- *Lost* are those of them that are not in the cloud at the end, after the faults are over, the spool is empty, and
  failures have been retried. On a disk that is full or damaged, they are captures that are missing and that the status
  counts neither as dropped, nor as errors, nor as unreadable.
- *Delivered twice* counts captures that the cloud had already, from this fault to the next: delivery is at least once.

A power cut is simulated: every write under the spool is recorded, with its syncs. The disk is then rebuilt as of a
random moment, from all synced bytes and a random part of the others; pages may be torn, and names may be missing. There
*at stake* are captures that had counted and were not acknowledged, and *delivered twice* are acknowledged ones that are
back.

{table(groups)}

{backlog}

## A slow disk

Two sensors are polled at 50 Hz. Each sync of the disk (fsync, fdatasync) takes longer than usual by the time in the
first column. *Behind* is the largest number of polls that were answered and not yet captured, `lag_s` the largest value
in the status. *A command* is the longest `upload_data`, *a reconfiguration* the longest change of the service, from
request to answer. *Missed* are ticks that were skipped because the disk was 2 s behind, or the computer busy.

{slow}
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

A sensor is polled ten times a second, a camera five times. The sensor's readings contain the true time, and the camera
remembers the times of its polls. The error of a capture is the time by which the truth is outside of its request and
answer.
{CLOCK_END}
"""


def soak_section(sentence: str, command: str) -> str:
    """The part of docs/reliability.md about all faults at once; ``sentence`` says what came of them."""
    return f"""{SOAK_BEGIN}
## All at once, for minutes

By `{command}`, which wrote this part:

{sentence}

Six sensors and two cameras are polled, at 200 a second together; two of the sensors and one camera have a gate on a
vision service. Meanwhile the cloud goes away and comes back, loses answers, is slow and has no room. The service is
changed, rebuilt with the same attributes, removed and added. The vision service resets streams, fails with any status,
hangs and answers late. The cameras return 0 bytes, half a JPEG, no `captured_at`, or errors. *Lost* are captures that
are not in the cloud at the end: every answer of a source without a gate, and everything that the status counted of one
with a gate. A change of the service waits at most a second for running polls; later answers do not count as lost.
A capture may be *stored twice* if the cloud did not answer, or if the connection or the service ended before the
module must have read the answer.
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
