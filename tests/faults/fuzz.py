"""Has the fuzzer of ``tests/network/test_fuzz.py`` try for minutes what the suite tries for seconds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.report import Finding

_ROOT = Path(__file__).parents[2]
_FILE = "tests/network/test_fuzz.py"
_EXAMPLES = 1000
_TESTS = 2


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What came of it."""

    examples: int
    seconds: float
    failure: str
    """What pytest said of an answer that was wrong, a call that hung or a crash; empty if there was none."""

    def finding(self) -> Finding:
        """For the report."""
        found = f"found this:\n{self.failure}" if self.failure else "found no hang, no crash and no wrong answer"
        said = f"the fuzzer tried {self.examples:,} answers in {self.seconds / 60:.1f} minutes and {found}"
        return Finding(said, not self.failure)


def fuzzed(minutes: float) -> Fuzzed:
    """Try random answers until so many minutes have passed, or one was taken wrongly; each run has its own chances."""
    begun, examples = time.monotonic(), 0
    environ = {**os.environ, "COURIER_FUZZ_EXAMPLES": str(_EXAMPLES), "PYTHONPATH": str(_ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", _FILE]
    while (seconds := time.monotonic() - begun) < minutes * 60:
        done = subprocess.run(command, cwd=_ROOT, env=environ, check=False, capture_output=True, text=True)
        if done.returncode:
            return Fuzzed(examples, seconds, done.stdout[-5000:] + done.stderr[-2000:])
        examples += _TESTS * _EXAMPLES
    return Fuzzed(examples, seconds, "")
