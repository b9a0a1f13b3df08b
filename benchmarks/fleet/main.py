"""``python -m benchmarks.fleet.main``: plays all acts, prints the figures, and writes them where ``--page`` says."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.fleet.acts import Happening, Outcome, Size, play
from benchmarks.fleet.load import Load
from benchmarks.fleet.report import section, write


def _size(arguments: argparse.Namespace) -> Size:
    if arguments.quick:
        return Size(
            machines=20, processes=2, outage_s=5, calm_s=5, after_s=8, load=Load(image_every_s=2, batch_wait_s=2)
        )
    return Size(arguments.machines, arguments.processes, arguments.outage, calm_s=20, after_s=arguments.after)


def main() -> None:
    """Do as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet.main", description=__doc__)
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--outage", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--after", type=float, default=30.0, metavar="SECONDS", help="watched after each outage")
    parser.add_argument(
        "--act",
        type=lambda name: Happening[name.upper()],
        action="append",
        help="gone, new, away, short, hours, forgetful: one",
    )
    parser.add_argument("--quick", action="store_true", help="20 machines, outages of 5 s: a minute and a half in all")
    parser.add_argument("--page", type=Path, help="the page whose figures are to be written, e.g. docs/scale.md")
    parser.add_argument("--raw", type=Path, help="where to write all figures as JSON")
    arguments = parser.parse_args()
    size = _size(arguments)
    with tempfile.TemporaryDirectory() as directory:
        outcome = asyncio.run(play(size, Path(directory), arguments.act or tuple(Happening)))
    command = "python -m benchmarks.fleet.main" + (" --quick" if arguments.quick else "")
    print(section(outcome, size, command))
    if arguments.page is not None:
        write(arguments.page, outcome, size, command)
    if arguments.raw is not None:
        arguments.raw.write_text(_raw(outcome))


def _raw(outcome: Outcome) -> str:
    acts, curves = ([asdict(each) for each in given] for given in (outcome.acts, outcome.curves))
    return json.dumps({"acts": acts, "curves": curves}, indent=1)


if __name__ == "__main__":
    main()
