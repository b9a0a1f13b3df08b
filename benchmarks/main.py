"""``python -m benchmarks.main``: runs the cases, and writes the page, the pictures and the figures themselves."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.cases import arrival, channel, data_manager, drain, files, growth, idle, polls, spool, written
from benchmarks.explanations import EXPLANATIONS
from benchmarks.figures import Results
from benchmarks.plot import file_name, svg
from benchmarks.promises import PROMISES
from benchmarks.report import Taken, page
from benchmarks.scale import FULL, QUICK
from benchmarks.surroundings import machine

CASES: dict[str, tuple[Callable[[Bench], Coroutine[Any, Any, None]], ...]] = {
    "polls": (polls.polls,),
    "arrival": (arrival.arrival,),
    "data_manager": (data_manager.beside,),
    "channel": (channel.channel,),
    "drain": (drain.rows, drain.frames),
    "files": (files.files,),
    "spool": (spool.spool,),
    "written": (written.written,),
    "idle": (idle.idle,),
    "growth": (growth.sources, growth.backlog, growth.distance, growth.disk),
}


def main() -> int:
    """Run what is asked for, and print the table of promises."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh", description="What the module costs, beside others.")
    parser.add_argument("--quick", action="store_true", help="about a minute, one round; kept apart from the results")
    parser.add_argument("--only", action="append", choices=CASES, help="a case; may be given more than once")
    parser.add_argument("--results", type=Path, help="where to write; benchmarks/, with --quick a temporary folder")
    parser.add_argument("--store", action="store_true", help="let the cloud keep what it gets, instead of counting it")
    given = parser.parse_args()
    scale = QUICK if given.quick else FULL
    into = given.results or (Path(tempfile.mkdtemp(prefix="courier-benchmarks-")) if given.quick else _here())
    results = Results()
    taken: dict[str, Taken] = {}
    for name in given.only or CASES:
        for case in CASES[name]:
            known = set(results.cases())
            note = Taken(datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"), scale.name, os.getloadavg()[0])
            begun = time.monotonic()
            # Not in memory: a spool on tmpfs would be synced for nothing.
            with tempfile.TemporaryDirectory(prefix="courier-benchmark-") as folder:
                asyncio.run(case(Bench(scale, Path(folder), results, stored=given.store)))
            taken |= dict.fromkeys(set(results.cases()) - known, note)
            print(f"{name}, {case.__name__}: {time.monotonic() - begun:.0f} s", flush=True)
    text = write(into, results, taken)
    print("", text[text.index("## Promises") :].split("\n\n")[1], f"\nwritten to {into}", sep="\n")
    return 0


def write(into: Path, results: Results, taken: dict[str, Taken]) -> str:
    """Write all of it, with what an earlier run left there of other cases; gives the page."""
    kept = into / "results.json"
    if kept.exists():
        before = json.loads(kept.read_text())
        results.take(before["series"])
        taken = {case: Taken(**note) for case, note in before["taken"].items()} | taken
    notes = {case: asdict(note) for case, note in taken.items()}
    plots = into / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"taken": notes, "series": results.as_json()}, indent=1, ensure_ascii=False) + "\n")
    for case in results.cases():
        (plots / file_name(case)).write_text(svg(case, results.of(case)))
    text = page(results, PROMISES, EXPLANATIONS, taken, machine())
    (into / "results.md").write_text(text)
    return text


def _here() -> Path:
    return Path(__file__).parent


if __name__ == "__main__":
    sys.exit(main())
