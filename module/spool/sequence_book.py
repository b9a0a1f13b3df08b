"""Sequences as the event loop knows them: begun, ended, and made by the cloud. What returns is on the disk."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence

from module.clock.machine_clock import Clock
from module.sequence import CaptureSequence, SequenceSource, SequenceState
from module.spool.database import Database
from module.spool.messages import OnThread
from module.spool.sequence_table import SequenceTable


class SequenceBook:
    """The sequences, as the event loop knows them. What returns is on the disk."""

    def __init__(self, call: OnThread, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self.known: list[CaptureSequence] = []
        """All of them, oldest first, as of the last call."""
        self.stopped = asyncio.Event()
        """Set whenever there may be a sequence to make that nobody has looked at."""

    async def look(self) -> list[CaptureSequence]:
        """Read all of them, and count again what is still to be delivered."""
        # As a write it comes behind what was acknowledged before it.
        await self._do(lambda _: None, writes=True)
        if self._in(SequenceState.WAITING):
            self.stopped.set()
        return self.known

    async def start(self, sources: Sequence[SequenceSource], tags: Sequence[str]) -> CaptureSequence:
        """Open a new sequence; all captures that these sources append from now on belong to it."""
        now = self._clock.stamp()
        new = CaptureSequence(str(uuid.uuid4()), tuple(sources), tuple(tags), now.us)
        await self._do(lambda table: table.start(new, now.reading), writes=True)
        return new

    async def stop(self, sequence_id: str) -> CaptureSequence | None:
        """End a sequence; all captures that were appended before belong to it. None if it is not open."""
        await self.look()
        if sequence_id not in self.open_ids():
            return None
        end = self._clock.stamp()
        await self._do(lambda table: table.stop(sequence_id, end), writes=True)
        self.stopped.set()
        return next((sequence for sequence in self.known if sequence.id == sequence_id), None)

    async def created(self, sequence_id: str) -> None:
        """Forget a sequence that the cloud has made."""
        await self._do(lambda table: table.remove(sequence_id), writes=True)

    async def failed(self, sequence_id: str, error: str) -> None:
        """Keep a sequence that the cloud will not make, with the reason."""
        await self._do(lambda table: table.fail(sequence_id, error), writes=True)

    async def retry(self) -> int:
        """Let those that failed wait again; returns how many."""
        await self.look()
        count = len(self._in(SequenceState.FAILED))
        if count:
            await self._do(SequenceTable.retry, writes=True)
            self.stopped.set()
        return count

    async def discard(self) -> int:
        """Delete those that failed, for good; returns how many."""
        await self.look()
        count = len(self._in(SequenceState.FAILED))
        if count:
            await self._do(SequenceTable.discard, writes=True)
        return count

    def open_ids(self) -> list[str]:
        """The sequences that have not been stopped."""
        return [sequence.id for sequence in self._in(SequenceState.OPEN)]

    def _in(self, state: SequenceState) -> list[CaptureSequence]:
        return [sequence for sequence in self.known if sequence.state is state]

    async def _do(self, work: Callable[[SequenceTable], None], *, writes: bool) -> None:
        def all_of_it(db: Database) -> None:
            work(db.sequences)
            found.extend(db.sequences.all())

        found: list[CaptureSequence] = []
        await self._call(all_of_it, writes=writes)
        self.known = found
