"""The main job with the program of an unpacked archive: ``python -m tests.packaging.journey ROOT FOLDER``.

A process of its own, so that it can run where there is no network. Writes one line of JSON: what it saw.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from viam.components.sensor.client import SensorClient
from viam.services.discovery.client import DiscoveryClient

from module.local.calls import Arrival, UploadMethod
from module.local.cloud import LocalCloud
from module.local.viam_server import ViamServer
from tests.faults.certificates import Authority
from tests.faults.link import Link
from tests.namespaces import raise_loopback
from tests.process.rig import KEY, KEY_ID, NAME, PART, CountingSensor, Rig, StillCamera

WIDTH = 64
STARTS = 5
QUICK_S = 1.2


class Unpacked(Rig):
    """A rig whose module is what an archive holds, started by the entrypoint of its meta.json."""

    def __init__(self, root: Path, folder: Path, cloud: LocalCloud, address: str) -> None:
        picture = np.zeros((240, 320, 3), np.uint8)
        jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
        resources = [
            CountingSensor("sensor"),
            StillCamera("camera", [("color", jpeg, "image/jpeg")], cloud=b"VERSION .7\n" + bytes(2_000_000)),
        ]
        super().__init__(folder, resources, cloud, address)
        self.server = ViamServer(
            resources,
            [str(root / json.loads((root / "meta.json").read_text())["entrypoint"])],
            home=folder / "home",
            root=root,
            log_file=self.log,
            part_id=PART,
            api_key_id=KEY_ID,
            api_key=KEY,
            environ={
                "SSL_CERT_FILE": str(folder / "authority.pem"),
                # What a sourced ROS, say, would have the interpreter load; and no time zones of the system's.
                "PYTHONPATH": str(_poisoned(folder)),
                "PYTHONTZPATH": "",
            },
        )


def _poisoned(folder: Path) -> Path:
    """Make a folder of packages that end whoever imports them."""
    for name in ("module", "viam", "cv2", "numpy", "sqlite3"):
        (folder / "poison" / name).mkdir(parents=True)
        (folder / "poison" / name / "__init__.py").write_text("raise SystemExit('a package of another Python')")
    return folder / "poison"


def _certified(folder: Path) -> ssl.SSLContext:
    """Make an authority for the module to trust, and what a server needs to be trusted by it."""
    authority = Authority()
    (folder / "authority.pem").write_text(authority.certificate.pem)
    certificate = authority.issue("localhost")
    (folder / "server.pem").write_text(certificate.pem + certificate.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.set_alpn_protocols(["h2"])
    return context


async def main(root: Path, folder: Path) -> dict[str, Any]:
    """Start the program, have it capture and deliver by all five methods, and end it."""
    cloud = LocalCloud(None, api_keys={KEY_ID: KEY}, part_ids={PART}, keep_payloads=True, record_messages=True)
    link = Link(int((await cloud.start()).rpartition(":")[2]))
    try:
        rig = Unpacked(root, folder, cloud, await link.open(tls=_certified(folder)))
        begun = time.monotonic()
        await rig.server.start()
        starts = [_start(rig, begun)]
        try:
            seen = await _job(rig, folder)
            while min(_own(start) for start in starts) > QUICK_S and len(starts) < STARTS:
                await rig.server.terminate()
                begun = time.monotonic()
                await rig.server.restart()
                starts.append(_start(rig, begun))
            ended = await rig.server.terminate()
        finally:
            await rig.server.close()
        await link.close()
    finally:
        await cloud.stop()
    assert ended is not None
    return {**seen, "starts": starts, "exit": ended.code, "exit_s": ended.seconds, "printed": rig.printed()}


def _start(rig: Rig, begun: float) -> dict[str, float]:
    """Give the seconds from the process's start to its Ready, and those of them that it waited for a processor.

    The second is from the kernel's account (Documentation/scheduler/sched-stats): 0 where it keeps none.
    """
    taken = time.monotonic() - begun
    account = Path(f"/proc/{rig.server.pid}/schedstat")
    waited = int(account.read_text().split()[1]) / 1e9 if account.exists() else 0.0
    return {"taken_s": taken, "waited_s": waited}


def _own(start: dict[str, float]) -> float:
    return start["taken_s"] - start["waited_s"]


async def _job(rig: Rig, folder: Path) -> dict[str, Any]:
    outbox = folder / "outbox"
    outbox.mkdir()
    (outbox / "report.txt").write_text("from a folder")
    berlin = {"cron": "* * * * * *", "timezone": "Europe/Berlin"}
    small = {"format": "webp", "max_width": WIDTH}
    await rig.configure(
        sources=[
            {"name": "sensor", **berlin},
            {"name": "camera", "id": "small", "interval_s": 1, "image": small},
            {"name": "camera", "id": "points", "method": "NextPointCloud", "interval_s": 0.5},
        ],
        folders=[{"path": str(outbox), "settle_s": 0.1}],
    )
    await rig.server.add_resource(
        "health", {"service": NAME}, model="courier:capture:health", api="rdk:component:sensor"
    )
    await rig.server.add_resource("discovery", {}, model="courier:capture:discovery", api="rdk:service:discovery")
    given = await rig.command("upload_data", text="by a command", file_name="note.txt", wait="uploaded")

    def sent() -> bool:
        streamed, rows = rig.arrivals(UploadMethod.STREAMING), rig.arrivals(UploadMethod.TABULAR)
        return bool(rows and streamed and rig.arrivals(UploadMethod.BINARY)) and len(_files(rig)) > 1

    await rig.cloud.wait_for(sent, 30)
    health = await _healthy(SensorClient("health", rig.server.channel))
    status = await rig.drained()
    # Discovery reads the sensor too, which counts its readings: only now would none of the numbers be missing.
    found = await DiscoveryClient("discovery", rig.server.channel).discover_resources(timeout=30)
    (image, *_) = rig.arrivals(UploadMethod.BINARY)
    assert image.payload is not None
    decoded = cv2.imdecode(np.frombuffer(image.payload, np.uint8), cv2.IMREAD_COLOR)
    return {
        "interfaces": [name for _, name in socket.if_nameindex()],
        "executable": str(Path(f"/proc/{rig.server.pid}/exe").readlink()),
        "mapped": _mapped(rig.server.pid),
        "by_method": status["upload"]["by_method"],
        "sources": status["sources"],
        "numbers": rig.numbers("sensor"),
        "image": [image.metadata.mime_type, None if decoded is None else decoded.shape[1]],
        "files": sorted(bytes(file.payload or b"").decode() for file in _files(rig)),
        "uploaded": given,
        "health": {"ok": health["ok"], "reason": health["reason"]},
        "discovered": [f"{each.api}/{each.model}" for each in found],
    }


async def _healthy(sensor: SensorClient, patience_s: float = 30.0) -> Mapping[str, Any]:
    """Return the readings that say all is well, or what it says in the end: a busy computer misses ticks at first."""
    until = time.monotonic() + patience_s
    while True:
        readings = await sensor.get_readings(timeout=10)
        if readings["ok"] or time.monotonic() > until:
            return readings
        await asyncio.sleep(0.2)


def _files(rig: Rig) -> list[Arrival]:
    return rig.arrivals(UploadMethod.FILE)


def _mapped(pid: int) -> list[str]:
    """Name every file that the process has mapped: each library, and whatever else it was loaded from."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return sorted({line.split(maxsplit=5)[5] for line in lines if "/" in line and line.count(" ") > 4})


if __name__ == "__main__":
    raise_loopback()
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))) + "\n")
