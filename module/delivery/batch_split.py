"""Splits a batch that the cloud rejects, until one bad capture is found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from module.capture import Item

_Trouble = TypeVar("_Trouble")


async def find_bad(
    items: list[Item],
    attempt: Callable[[list[Item]], Awaitable[_Trouble | None]],
    is_rejected: Callable[[_Trouble, list[Item]], bool],
) -> tuple[list[Item], _Trouble] | None:
    """Deliver as many as possible; returns the captures that could not be, and why. None: the last was delivered too.

    It returns one capture if the cloud rejected it; for other trouble there may be more. ``attempt`` uploads some
    captures, and returns its trouble or None.

    Each step sends one half. If it is accepted, the bad capture is in the other half. If it is rejected, the other half
    is left for later. So a batch of n with one bad row costs at most log2(n) + 2 more calls.
    """
    suspects = items
    while len(suspects) > 1:
        half, rest = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
        trouble = await attempt(half)
        if trouble is None:
            suspects = rest
        elif is_rejected(trouble, half) and len(half) > 1:
            suspects = half
        else:
            return half, trouble
    # The last one was found by exclusion: send it by itself, so that the answer is about it.
    trouble = await attempt(suspects)
    return None if trouble is None else (suspects, trouble)
