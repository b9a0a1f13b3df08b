"""The spool of a service that was renamed, in a real process: named in the status, adopted, delivered."""

from __future__ import annotations

import pytest
from grpclib import GRPCError, Status

from tests.process.rig import NAME, CountingSensor, Starter

SOURCES = [{"name": "s1", "capture_frequency_hz": 50}]


async def test_what_waits_under_a_services_former_name_arrives_once_it_is_adopted(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=SOURCES, upload={"disabled": True})
    await rig.until(lambda status: status["spool"]["items"] > 20)
    await rig.command("pause", what="capture")
    await rig.server.remove_resource(NAME)
    await rig.server.add_resource("renamed", rig.attributes())
    old = rig.spool_of(NAME)

    answer = await rig.server.do_command("renamed", {"command": "adopt", "directory": str(old)})
    assert answer["adopted"] > 20
    flushed = await rig.server.do_command("renamed", {"command": "flush", "timeout_s": 20})
    assert flushed == {"remaining_items": 0, "remaining_bytes": 0}
    assert sorted(rig.numbers("s1")) == list(range(1, int(answer["adopted"]) + 1))
    assert not old.exists()
    status = await rig.server.do_command("renamed", {"command": "status"})
    assert status["spool"]["orphans"] == []


async def test_a_directory_that_cannot_be_adopted_is_an_invalid_argument(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=SOURCES)
    await rig.until(lambda status: status["spool"]["last_error"] is None)
    for arguments, why in (
        ({}, "adopt.directory: nothing given; allowed is the directory of one of spool.orphans: none is known now"),
        ({"directory": "/etc"}, "it does not lie beside this spool"),
        ({"directory": "relative"}, "it does not lie beside this spool"),
        ({"directory": "/" + "x" * 5000}, "adopt.directory: "),
    ):
        with pytest.raises(GRPCError) as refused:
            await rig.command("adopt", **arguments)
        assert refused.value.status is Status.INVALID_ARGUMENT
        assert why in str(refused.value.message)
