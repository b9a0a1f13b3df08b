"""run.sh, copied beside a module that says where it runs; its Pythons are scripts around the one that runs the tests.

Such a Python makes an "environment" by copying itself, and notes what pip was asked for, so that no test needs
a network.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

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
            command, cwd=cwd, env=self.environment(**more), capture_output=True, text=True, timeout=60, check=False
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
    for name in ("cksum", "cp", "mkdir", "mv", "readlink", "rm", "sleep", "sync", "cat"):
        found = shutil.which(name)
        assert found
        (installation.programs / name).symlink_to(found)
    return installation


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Its folder has a space in its name, so that every test runs from such a path."""
    return install(tmp_path)


def said(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def stands(process: subprocess.Popen[str], path: Path) -> None:
    """Wait until `path` is there and not empty, which the process makes."""
    deadline = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None, "it ended early"
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_without_arguments_prints_usage_and_exits_2(installation: Installation) -> None:
    done = installation.run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: run.sh SOCKET")


def test_first_start_installs_the_lock_with_hashes_and_runs_the_module(installation: Installation) -> None:
    """Standard output is the module's alone."""
    installation.python()
    done = installation.run("a.sock", "--log-level=debug")
    assert said(done)["arguments"] == ["a.sock", "--log-level=debug"]
    asked = installation.log.read_text()
    assert "--require-hashes" in asked
    assert "--disable-pip-version-check" in asked
    assert str(installation.requirements) in asked


def test_later_starts_do_not_touch_the_environment(installation: Installation) -> None:
    """Nor do they start, or even need, the Python that it was made with."""
    python = installation.python()
    installation.run("a.sock")
    python.unlink()
    before = {path: path.stat().st_mtime_ns for path in [installation.venv, *installation.venv.rglob("*")]}
    done = installation.run("a.sock")
    assert said(done)["arguments"] == ["a.sock"]
    assert done.stderr == ""
    assert {path: path.stat().st_mtime_ns for path in [installation.venv, *installation.venv.rglob("*")]} == before
    assert installation.builds() == 1


def test_two_at_once_build_once(installation: Installation, tmp_path: Path) -> None:
    go = tmp_path / "go"
    installation.python(pip=f"while [ ! -e '{go}' ]; do sleep 0.02; done")
    first = installation.start("one")
    stands(first, installation.log)
    second = installation.start("two")
    assert second.stderr is not None
    assert "waiting for another start" in second.stderr.readline()
    go.touch()
    errors = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), errors
    assert installation.builds() == 1


def test_a_start_that_was_killed_half_way_is_repaired(installation: Installation) -> None:
    """Nothing of the broken-off environment is left, and its lock is not either."""
    installation.python(pip="sleep 60")
    broken = installation.start("a.sock")
    stands(broken, installation.log)
    os.killpg(broken.pid, signal.SIGKILL)
    broken.communicate()
    (installation.venv / "half").touch()

    installation.python()
    assert said(installation.run("a.sock"))["arguments"] == ["a.sock"]
    assert installation.builds() == 2
    assert not (installation.venv / "half").exists()


def test_a_failed_installation_says_why_and_the_next_start_tries_again(installation: Installation) -> None:
    """What pip prints goes to standard error, whichever way it came."""
    installation.python(pip="echo no network; exit 1")
    done = installation.run("a.sock")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no network" in done.stderr
    assert "cannot install into" in done.stderr

    installation.python()
    assert said(installation.run("a.sock"))


def test_another_lock_file_rebuilds(installation: Installation) -> None:
    installation.python()
    installation.run("a.sock")
    installation.requirements.write_text("# another\n")
    assert said(installation.run("a.sock"))
    assert installation.builds() == 2


def test_an_environment_that_was_moved_is_rebuilt(installation: Installation, tmp_path: Path) -> None:
    installation.python()
    installation.run("a.sock")
    moved = Installation(tmp_path / "elsewhere", installation.programs)
    installation.root.rename(moved.root)
    assert said(moved.run("a.sock"))
    assert moved.builds() == 2


def test_a_python_that_is_gone_rebuilds_with_another(installation: Installation) -> None:
    """As after an upgrade of the system: the environment's python is then a broken link."""
    installation.python()
    installation.run("a.sock")
    (installation.venv / "bin" / "python").unlink()
    (installation.venv / "bin" / "python").symlink_to("/nonexistent/python3.11")
    assert said(installation.run("a.sock"))
    assert installation.builds() == 2


