"""The demo from its beginning to its end: what is configured, what happens when, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grpclib import GRPCError
from grpclib.exceptions import StreamTerminatedError
from viam.proto.common import LogEntry

from module.demo import configuration, machine, report
from module.demo.cell import Cell
from module.demo.chronicle import Chronicle
from module.demo.exhibit import Exhibit
from module.demo.report import Outcome
from module.demo.tally import open_images, tally
from module.local.cloud import LocalCloud
from module.local.viam_server import Exit, MachineError, ViamServer

_SERVICE = "courier"
_LARGE_FILE_BYTES = 20_000_000
_SETTLE_LIMIT_S = 60.0
_FLUSH_LIMIT_S = 60.0
_JAM_PART = 0.36
"""When the belt jams first, of the time that there is."""
_HANDING_IN = ("upload_data", "upload_file")
_DOING = (*_HANDING_IN, "capture", "pause", "resume", "trigger")
_SHOWN_LEVELS = ("warn", "warning", "error")


class Story:
    """One run: call ``tell`` once. All its files are in ``folder``; it prints as it goes.

    ``exhibit`` has what arrives, before, during and after the run.
    """

    def __init__(self, folder: Path, seconds: float, command: Sequence[str], root: Path) -> None:
        self._folder = folder
        self._seconds = seconds
        self._outbox, self._reports = folder / "outbox", folder / "reports"
        self._sources: list[dict[str, Any]] = []
        self._cell = Cell()
        self._files = 0
        self._handed_in = 0
        key_id, key, part_id = str(uuid.uuid4()), secrets.token_urlsafe(), str(uuid.uuid4())
        self._cloud = LocalCloud(folder / "cloud", api_keys={key_id: key}, part_ids={part_id})
        self._chronicle = Chronicle()
        self.exhibit = Exhibit(self._cloud.arrivals, self._chronicle)
        self._cloud_is_up = False
        self._outage_s = 0.0
        self._drain_s: float | None = None
        self._began = 0.0
        self._server: ViamServer
        self._machine_options: dict[str, Any] = {
            "command": command,
            "home": folder / "machine",
            "root": root,
            "log_file": folder / "module.log",
            "part_id": part_id,
            "api_key_id": key_id,
            "api_key": key,
            "environ": {"PYTHONPATH": str(root)},
            "on_log": self._tell_log,
        }

    async def tell(self) -> Outcome:
        """Run it; everything has ended when it returns. Raises MachineError if the module breaks down."""
        address = await self._cloud.start()
        self._cloud_is_up = True
        try:
            resources = await asyncio.to_thread(machine.resources, self._cell)
            webcam = any(resource.name == "webcam" for resource in resources)
            self._sources = configuration.sources(datetime.now(UTC), webcam=webcam)
            async with ViamServer(resources, **self._machine_options) as self._server:
                await asyncio.to_thread(self._prepare_folders)
                await self._server.add_resource(_SERVICE, self._attributes(address))
                self._began = asyncio.get_running_loop().time()
                self._chronicle.begin(self._sources)
                self._cell.jam_first(time.time() + _JAM_PART * self._seconds)
                async with self._progress():
                    await self._act()
                    await self._drain()
                status, failures = await self._settle()
                exit_ = await self._end()
        finally:
            await self._cloud.stop()
        outcome = await asyncio.to_thread(self._account, status, failures, exit_)
        self._chronicle.end(report.faults(outcome))
        return outcome

    # ------------------------------------------------------------------ what is configured

    def _attributes(self, address: str) -> dict[str, Any]:
        return {
            "sources": self._sources,
            "folders": [
                {
                    "path": str(self._outbox),
                    "settle_s": 0.5,
                    "after_upload": "move",
                    "move_to": str(self._folder / "sent"),
                    "tags": ["outbox"],
                },
                # Nothing of it goes by itself: upload_file only.
                {"path": str(self._reports), "exclude": ["*"]},
            ],
            "spool": {"min_free_bytes": 64 * 1024 * 1024},
            "upload": {"batch_wait_s": 0.5, "retry_initial_s": 0.2, "retry_max_s": 2},
            "cloud": {"address": address},
        }

    def _prepare_folders(self) -> None:
        self._outbox.mkdir()
        self._reports.mkdir()
        (self._reports / "report.txt").write_text("all is well\n")
        self._write("first.log", b"a line of a log\n" * 1000)
        self._write("settings.json", b'{"speed": 3}\n')

    def _write(self, name: str, data: bytes) -> None:
        self._files += 1
        (self._outbox / name).write_bytes(data)

    # ------------------------------------------------------------------ what happens

    async def _act(self) -> None:
        await self._command("help")
        await self._until(0.075)
        await self._command(
            "upload_data", text="gripper replaced\n", file_name="note.txt", tags=["upload_data"], wait="uploaded"
        )
        await self._until(0.125)
        await self._command("capture", sources=["snapshot"], count=3, interval_s=0.1, wait="uploaded")
        await asyncio.to_thread(self._write, "large.bin", os.urandom(_LARGE_FILE_BYTES))
        await self._until(0.225)
        path = str(self._reports / "report.txt")
        await self._command("upload_file", path=path, tags=["upload_file"], wait="uploaded")
        await self._until(0.325)
        await self._command("pause", what="capture", sources=["front"])
        await self._until(0.425)
        await self._command("resume", what="capture", sources=["front"])
        await self._until(0.525)
        await self._cut_off(until=0.725)

    async def _cut_off(self, until: float) -> None:
        """Take the cloud away until then; captures go on."""
        loop = asyncio.get_running_loop()
        self._say("the cloud goes away")
        self._cloud_is_up, since = False, loop.time()
        self._chronicle.cloud_leaves()
        await self._cloud.stop()
        await asyncio.to_thread(self._write, "meanwhile.log", b"written while the cloud was away\n")
        await self._until(until - 0.02)
        await self._command("status")
        await self._until(until)
        await self._cloud.start()
        self._cloud_is_up, self._outage_s = True, loop.time() - since
        self._chronicle.cloud_returns()
        self._say(f"the cloud is back after {self._outage_s:.1f} s")

    async def _drain(self) -> None:
        """See how long the backlog takes, and let the time pass."""
        loop = asyncio.get_running_loop()
        returned = loop.time()
        while self._drain_s is None and loop.time() - returned < _SETTLE_LIMIT_S:
            await asyncio.sleep(0.05)
            spool = (await self._ask("status"))["spool"]
            passed = loop.time() - returned
            if spool["items"] == 0 or spool["oldest_age_s"] < passed:
                self._drain_s = passed
                self._say(f"the backlog is in the cloud, {passed:.1f} s after its return")
        await self._until(0.85)
        await self._command("trigger", sources=["event"])
        await self._until(1.0)

    async def _settle(self) -> tuple[dict[str, Any], int]:
        """Stop capturing and deliver all there is: the final status, and how many captures were rejected."""
        deadline = asyncio.get_running_loop().time() + _SETTLE_LIMIT_S
        while self._captured_files(await self._ask("status")) < self._files:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.1)
        await self._command("pause", what="capture")
        await self._command("flush", timeout_s=_FLUSH_LIMIT_S)
        before, status = None, await self._ask("status")
        # A poll that was under way when captures were paused still gives one.
        while before is None or report.captured(before) != report.captured(status):
            await asyncio.sleep(0.5)
            await self._ask("flush", timeout_s=_FLUSH_LIMIT_S)
            before, status = status, await self._ask("status")
        failures = await self._command("failures")
        print(self._line(status), flush=True)
        return status, int(failures["total"])

    def _captured_files(self, status: dict[str, Any]) -> int:
        return int(status["folders"][str(self._outbox)]["captured"])

    async def _end(self) -> Exit | None:
        if not self._server.running:
            return None
        await self._server.remove_resource(_SERVICE)
        return await self._server.terminate()

    # ------------------------------------------------------------------ what came of it

    def _account(self, status: dict[str, Any], failures: int, exit_: Exit | None) -> Outcome:
        captured = {
            source: int(status["sources"][source]["captured"]) for source in map(configuration.id_of, self._sources)
        }
        captured |= {"outbox": self._files, **dict.fromkeys(_HANDING_IN, 1)}
        results = tally(self._cloud.arrivals, captured, from_paths=("outbox", "upload_file"))
        images, broken = open_images(self._folder / "cloud")
        return Outcome(
            results,
            status["upload"]["by_method"],
            failures,
            int(status["upload"]["retries"]),
            self._outage_s,
            self._drain_s,
            images,
            broken,
            None if exit_ is None else exit_.code,
        )

    # ------------------------------------------------------------------ what is printed

    async def _command(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Send a command, and print it with a short form of its answer."""
        self._say(f"> {json.dumps({'command': verb, **arguments})}")
        if verb in _DOING:
            self._chronicle.note(" ".join([verb, *arguments.get("sources", ())]))
        if verb == "trigger":
            self._chronicle.trigger(arguments["sources"])
        given = await self._ask(verb, **arguments)
        self._handed_in += verb in _HANDING_IN
        self._say(f"  {report.answer(verb, given)}")
        return given

    async def _ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        timeout_s = arguments.get("timeout_s", 30.0) + 10
        try:
            given = await self._server.do_command(_SERVICE, {"command": verb, **arguments}, timeout_s)
        except (GRPCError, StreamTerminatedError, OSError) as error:
            await asyncio.sleep(0.2)
            self._check_module()
            raise MachineError(f"the module answered {verb} with: {error}") from error
        if verb == "status":
            self._chronicle.sample(given, handed_in=self._handed_in)
        return given

    def _check_module(self) -> None:
        if not self._server.running:
            raise MachineError(f"the module ended by itself; its log is {self._folder / 'module.log'}")

    async def _until(self, part: float) -> None:
        """Sleep until this part of the time has passed, while the module lives."""
        while (left := part * self._seconds - self._elapsed()) > 0:
            self._check_module()
            await asyncio.sleep(min(left, 0.5))

    def _elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    @contextlib.asynccontextmanager
    async def _progress(self) -> AsyncIterator[None]:
        """Print how things stand, about once a second."""
        task = asyncio.create_task(self._tell_progress(), name="progress")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(1 - self._elapsed() % 1)
            status = await self._ask("status")
            print(self._line(status), flush=True)

    def _line(self, status: dict[str, Any]) -> str:
        return report.progress(self._elapsed(), status, handed_in=self._handed_in, cloud_is_up=self._cloud_is_up)

    def _tell_log(self, entry: LogEntry) -> None:
        if entry.level.lower() in _SHOWN_LEVELS:
            # Before a tab stands where in the code it was logged.
            self._say(f"the module logs: {entry.message.rpartition(chr(9))[2]}")

    def _say(self, text: str) -> None:
        print(f"         {text}", flush=True)
