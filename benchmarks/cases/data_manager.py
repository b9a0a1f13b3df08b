"""*Beside the data manager*: what viam-server and the module use for the same captures, each with default settings.

Needs a ``viam-server`` on the PATH; without one the case is left out. The data manager only writes its captures to the
disk here; the module delivers its captures too. What a viam-server uses that captures nothing is subtracted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.bench import Bench
from benchmarks.measure import use_of
from module.local.cloud import LocalCloud
from tests.viam_server.rig import BINARY, Machine, config_of, fake_sensor, local_cloud, uploader

CASE = "beside the data manager"
CPU, WRITTEN, MEMORY = "CPU per capture", "written per capture", "memory beside viam-server"
OURS, THEIRS = "Capture Courier, captured and delivered", "data manager, captured"
_MICRO, _MEGA = 1e6, 1e6


@dataclass(frozen=True, slots=True)
class Load:
    """Components of one kind, captured at one rate."""

    name: str
    count: int
    hertz: float
    api: str = "rdk:component:sensor"
    method: str = "Readings"

    @property
    def case(self) -> str:
        """Its heading in the page."""
        return f"{CASE}, {self.name}"

    def components(self, *, captured: bool) -> list[dict[str, Any]]:
        """Their entries; ``captured``: with the data manager's part."""
        capture = {"method": self.method, "capture_frequency_hz": self.hertz}
        service = {"type": "data_manager", "attributes": {"capture_methods": [capture]}}
        rest = {"api": self.api, "service_configs": [service]} if captured else {"api": self.api}
        return [fake_sensor(f"one-{number}") | rest for number in range(self.count)]

    def sources(self) -> list[dict[str, Any]]:
        """The sources of the uploader."""
        return [{"name": f"one-{number}", "capture_frequency_hz": self.hertz} for number in range(self.count)]


LOADS = (
    Load("20 sensors at 10 Hz", 20, 10),
    Load("one sensor at 1 Hz", 1, 1),
    Load("4 cameras at 10 Hz", 4, 10, "rdk:component:camera", "GetImages"),
)


@dataclass(frozen=True, slots=True)
class _Used:
    """By viam-server and the module together, a second; the memory is what is resident."""

    cpu_s: float
    written: float
    memory: float


async def beside(bench: Bench) -> None:
    """Each load, on a viam-server that captures nothing, one with the data manager, and one with the module."""
    if BINARY is None:
        bench.say(f"{CASE}: left out, as no viam-server is on the PATH")
        return
    async with local_cloud() as (cloud, address):
        for load in LOADS:
            for _ in range(bench.scale.rounds):
                nothing = await _used(bench, cloud, address, load, {"components": load.components(captured=False)})
                theirs = await _used(bench, cloud, address, load, _with_the_data_manager(bench, load))
                ours = await _used(bench, cloud, address, load, _with_the_module(bench, load))
                for subject, used in ((THEIRS, theirs), (OURS, ours)):
                    _note(bench, load, subject, used, nothing)


def _with_the_data_manager(bench: Bench, load: Load) -> dict[str, Any]:
    attributes = {"capture_dir": str(bench.fresh("captured")), "sync_disabled": True}
    service = {"name": "data", "api": "rdk:service:data_manager", "model": "rdk:builtin:builtin"}
    return {"components": load.components(captured=True), "services": [service | {"attributes": attributes}]}


def _with_the_module(bench: Bench, load: Load) -> dict[str, Any]:
    service = uploader(sources=load.sources())
    service["attributes"] |= {"upload": {}, "spool": {"directory": str(bench.fresh("spool"))}}
    return dict(config_of([service], load.components(captured=False)))


async def _used(bench: Bench, cloud: LocalCloud, address: str, load: Load, config: Mapping[str, Any]) -> _Used:
    async with _started(bench, cloud, address, config) as pids:
        await asyncio.sleep(bench.scale.warm_s)
        before = [use_of(pid) for pid in pids]
        seconds = bench.scale.polls_s * (1 if load.hertz > 1 else 3)
        await asyncio.sleep(seconds)
        after = [use_of(pid) for pid in pids]
    both = list(zip(before, after, strict=True))
    return _Used(
        sum(late.cpu_s - early.cpu_s for early, late in both) / seconds,
        sum(late.written_bytes - early.written_bytes for early, late in both) / seconds,
        sum(late.resident_bytes for late in after),
    )


@contextlib.asynccontextmanager
async def _started(
    bench: Bench, cloud: LocalCloud, address: str, config: Mapping[str, Any]
) -> AsyncIterator[Sequence[int]]:
    """Yield the processes: viam-server, and the module if it is in the config and captures."""
    machine = Machine(bench.fresh("machine"), cloud, address, config)
    await machine.start()
    pids = [machine.process.pid] if machine.process else []
    try:
        await machine.prints("serving")
        if config.get("modules"):
            await machine.status(holds=lambda status: all(each["captured"] for each in status["sources"].values()))
            pids.append(machine.module_pid())
        yield pids
    finally:
        await machine.end()
        cloud.arrivals.clear()


def _note(bench: Bench, load: Load, subject: str, used: _Used, nothing: _Used) -> None:
    add, captures_a_s = bench.results.add, load.count * load.hertz
    add(load.case, subject, CPU, "µs", max(0.0, used.cpu_s - nothing.cpu_s) / captures_a_s * _MICRO)
    add(load.case, subject, WRITTEN, "bytes", max(0.0, used.written - nothing.written) / captures_a_s)
    add(load.case, subject, MEMORY, "MB", max(0.0, used.memory - nothing.memory) / _MEGA)
