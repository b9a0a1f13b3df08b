"""*Channel*: what a call costs its process, over our channel, over grpclib's, and over bare libcurl, in turns."""

from __future__ import annotations

from benchmarks.bench import Bench, Stopwatch
from benchmarks.processes import Subject, started
from tests.faults.certificates import Authority

CASE = "channel"
OURS, PEER, BARE = "ours, on libcurl", "grpclib", "bare libcurl"
SPREAD, STEP = "CPU per poll, 20 x 10 Hz spread out", "CPU per poll, 20 x 10 Hz in step"
SMALL, FRAMES = "CPU per upload of 300 bytes, 8 at once", "CPU per GB of 100 kB frames, 16 at once"
STREAM, RATE = "CPU per GB of one stream", "rate of one stream"
TLS = ", with TLS"
_CHUNK = 256 * 1024
_FRAME = 100_000


async def channel(bench: Bench) -> None:
    """Each figure of all within one round, so that what the machine does meanwhile slows all of them."""
    scale = bench.scale
    folder = bench.fresh("channel")
    folder.mkdir()
    authority = Authority()
    certificate = authority.issue("localhost")
    files = {"authority": authority.certificate.pem, "certificate": certificate.pem, "key": certificate.key_pem}
    for name, text in files.items():
        (folder / name).write_text(text)
    async with started("callee", folder / "s.sock", folder / "certificate", folder / "key") as callee:
        where = await callee.ask("port")
        arguments = (folder / "s.sock", where["port"], where["tls"], folder / "authority")
        async with (
            started("caller", "ours", *arguments) as ours,
            started("caller", "grpclib", *arguments) as peer,
            started("bare_libcurl", *arguments[1:]) as bare,
        ):
            both = ((OURS, ours), (PEER, peer))
            for _ in range(scale.rounds):
                for name, caller in both:
                    await _polls(bench, name, caller)
                for tls in (False, True):
                    for name, caller in (*both, (BARE, bare)):
                        await _uploads(bench, name, caller, tls=tls)
                    for name, caller in both:
                        await _stream(bench, name, caller, tls=tls)


async def _polls(bench: Bench, name: str, caller: Subject) -> None:
    for figure, in_step in ((SPREAD, False), (STEP, True)):
        watch = Stopwatch(caller.pid)
        done = await caller.ask("polls", seconds=bench.scale.polls_s, in_step=in_step)
        bench.results.add(CASE, name, figure, "µs", 1e6 * watch.cpu_s() / done["calls"])


async def _uploads(bench: Bench, name: str, caller: Subject, *, tls: bool) -> None:
    count, way = bench.scale.frames * 2, TLS if tls else ""
    watch = Stopwatch(caller.pid)
    await caller.ask("uploads", count=count, size=300, at_once=8, tls=tls)
    bench.results.add(CASE, name, SMALL + way, "µs", 1e6 * watch.cpu_s() / count)
    watch = Stopwatch(caller.pid)
    await caller.ask("uploads", count=bench.scale.frames, size=_FRAME, at_once=16, tls=tls)
    bench.results.add(CASE, name, FRAMES + way, "s", watch.cpu_s() / (bench.scale.frames * _FRAME / 1e9))


async def _stream(bench: Bench, name: str, caller: Subject, *, tls: bool) -> None:
    way = TLS if tls else ""
    size = bench.scale.file_bytes // _CHUNK * _CHUNK
    watch = Stopwatch(caller.pid)
    done = await caller.ask("stream", size=size, chunk=_CHUNK, tls=tls)
    bench.results.add(CASE, name, STREAM + way, "s", watch.cpu_s() / (size / 1e9))
    bench.results.add(CASE, name, RATE + way, "MB/s", size / 1e6 / done["seconds"])
