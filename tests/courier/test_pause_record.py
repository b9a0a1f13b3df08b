"""What is paused, as its file has it, and the switch that pauses and resumes the parts of a service."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from module.courier import pause_record
from module.courier.pause_record import Pauses, What
from module.courier.pause_switch import PauseSwitch
from module.spool.place import PAUSED_FILE

LOGGER = logging.getLogger("courier-test")
DAMAGES = {
    "empty": b"",
    "cut off": b"{",
    "a number": b'{"paused": 7}',
    "a thing unknown": b'{"paused": [{"what": "moon"}]}',
    "no number": b'{"paused": [{"what": "source", "name": "s1", "since_us": 1e999}]}',
    "no time": b'{"paused": [{"what": "source", "name": "s1", "since_us": 999999999999999999}]}',
    "no text": b"\x00\xff",
    "too deep": b"[" * 99_999,
}


class Part:
    """What can be paused."""

    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


def switch(folder: Path, parts: dict[str, Part]) -> PauseSwitch:
    """Of these sources, at 7 µs after the epoch."""
    return PauseSwitch(Pauses(lambda: 7), lambda: folder, LOGGER, sources=parts, folders={}, uploads=Part())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_file_pauses_nothing_and_says_so_and_the_next_pause_replaces_it(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / PAUSED_FILE).write_bytes(damage)
    with pytest.raises(ValueError, match=f"{PAUSED_FILE} is damaged, and nothing is paused by it"):
        pause_record.read(tmp_path)
    parts = {"s1": Part()}
    first = switch(tmp_path, parts)
    await first.recall()
    assert "it is not known what was paused before this start" in caplog.text
    assert not parts["s1"].paused
    first.allow_writing()
    first.pause(What.SOURCE)
    assert await first.keep() is None
    again = {"s1": Part()}
    await switch(tmp_path, again).recall()
    assert again["s1"].paused


def test_without_a_file_nothing_is_paused(tmp_path: Path) -> None:
    assert pause_record.read(tmp_path) == {}


async def test_nothing_is_written_before_the_spool_is_open(tmp_path: Path) -> None:
    first = switch(tmp_path, {"s1": Part()})
    first.pause(What.SOURCE)
    assert await first.keep() is None
    assert list(tmp_path.iterdir()) == []
    first.allow_writing()
    assert await first.keep() is None
    assert pause_record.read(tmp_path) == {(What.SOURCE, "s1"): 7}
