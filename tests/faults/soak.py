"""All at once, and for long: a cloud that flaps, changes of the service, a vision service and a camera out of order.

What has to arrive is what was answered, not what was asked for: each number that a sensor without a gate has answered,
and each image of a camera without one. What a gate keeps is the module's choice: of those sources all that the status
has counted has to arrive, in the same span of time.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from viam.resource.base import ResourceBase

from module.local.calls import Arrival, Call, Refusal, UploadMethod
from module.local.cloud import LocalCloud
from tests.faults.answers import Answers
from tests.faults.bench import GONE, rows_of
from tests.faults.machine import AnsweringSensor, Look, MoodyCamera, MoodyVision, Sight, Span, still_image
from tests.faults.soaked import Soaked
from tests.process.rig import KEY, KEY_ID, NAME, PART, Rig

RATES_HZ = {"s1": 50.0, "s2": 50.0, "s3": 40.0, "s4": 20.0}
GATED_HZ = {"g1": 20.0, "g2": 12.0}
CAMERA, GATED_CAMERA, VISION = "c1", "c2", "eye"
CAMERAS_HZ = {CAMERA: 5.0, GATED_CAMERA: 3.0}
"""All together are 200 a second."""
KEPT_ROOM_BYTES = 4_000_000
"""By so much may memory grow from the middle third to the last: 100 bytes for each capture of 200 s at 200 a second."""
_SETTLE_S = 1.0
"""So long does a service that ends wait for polls under way."""
_ASK_EVERY_S = 0.25
_WAIT_S = 120.0
_KINDS = 3
"""Of changes."""
_MOOD_S = 0.4
"""Longer than what asks the vision service waits between two questions."""


@dataclasses.dataclass
class _Count:
    """What the status has counted of a source since it began at 0, and in which span of the wall clock (µs)."""

    since: int
    until: int = 0
    captured: int = 0


class Soak:
    """One machine, one module, one cloud, and the books of it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        image = still_image()
        self._chance = chance
        self._sensors: dict[str, AnsweringSensor] = {name: AnsweringSensor(name) for name in RATES_HZ | GATED_HZ}
        self._cameras: dict[str, MoodyCamera] = {name: MoodyCamera(name, image) for name in CAMERAS_HZ}
        self._vision = MoodyVision(VISION, chance)
        self._cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART})
        self._cloud.after = self._after
        self._folder = folder
        self._answers = Answers()
        self._lossy = False
        self._numbers: dict[str, set[int]] = {name: set() for name in RATES_HZ}
        self._images: set[str] = set()
        self._tags = 0
        self._counts: dict[str, list[_Count]] = {name: [] for name in (*self._sensors, *self._cameras)}
        self._closings: list[Span] = []
        self._memory: list[int] = []
        self._until = 0.0
        self.result = Soaked(0.0, 0, 0)

    async def run(self, seconds: float, *, change_every_s: float) -> Soaked:
        """Let all of it happen for so long, heal it, and count."""
        resources: list[ResourceBase] = [*self._sensors.values(), *self._cameras.values(), self._vision]
        rig = self._rig = Rig(self._folder, resources, self._cloud, await self._cloud.start())
        try:
            async with rig.server:
                await self._new_counts(functools.partial(rig.configure, **self._attributes()))
                await self._soak(seconds, change_every_s)
                await self._alive()
                await self._drained()
        finally:
            await self._cloud.stop()
        self._conclude()
        return self.result

    async def _soak(self, seconds: float, change_every_s: float) -> None:
        begun = time.monotonic()
        self._until = begun + seconds
        watch = asyncio.create_task(self._watch(), name="watch")
        try:
            async with asyncio.TaskGroup() as group:
                for work in (self._flap(), self._change(change_every_s), self._see_oddly(), self._look_oddly()):
                    group.create_task(work)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        self.result.seconds = time.monotonic() - begun
        self.result.answered = sum(len(sensor.answered) for sensor in self._sensors.values())
        self.result.answered += sum(len(camera.answered) for camera in self._cameras.values())
        third = len(self._memory) // 3
        if third:
            parts = self._memory[:third], self._memory[third : 2 * third], self._memory[2 * third :]
            self.result.memory = [max(part) for part in parts]

    def _attributes(self) -> dict[str, Any]:
        gate = {"vision": VISION, "label": "person"}
        sources: list[dict[str, Any]] = [
            {"name": name, "capture_frequency_hz": rate} for name, rate in RATES_HZ.items()
        ]
        sources += [
            {"name": name, "capture_frequency_hz": rate, "gate": {**gate, "camera": GATED_CAMERA, "poll_hz": 5}}
            for name, rate in GATED_HZ.items()
        ]
        sources += [
            {"name": CAMERA, "capture_frequency_hz": CAMERAS_HZ[CAMERA], "image": {"format": "passthrough"}},
            {
                "name": GATED_CAMERA,
                "capture_frequency_hz": CAMERAS_HZ[GATED_CAMERA],
                "image": {"format": "png"},
                "gate": gate,
            },
        ]
        # However slow this computer is, no poll of a sensor that answers ends by its time.
        patient = [{"timeout_s": 60.0, **source} for source in sources]
        return {"sources": patient, "tags": [f"change {self._tags}"]}

    # ------------------------------------------------------------------ what happens

    @property
    def _goes_on(self) -> bool:
        return time.monotonic() < self._until

    async def _rest(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, min(seconds, self._until - time.monotonic())))

    async def _change(self, every_s: float) -> None:
        """Change the service; or rebuild it as it is, as a neighbour's coming and going does; or remove and add it.

        Counts go on over the latter two, which leave the attributes as they are.
        """
        rig, number = self._rig, 0
        # Each kind comes once, however slow this computer is.
        while self._goes_on or number < _KINDS:
            await self._rest(every_s)
            number += 1
            if number % 3 == 1:
                self._tags += 1
                attributes = rig.attributes(**self._attributes())
                await self._new_counts(functools.partial(rig.server.reconfigure_resource, NAME, attributes))
            elif number % 3 == 2:
                await self._closed_by(functools.partial(rig.server.reconfigure_resource, NAME))
            else:
                await self._closed_by(self._remove_and_add)
            self.result.changes += 1

    async def _remove_and_add(self) -> None:
        await self._rig.server.remove_resource(NAME)
        await self._rig.configure(**self._attributes())

    async def _new_counts(self, change: Callable[[], Awaitable[None]]) -> None:
        """Change the service so that its counters begin at 0."""
        begun = _now_us()
        await self._closed_by(change)
        for counts in self._counts.values():
            counts.append(_Count(begun))

    async def _closed_by(self, change: Callable[[], Awaitable[None]]) -> None:
        begun = time.monotonic()
        with self._answers.cut():
            await change()
        self._closings.append((begun, time.monotonic()))

    async def _flap(self) -> None:
        """The cloud goes away and comes back, loses answers, is slow, has no room; in between it is well."""
        troubles = (self._away, self._flapping, self._losing, self._slow, self._exhausted)
        await self._away()
        while self._goes_on:
            await self._rest(self._chance.uniform(1.0, 6.0))
            await self._chance.choice(troubles)()
            self._cloud.judge, self._lossy = None, False

    async def _away(self, seconds: float | None = None) -> None:
        with self._answers.cut():
            await self._cloud.stop()
        self.result.outages += 1
        await asyncio.sleep(self._chance.uniform(0.5, 5.0) if seconds is None else seconds)
        await self._cloud.start()

    async def _flapping(self) -> None:
        for _ in range(self._chance.randrange(3, 10)):
            await self._away(self._chance.uniform(0.02, 0.3))
            await asyncio.sleep(self._chance.uniform(0.02, 0.3))

    async def _losing(self) -> None:
        self._lossy = True
        await asyncio.sleep(self._chance.uniform(0.5, 3.0))

    async def _slow(self) -> None:
        async def judge(_: Call) -> None:
            await asyncio.sleep(self._chance.uniform(0.1, 0.6))

        self._cloud.judge = judge
        await asyncio.sleep(self._chance.uniform(0.5, 3.0))

    async def _exhausted(self) -> None:
        async def judge(_: Call) -> None:
            if self._chance.random() < 0.8:
                raise Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "later, please")

        self._cloud.judge = judge
        await asyncio.sleep(self._chance.uniform(0.5, 3.0))

    async def _see_oddly(self) -> None:
        odd = [mood for mood in Sight if mood is not Sight.WELL]
        while self._goes_on:
            for mood in self._chance.sample(odd, len(odd)):
                for each in (mood, Sight.WELL):
                    self._vision.become(each)
                    self.result.odd += 1
                    await self._rest(self._chance.uniform(0.3, 2.0))
        self._vision.become(Sight.WELL)

    async def _look_oddly(self) -> None:
        odd = [mood for mood in Look if mood is not Look.WELL]
        while self._goes_on:
            for mood in self._chance.sample(odd, len(odd)):
                for each in (mood, Look.WELL):
                    for camera in self._cameras.values():
                        camera.mood = each
                    self.result.odd += 1
                    await self._rest(self._chance.uniform(0.3, 2.0))
        for camera in self._cameras.values():
            camera.mood = Look.WELL

    # ------------------------------------------------------------------ the books

    async def _after(self, arrival: Arrival) -> None:
        """Enter what has been stored; lose the answer, or not."""
        index = next(index for index, each in enumerate(self._cloud.arrivals) if each is arrival)
        del self._cloud.arrivals[index]
        storing = self._answers.store(self._entered(arrival), arrival.when)
        call = asyncio.current_task()
        assert call is not None
        call.add_done_callback(storing.end)
        if self._lossy and self._chance.random() < 0.5:
            storing.unanswered = True
            raise Refusal(grpc.StatusCode.UNAVAILABLE, "the answer got lost")

    def _entered(self, arrival: Arrival) -> list[tuple[str, int]]:
        """Note what one upload brought; a capture is known by its source and its time."""
        name = arrival.metadata.component_name
        if arrival.method is not UploadMethod.TABULAR:
            assert arrival.sensor_metadata is not None, arrival
            if name == CAMERA:
                self._images.add(arrival.sha256)
            return [(name, arrival.sensor_metadata.time_requested.ToMicroseconds())]
        if name in self._numbers:
            self._numbers[name].update(rows_of(arrival.rows))
        return [(name, row.metadata.time_requested.ToMicroseconds()) for row in arrival.rows]

    async def _watch(self) -> None:
        process = Path("/proc") / str(self._rig.server.pid) / "status"
        while True:
            lines = dict(line.split(":", 1) for line in process.read_text().splitlines())
            self._memory.append(int(lines["VmRSS"].split()[0]) * 1024)
            # While it is changed nobody may answer.
            with contextlib.suppress(*GONE):
                await self._ask()
            await asyncio.sleep(_ASK_EVERY_S)

    async def _ask(self) -> dict[str, Any]:
        lives = {name: counts[-1] for name, counts in self._counts.items()}
        with self._answers.asked():
            status = await self._rig.status()
        if all(self._counts[name][-1] is count for name, count in lives.items()):
            for name, count in lives.items():
                count.captured, count.until = int(status["sources"][name]["captured"]), _now_us()
        return status

    async def _alive(self) -> None:
        """See that each source captures again, with the cloud there and everybody well.

        The last change has begun all work again, so each trouble comes once more. A gate keeps its last answer, so a
        source with a gate whose watch has ended may capture for ever: each gate has to close, and to open.
        """
        await self._trouble_once_more()
        self._vision.somebody = False
        closed = await self._grown("filtered", (*GATED_HZ, GATED_CAMERA), "gated")
        self._vision.somebody = True
        self.result.dead = closed + await self._grown("captured", tuple(self._counts), "active")

    async def _trouble_once_more(self) -> None:
        self._vision.somebody = True
        for mood in (*Look, Look.WELL):
            for camera in self._cameras.values():
                camera.mood = mood
            await asyncio.sleep(_MOOD_S)
        for sight in (*Sight, Sight.WELL):
            self._vision.become(sight)
            await asyncio.sleep(_MOOD_S)

    async def _grown(self, what: str, names: Sequence[str], state: str) -> list[str]:
        """Wait until all of these count three more of it, in this state without an error; returns those that do not."""
        before = (await self._ask())["sources"]

        def stand_still(sources: dict[str, Any]) -> list[str]:
            return [
                f"{name}, {what}: {sources[name]}"
                for name in names
                if sources[name][what] < before[name][what] + 3
                or (sources[name]["state"], sources[name]["last_error"]) != (state, None)
            ]

        until = time.monotonic() + _WAIT_S
        while (dead := stand_still((await self._ask())["sources"])) and time.monotonic() < until:
            await asyncio.sleep(_ASK_EVERY_S)
        return dead

    async def _drained(self) -> None:
        """End all capture, and upload all that was captured."""
        await self._rig.command("pause", what="capture")
        until = time.monotonic() + _WAIT_S
        while time.monotonic() < until:
            await self._rig.command("flush", timeout_s=5)
            status = await self._ask()
            assert not status["spool"]["failed"], await self._rig.command("failures")
            assert not status["spool"]["dropped"], status
            if not status["spool"]["items"] and not self._missing():
                break
        # Twice: by then the module has read all answers, and counted all that it captured.
        await self._ask()

    def _missing(self) -> list[tuple[str, Span]]:
        """What was answered and has not arrived: what it is, and when it was asked for."""
        rows = [
            (f"{name} {number}", span)
            for name, numbers in self._numbers.items()
            for number, span in self._sensors[name].answered.items()
            if number not in numbers
        ]
        images = self._cameras[CAMERA].answered.items()
        return rows + [(f"{CAMERA} {key}", span) for key, span in images if key not in self._images]

    def _conclude(self) -> None:
        for arrival in self._cloud.arrivals:
            # It was cut off while it was stored.
            self._answers.store(self._entered(arrival), arrival.when).unanswered = True
        result, answers, slow = (
            self.result,
            self._answers,
            [(begun, ended) for begun, ended in self._closings if ended - begun > _SETTLE_S],
        )
        for what, (asked, answered) in self._missing():
            if any(asked <= ended and answered >= begun for begun, ended in slow):
                result.cut_short += 1
            else:
                result.lost.append(what)
        keys = sorted(answers.keys)
        for name, counts in self._counts.items():
            stamps = [stamp for source, stamp in keys if source == name]
            for count in counts:
                stored = sum(count.since <= stamp <= count.until for stamp in stamps)
                result.lost += [f"{name}: {stored} of {count}"] * max(0, count.captured - stored)
        result.stored, result.twice = len(keys), answers.twice
        result.unexplained = len(answers.unexplained())


def _now_us() -> int:
    return time.time_ns() // 1000
