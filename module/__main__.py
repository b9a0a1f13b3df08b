"""``python -m module <socket>`` serves the module; ``demo`` runs the demo, ``convert FILE`` converts a config."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence

# First, so that it knows who started this process: viam-server may end while the rest is imported.
from module.serving import parent

# isort: split
from viam.resource.registry import Registry
from viam.resource.types import API, Model

import module.health.sensor
import module.service  # noqa: F401 - each registers its model
from module import __version__
from module.discovery.service import Discoverer
from module.files import lease
from module.serving import do_command, log_relay
from module.serving.event_loop import event_loop
from module.serving.module_server import ServedModule

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_SWITCH_S = 0.001


def _keep_large_buffers() -> None:
    """Let glibc reuse buffers above 128 KiB instead of mapping each new one (mallopt(3)); other systems: do nothing."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * 1024 * 1024)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 1024 * 1024)
    except (OSError, AttributeError):
        return


def _keep_on_time() -> None:
    """Keep the collector of cycles, and threads that want the GIL, from stopping the event loop for milliseconds."""
    # What is loaded by now is never freed, so the collector need not look through it again.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_S)


def main() -> None:
    """Run the command that the command line names."""
    if sys.argv[1:2] == ["--version"]:
        sys.stdout.write(f"capture-courier {__version__}\n")
        return
    if sys.argv[1:2] == ["demo"]:
        from module.demo.main import main as demo  # noqa: PLC0415, only the demo needs the C core

        sys.exit(_run(demo))
    if sys.argv[1:2] == ["convert"]:
        from module.conversion.main import main as convert  # noqa: PLC0415, no robot needs it

        sys.exit(_run(convert))
    _keep_large_buffers()
    _keep_on_time()
    lease.ignore_signal()
    # A corrupt image is reported by its source, not by OpenCV on stderr.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(_serve())


def _run(command: Callable[[Sequence[str]], int]) -> int:
    """Run a command of the command line; returns its exit status, or 1 if the reader of its output has gone."""
    try:
        status = command(sys.argv[2:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Python writes what is left when it ends, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write("nobody reads the output any more, so the program has ended\n")
        return 1
    return status


async def _serve() -> None:
    log_relay.install()
    do_command.install()
    served = ServedModule.from_args()
    for key in Registry.REGISTERED_RESOURCE_CREATORS():
        api, _, model = key.partition("/")
        served.add_model_from_registry(API.from_string(api), Model.from_string(model))
    Discoverer.find_machine_by(lambda: served.parent)
    watch = asyncio.create_task(_end_with_parent(served), name="parent")
    await served.start()  # type: ignore[no-untyped-call]
    watch.cancel()
    logging.shutdown()
    with contextlib.suppress(OSError):  # of a viam-server that has gone
        sys.stdout.flush()
    # A look-up of a name may still hang in a thread, which the loop and the interpreter would wait for. All is safe.
    os._exit(0)


async def _end_with_parent(served: ServedModule) -> None:
    try:
        await parent.gone(lambda: served.parent)
    except Exception:
        served.logger.exception("the end of viam-server cannot be watched, so this module may outlive it")
        return
    # Not through the log, which viam-server keeps.
    with contextlib.suppress(OSError):
        sys.stdout.write("viam-server has ended, and this module ends with it\n")
    served.server.end()


if __name__ == "__main__":
    main()
