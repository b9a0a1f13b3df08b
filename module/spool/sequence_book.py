"""Sequences as the event loop knows them: begun, ended, and made by the cloud. What returns is on the disk."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence

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
        return await self._do(lambda _: None)

    async def start(self, sources: Sequence[SequenceSource], tags: Sequence[str]) -> CaptureSequence:
        """Open a new sequence; all captures that these sources append from now on belong to it."""
        now = self._clock.stamp()
        new = CaptureSequence(str(uuid.uuid4()), tuple(sources), tuple(tags), now.us)
        await self._do(lambda table: table.start(new, now.reading))
        return new

    async def fill_in(self, methods: Mapping[str, str]) -> None:
        """Fill in, by the ids of sources, the methods that open sequences lack: their resources were not there."""
        await self._do(lambda table: table.fill_in(methods))

    async def stop(self, sequence_id: str) -> CaptureSequence | None:
        """End a sequence; all captures that were appended before belong to it. None if it is not open."""
        if sequence_id not in _ids_of(await self.look(), SequenceState.OPEN):
            return None
        end = self._clock.stamp()
        known = await self._do(lambda table: table.stop(sequence_id, end))
        return next((sequence for sequence in known if sequence.id == sequence_id), None)

    async def created(self, sequence_id: str) -> None:
        """Forget a sequence that the cloud has made."""
        await self._do(lambda table: table.remove(sequence_id))

    async def failed(self, sequence_id: str, error: str) -> None:
        """Keep a sequence that the cloud will not make, with the reason."""
        await self._do(lambda table: table.fail(sequence_id, error))

    async def retry(self) -> int:
        """Let those that failed wait again; returns how many."""
        count = len(_ids_of(await self.look(), SequenceState.FAILED))
        if count:
            await self._do(SequenceTable.retry)
        return count

    async def discard(self) -> int:
        """Delete those that failed, for good; returns how many."""
        count = len(_ids_of(await self.look(), SequenceState.FAILED))
        if count:
            await self._do(SequenceTable.discard)
        return count

    def open_ids(self) -> list[str]:
        """The sequences that have not been stopped."""
        return _ids_of(self.known, SequenceState.OPEN)

    async def _do(self, work: Callable[[SequenceTable], None]) -> list[CaptureSequence]:
        def all_of_it(db: Database) -> list[CaptureSequence]:
            work(db.sequences)
            return db.sequences.all()

        known: list[CaptureSequence] = await self._call(all_of_it, writes=True, then=self._note)
        return known

    def _note(self, known: list[CaptureSequence]) -> None:
        self.known = known
        if _ids_of(known, SequenceState.WAITING):
            self.stopped.set()


def _ids_of(known: Sequence[CaptureSequence], state: SequenceState) -> list[str]:
    return [sequence.id for sequence in known if sequence.state is state]