def test_naming_another_python_rebuilds_with_it(installation: Installation) -> None:
    installation.python()
    installation.run("a.sock")
    other = installation.python("my python", pip="echo built by mine")
    done = installation.run("a.sock", COURIER_PYTHON=str(other))
    assert "built by mine" in done.stderr
    assert installation.run("a.sock", COURIER_PYTHON=str(other)).stderr == ""


def test_a_missing_python_is_said_in_one_line(installation: Installation) -> None:
    done = installation.run("a.sock")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "no Python found" in done.stderr
    assert "python3-venv" in done.stderr


def test_a_python_that_is_too_old_is_said_with_its_version(installation: Installation) -> None:
    installation.python("python3", before="sys.version_info = (3, 9, 2, 'final', 0)")
    done = installation.run("a.sock")
    assert done.returncode == 1
    assert done.stderr == (
        "run.sh: python3 is Python 3.9.2, and 3.11 or newer is needed: install one, or name one in COURIER_PYTHON\n"
    )
    assert not installation.venv.exists()


def test_a_python_without_venv_is_said_with_the_package_to_install(installation: Installation) -> None:
    installation.python("python3.11", before="sys.modules['ensurepip'] = None")
    done = installation.run("a.sock")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "lacks venv: install it (Debian, Ubuntu: apt-get install python3-venv)" in done.stderr


def test_a_named_python_that_does_not_start_is_not_passed_over(installation: Installation) -> None:
    installation.python()
    done = installation.run("a.sock", COURIER_PYTHON="/nonexistent/python")
    assert done.returncode == 1
    assert "COURIER_PYTHON is /nonexistent/python, which does not start" in done.stderr


def test_pythons_that_do_not_do_are_passed_over(installation: Installation) -> None:
    """One does not start (pyenv puts such names on the PATH), one lacks venv, one is too old, the last one does."""
    broken = installation.python("python3.13")
    broken.write_text("#!/bin/sh\nexit 127\n")
    installation.python("python3.12", before="sys.modules['ensurepip'] = None")
    installation.python("python3.11", before="sys.version_info = (3, 10, 0, 'final', 0)")
    installation.python("python3", pip="echo built by python3")
    assert "built by python3" in installation.run("a.sock").stderr


def test_the_module_has_the_pid_of_the_shell(installation: Installation) -> None:
    """viam-server signals the process that it started."""
    installation.python()
    process = installation.start("a.sock")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert json.loads(output)["pid"] == process.pid


def test_the_module_does_not_hold_the_lock(installation: Installation) -> None:
    installation.python()
    assert said(installation.run("a.sock"))["descriptors"] == []


def test_relative_arguments_stay_relative_to_the_caller(installation: Installation, tmp_path: Path) -> None:
    """And a folder named `module` there is not taken for ours."""
    installation.python()
    there = tmp_path / "there"
    (there / "module").mkdir(parents=True)
    (there / "module" / "__main__.py").write_text("raise SystemExit('the wrong module')")
    answer = said(installation.run("a.sock", cwd=there))
    assert answer["folder"] == str(there)
    assert answer["file"] == str(installation.root / "module" / "__main__.py")


def test_runs_through_a_chain_of_links(installation: Installation, tmp_path: Path) -> None:
    """A relative link beside an absolute one."""
    installation.python()
    absolute, relative = tmp_path / "absolute", tmp_path / "links" / "relative"
    absolute.symlink_to(installation.run_sh)
    relative.parent.mkdir()
    relative.symlink_to("../absolute")
    answer = said(installation.run("a.sock", program=relative))
    assert answer["file"] == str(installation.root / "module" / "__main__.py")
    assert installation.venv.is_dir()


def test_packages_of_another_python_are_left_out(installation: Installation) -> None:
    installation.python()
    answer = said(installation.run("a.sock", PYTHONPATH="/opt/ros/packages", PYTHONHOME="/nonexistent"))
    assert answer["environment"] == {
        "PYTHONPATH": str(installation.root),
        "PYTHONHOME": None,
        "PYTHONUNBUFFERED": "1",
    }


def test_a_real_environment_is_made(installation: Installation) -> None:
    """With the real venv and the real pip, and a lock file that asks for nothing."""
    answer = said(installation.run("a.sock", COURIER_PYTHON=sys.executable))
    assert answer["arguments"] == ["a.sock"]
    assert (installation.venv / "pyvenv.cfg").exists()
    assert said(installation.run("a.sock", COURIER_PYTHON=sys.executable))
