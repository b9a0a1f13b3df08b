"""What can be asked of a running service, here of one in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from module.courier.control import Control
from module.errors import CLOSING, Unavailable
from tests.courier.test_courier import running

ASKED: dict[str, Callable[[Control], Awaitable[object]]] = {
    "spool": lambda control: control.spool([]),
    "flush": lambda control: control.flush(1),
    "failures": lambda control: control.failures(1),
    "retry": lambda control: control.retry(None),
    "retry of one": lambda control: control.retry([1]),
    "discard": lambda control: control.discard(None),
    "start_sequence": lambda control: control.start_sequence([], []),
    "stop_sequence": lambda control: control.stop_sequence("it"),
    "open_sequences": lambda control: control.open_sequences(),
}


async def test_what_needs_the_spool_is_unavailable_while_the_service_closes(tmp_path: Path) -> None:
    """Also if the spool was open when it was asked, and closes while it waits."""
    answers = {}
    async with running(tmp_path, "http://127.0.0.1:1") as courier:
        await courier.opened()
        await courier.store.close()
        for name, ask in ASKED.items():
            with pytest.raises(Unavailable) as refusal:
                await ask(Control(courier))
            answers[name] = str(refusal.value)
    assert answers == dict.fromkeys(ASKED, CLOSING)
