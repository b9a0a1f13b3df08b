"""run.sh, copied beside a module that says where it runs; its Pythons are scripts around the one that runs the tests.

Such a Python makes an "environment" by copying itself, and notes what pip was asked for, so that no test needs
a network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RUN_SH = Path(__file__).parent.parent / "run.sh"
SHELL = "/bin/sh"

PYTHON = """#!{shell}
case "$1 $2 $3" in
    "-c "*) exec "{real}" -c "import os, sys
os.environ.pop('PYTHONPATH', None)
sys.executable = sys.argv.pop(1)
{before}
$2" "$0" ;;
    "-I -m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    "-I -m pip") echo "$*" >>"{log}"; {pip} ;;
    *) exec "{real}" "$@" ;;
esac
"""

SHELL_PYTHON = f"""#!{SHELL}
case "$1 $2 $3" in
    "-I -m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    "-P -m module") echo '{{}}' ;;
    *os.rename*) mv "$4" "$5" ;;
    *version_info*) echo "ok $0" ;;
esac
"""
"""For a user who may not reach the Python that runs the tests."""


MODULE = """
import json, os, sys
names = ("PYTHONPATH", "PYTHONHOME", "PYTHONUNBUFFERED")
print(json.dumps({
    "descriptors": [number for number in range(3, 20) if os.path.exists(f"/dev/fd/{number}")],
    "arguments": sys.argv[1:], "folder": os.getcwd(), "pid": os.getpid(), "file": __file__,
    "environment": {name: os.environ.get(name) for name in names}}))
"""


@dataclass
class Installation:
    """A copy of run.sh in a folder of its own, and the only programs that it finds."""

    root: Path
    programs: Path

    @property
    def run_sh(self) -> Path:
        """The script under test."""
        return self.root / "run.sh"

    @property
    def venv(self) -> Path:
        """Where the environment goes."""
        return self.root / ".venv"

    @property
    def requirements(self) -> Path:
        """The lock file: empty."""
        return self.root / "requirements.txt"

    @property
    def log(self) -> Path:
        """What pip was asked for, a line each time."""
        return self.programs.parent / "pip.log"

    def builds(self) -> int:
        """How often pip was started."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def python(self, name: str = "python3.12", *, before: str = "", pip: str = ":") -> Path:
        """Put a Python on the PATH: `before` runs ahead of what `-c` is given, `pip` is what pip does."""
        path = self.programs / name
        path.write_text(PYTHON.format(shell=SHELL, real=sys.executable, before=before, log=self.log, pip=pip))
        path.chmod(0o755)
        return path

    def environment(self, **more: str) -> dict[str, str]:
        """Give the variables of a start: nothing of ours, and no other program."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COURIER", "VIAM", "PYTHON"))}
        return kept | {"PATH": str(self.programs)} | more

    def run(
        self, *arguments: str, program: Path | None = None, cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Start run.sh, or `program`, and wait for its end."""
        command = [str(program or self.run_sh), *arguments]
        return subprocess.run(
            command, cwd=cwd, env=self.environment(**more), capture_output=True, text=True, timeout=600, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start run.sh in a process group of its own."""
        return subprocess.Popen(
            [str(self.run_sh), *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def install(folder: Path) -> Installation:
    installation = Installation(folder / "module home", folder / "programs")
    (installation.root / "module").mkdir(parents=True)
    (installation.root / "module" / "__init__.py").touch()
    (installation.root / "module" / "__main__.py").write_text(MODULE)
    installation.requirements.touch()
    shutil.copy(RUN_SH, installation.run_sh)
    installation.programs.mkdir()
    for name in ("awk", "cksum", "cp", "mkdir", "mv", "readlink", "rm", "sed", "sleep", "sync", "cat"):
        found = shutil.which(name)
        assert found
        (installation.programs / name).symlink_to(found)
    return installation


def said(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer
