"""The demo and the tests of the module's life under each Python that this computer has: ``tests/run.sh pythons``.

Looks for each version that the module supports on the PATH and among pyenv's, makes a virtual environment for each
once, and names those that it did not find. Exit status: 0 if all that were found pass, 1 if not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
TESTS = ("tests/process/test_lifecycle.py", "tests/process/test_left.py", "tests/serving/test_parent.py")
DEMO_S = 8
_LIMIT_S = 600
_PROBE = """
import ensurepip, os, sys, venv
if sys.version_info.releaselevel == "final":
    print("%d.%d" % sys.version_info[:2], sys.version.split()[0], os.path.realpath(sys.executable), sep="\\n")
"""


class Python(NamedTuple):
    """A Python that was found: the release of a supported version, with venv."""

    version: str
    release: str
    program: str


class Step(NamedTuple):
    """What was run under a Python, and how it ended."""

    name: str
    status: int
    seconds: float
    printed: str


def found(versions: Sequence[str]) -> Iterator[Python]:
    """Return the first Python of each version: on the PATH, then pyenv's newest."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in versions:
        newest_first = sorted(pyenv.glob(f"{version}.*"), key=_patch, reverse=True)
        programs = [f"python{version}", *(str(folder / "bin" / "python") for folder in newest_first)]
        for program in programs:
            python = _probed(program)
            if python is not None and python.version == version:
                yield python
                break


def _patch(folder: Path) -> int:
    patch = folder.name.rpartition(".")[2]
    return int(patch) if patch.isdecimal() else -1


def _probed(program: str) -> Python | None:
    try:
        done = subprocess.run([program, "-I", "-c", _PROBE], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return None
    said = done.stdout.splitlines()
    return Python(*said) if len(said) == len(Python._fields) else None


def environment(python: Python) -> Path:
    """Return the Python of an environment with all that the tests need; made if the one there is not whole."""
    folder = ROOT / ".venv-pythons" / python.version
    lock = ROOT / "requirements-dev.txt"
    stamp, key = folder / "courier.stamp", f"{zlib.crc32(lock.read_bytes())} {python.program} {folder}"
    inside = folder / "bin" / "python"
    if not (inside.exists() and stamp.exists() and stamp.read_text() == key):
        _say(f"installing what the tests need under Python {python.release}")
        pip = ("-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install", "--no-compile")
        locked = ("--require-hashes", "--only-binary=:all:", "--requirement", lock)
        subprocess.run([python.program, "-I", "-m", "venv", "--clear", folder], check=True)
        subprocess.run([inside, *pip, *locked], check=True)
        stamp.write_text(key)
    return inside


def demo(program: Path) -> Step:
    """Run the demo; it exits with 0 only if the module ended with 0 and all arrived."""
    with tempfile.TemporaryDirectory() as folder:
        return _step("the demo", program, "-m", "module", "demo", f"--seconds={DEMO_S}", f"--folder={folder}")


def life(program: Path) -> Step:
    """Run the tests of starting, changing, stopping and dying."""
    return _step("the tests", program, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS)


def _step(name: str, *command: str | Path) -> Step:
    begun = time.monotonic()
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile("w+") as printed:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environ, stdout=printed, stderr=printed, timeout=_LIMIT_S, check=False
            )
            status = done.returncode
        except subprocess.TimeoutExpired:
            status = -1
        printed.seek(0)
        return Step(name, status, time.monotonic() - begun, printed.read())


def main() -> int:
    """Run all under each, and say what came of it."""
    pythons = list(found(VERSIONS))
    missing = [version for version in VERSIONS if version not in {python.version for python in pythons}]
    with ThreadPoolExecutor(2) as workers:
        programs = list(workers.map(environment, pythons))
    wrong = False
    # The demo mostly waits, and may run beside another; the tests measure times, and run one after the other.
    with ThreadPoolExecutor(2) as workers:
        demos = list(workers.map(demo, programs))
    for python, program, shown in zip(pythons, programs, demos, strict=True):
        for step in (shown, life(program)):
            wrong |= step.status != 0
            outcome = "failed" if step.status else "passed"
            _say(f"Python {python.release}: {step.name} {outcome} in {step.seconds:.0f} s")
            if step.status:
                _say(step.printed)
    for version in missing:
        _say(f"Python {version}: not found")
    return 1 if wrong or not pythons else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
