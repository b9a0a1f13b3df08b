"""As whom each machine of the fleet uploads."""

from __future__ import annotations

import uuid


def part_of(number: int) -> str:
    """Its part id."""
    return str(uuid.UUID(int=number + 1))


def key_id(number: int) -> str:
    """The id of its key."""
    return str(uuid.UUID(int=(1 << 64) + number))


def key_of(number: int) -> str:
    """Its key."""
    return f"the key of machine {number}"
