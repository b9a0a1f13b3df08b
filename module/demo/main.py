"""``run.sh demo``: runs a machine, a local cloud and the module for a few seconds, then compares what arrived.

The module is a separate process, started as viam-server starts it: by ``run.sh`` if that has made the environment of
the demo, otherwise (for example in a checkout's tests) by this Python.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from module import __version__
from module.demo.page_server import PageServer
from module.demo.report import Outcome, faults, summary
from module.demo.story import Story
from module.errors import CourierError

ROOT = Path(__file__).resolve().parents[2]
_LEAST_SECONDS = 5
_MOST_SECONDS = 3600


def main(arguments: Sequence[str]) -> int:
    """Run the demo. Exit status: 0 if all that was captured arrived, 1 if not, 130 after Ctrl-C.

    Raises BrokenPipeError if nobody reads what it prints any more.
    """
    options = _options(arguments)
    try:
        return asyncio.run(_run(options.seconds, _new_folder(options.folder), keep=options.keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped before the end; nothing was compared", flush=True)
        return 130
    except BrokenPipeError:
        raise
    except (CourierError, OSError) as error:
        print(f"the demo failed: {error}", file=sys.stderr, flush=True)
        return 1


async def _run(seconds: float, folder: Path, *, keep: bool) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - asyncio.run made one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    story = Story(folder, seconds, module_command(ROOT), ROOT)
    async with PageServer(story.exhibit) as page:
        print(f"A machine, the module, and a cloud on this computer, for {seconds:g} s.", flush=True)
        print(f"A page shows what arrives: {page.address}\n", flush=True)
        status = _verdict(await story.tell(), folder)
        if keep:
            print(f"\nThe page stays until Ctrl-C: {page.address}", flush=True)
            # Ctrl-C and SIGTERM end the wait; what was compared stays as it is.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return status


def _verdict(outcome: Outcome, folder: Path) -> int:
    """Print what came of it; the exit status."""
    print(f"\n{summary(outcome)}\n\nWhat arrived: {folder / 'cloud'}\nThe module's log: {folder / 'module.log'}")
    wrong = faults(outcome)
    for fault in wrong:
        print(f"WRONG: {fault}")
    if not wrong:
        print("All that was captured was delivered.")
    sys.stdout.flush()
    return 1 if wrong else 0


def module_command(root: Path) -> list[str]:
    """What starts the module of this checkout, without the socket."""
    if Path(sys.prefix).resolve() == (root / ".venv").resolve():
        return [str(root / "run.sh")]
    return [sys.executable, "-P", "-m", "module"]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.sh demo", description="Show the module at work on this computer, without a Viam account."
    )
    parser.add_argument("--seconds", type=_seconds, default=20.0, help="how long to capture; default 20")
    parser.add_argument(
        "--folder", type=Path, help="where each run makes a new folder for what arrives; default courier-demo"
    )
    parser.add_argument(
        "--keep", action="store_true", help="show the page of what arrived afterwards too, until Ctrl-C"
    )
    parser.add_argument("--version", action="version", version=f"capture-courier {__version__}")
    return parser.parse_args(arguments)


def _seconds(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0
    if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
        allowed = f"{given!r} given; allowed is a number from {_LEAST_SECONDS} to {_MOST_SECONDS}"
        raise argparse.ArgumentTypeError(allowed)
    return seconds


def _new_folder(wanted: Path | None) -> Path:
    """Make a folder for this run; without a wish one that can be written to. Raises OSError."""
    parent = Path("courier-demo") if wanted is None else wanted
    if wanted is None and not os.access(parent if parent.exists() else Path.cwd(), os.W_OK):
        parent = Path(tempfile.mkdtemp(prefix="courier-demo-"))
    name = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    folder = parent.resolve() / name
    if folder.exists():
        folder = folder.with_name(f"{name}_{uuid.uuid4().hex[:4]}")
    folder.mkdir(parents=True)
    return folder
