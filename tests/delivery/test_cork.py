"""What HTTP/2 writes frame by frame leaves in few pieces, whole and in order."""

from __future__ import annotations

import asyncio
import os
from typing import cast

from module.delivery.cork import Cork


class Wire:
    """What a transport is given."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.pieces.append(data)

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 7

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


def corked() -> tuple[Wire, Cork]:
    wire = Wire()
    return wire, Cork(cast("asyncio.Transport", wire))


async def test_frames_of_one_turn_leave_together() -> None:
    wire, cork = corked()
    cork.write(b"headers ")
    cork.write(b"data")
    assert (wire.pieces, cork.get_write_buffer_size()) == ([], 12 + 7)
    await asyncio.sleep(0)
    assert (wire.pieces, cork.get_write_buffer_size()) == ([b"headers data"], 7)
    await asyncio.sleep(0.01)
    cork.write(b"more")
    await asyncio.sleep(0)
    assert wire.pieces == [b"headers data", b"more"]


async def test_much_at_once_does_not_wait_and_stays_in_order() -> None:
    wire, cork = corked()
    frames = [os.urandom(16_384) for _ in range(10)]
    for frame in frames:
        cork.write(frame)
        assert cork.get_write_buffer_size() < 64 * 1024 + 7
    assert len(wire.pieces) == 2
    await asyncio.sleep(0)
    assert (b"".join(wire.pieces), len(wire.pieces)) == (b"".join(frames), 3)


async def test_what_was_written_before_the_close_leaves_before_it() -> None:
    wire, cork = corked()
    cork.write(b"goodbye")
    cork.close()
    assert (wire.pieces, wire.closed) == ([b"goodbye"], True)
    await asyncio.sleep(0)
    assert cork.get_extra_info("socket") == "the socket"
