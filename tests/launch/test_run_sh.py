"""How run.sh makes the module's virtual environment, and with which Python."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.installation import Installation, install, said


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Its folder has a space in its name, so that every test runs from such a path."""
    return install(tmp_path)


def stands(process: subprocess.Popen[str], path: Path) -> None:
    """Wait until `path` is there and not empty, which the process makes."""
    deadline = time.monotonic() + 120
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None, "it ended early"
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_first_start_installs_the_lock_with_hashes_and_runs_the_module(installation: Installation) -> None:
    """Which it says on standard output: viam-server takes the other for errors."""
    installation.python()
    done = installation.run("./a.sock", "--log-level=debug")
    assert done.stdout.startswith("run.sh: installing what the module needs into ")
    assert done.stderr == ""
    assert said(done)["arguments"] == ["./a.sock", "--log-level=debug"]
    asked = installation.log.read_text()
    assert "--require-hashes" in asked
    assert "--disable-pip-version-check" in asked
    assert str(installation.requirements) in asked


def test_later_starts_do_not_touch_the_environment(installation: Installation) -> None:
    """Nor do they start, or even need, the Python that it was made with."""
    python = installation.python()
    installation.run("./a.sock")
    python.unlink()
    before = {path: path.stat().st_mtime_ns for path in [installation.venv, *installation.venv.rglob("*")]}
    done = installation.run("./a.sock")
    assert said(done)["arguments"] == ["./a.sock"]
    assert done.stderr == ""
    assert {path: path.stat().st_mtime_ns for path in [installation.venv, *installation.venv.rglob("*")]} == before
    assert installation.builds() == 1


def test_two_at_once_build_once(installation: Installation, tmp_path: Path) -> None:
    go = tmp_path / "go"
    installation.python(pip=f"while [ ! -e '{go}' ]; do sleep 0.02; done")
    first = installation.start("./one")
    stands(first, installation.log)
    second = installation.start("./two")
    assert second.stdout is not None
    assert "waiting for another start" in second.stdout.readline()
    go.touch()
    errors = [process.communicate(timeout=600)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), errors
    assert installation.builds() == 1


def test_a_start_that_was_killed_half_way_is_repaired(installation: Installation) -> None:
    """Nothing of the broken-off environment is left, and its lock is not either."""
    installation.python(pip="sleep 60")
    broken = installation.start("./a.sock")
    stands(broken, installation.log)
    os.killpg(broken.pid, signal.SIGKILL)
    broken.communicate()
    (installation.venv / "half").touch()

    installation.python()
    assert said(installation.run("./a.sock"))["arguments"] == ["./a.sock"]
    assert installation.builds() == 2
    assert not (installation.venv / "half").exists()


def test_a_failed_installation_says_why_and_the_next_start_tries_again(installation: Installation) -> None:
    """What pip prints goes to standard error, whichever way it came."""
    installation.python(pip="echo no network; exit 1")
    done = installation.run("./a.sock")
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert "no network" in done.stderr
    assert "cannot install into" in done.stderr

    installation.python()
    assert said(installation.run("./a.sock"))


def test_another_lock_file_rebuilds(installation: Installation) -> None:
    installation.python()
    installation.run("./a.sock")
    installation.requirements.write_text("# another\n")
    assert said(installation.run("./a.sock"))
    assert installation.builds() == 2


def test_an_environment_that_was_moved_is_rebuilt(installation: Installation, tmp_path: Path) -> None:
    installation.python()
    installation.run("./a.sock")
    moved = Installation(tmp_path / "elsewhere", installation.programs)
    installation.root.rename(moved.root)
    assert said(moved.run("./a.sock"))
    assert moved.builds() == 2


def test_a_python_that_is_gone_rebuilds_with_another(installation: Installation) -> None:
    """As after an upgrade of the system: the environment's python is then a broken link."""
    installation.python()
    installation.run("./a.sock")
    (installation.venv / "bin" / "python").unlink()
    (installation.venv / "bin" / "python").symlink_to("/nonexistent/python3.11")
    assert said(installation.run("./a.sock"))
    assert installation.builds() == 2


def test_naming_another_python_rebuilds_with_it(installation: Installation) -> None:
    installation.python()
    installation.run("./a.sock")
    other = installation.python("my python", pip="echo built by mine")
    done = installation.run("./a.sock", COURIER_PYTHON=str(other))
    assert "built by mine" in done.stderr
    assert installation.run("./a.sock", COURIER_PYTHON=str(other)).stderr == ""


def test_a_missing_python_is_said_in_one_line(installation: Installation) -> None:
    done = installation.run("./a.sock")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "no Python found" in done.stderr
    assert "python3-venv" in done.stderr


def test_a_python_that_is_too_old_is_said_with_its_version(installation: Installation) -> None:
    installation.python("python3", before="sys.version_info = (3, 9, 2, 'final', 0)")
    done = installation.run("./a.sock")
    assert done.returncode == 1
    assert done.stderr == (
        "run.sh: python3 is Python 3.9.2, and a release of 3.11 or newer is needed: install one, or name one in "
        "COURIER_PYTHON\n"
    )
    assert not installation.venv.exists()


@pytest.mark.parametrize("name", ["python3.11", "python3"])
def test_a_python_without_venv_is_said_with_the_package_to_install(installation: Installation, name: str) -> None:
    """Of its own version, which is not the system's on Ubuntu 22.04."""
    before = "sys.modules['ensurepip'] = None; sys.version_info = (3, 11, 4, 'final', 0)"
    installation.python(name, before=before)
    done = installation.run("./a.sock")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "lacks venv: install it (Debian, Ubuntu: apt-get install python3.11-venv)" in done.stderr


PRE_RELEASE = "sys.version_info = (3, 11, 0, 'candidate', 1)"


def test_a_pre_release_is_passed_over_and_said(installation: Installation) -> None:
    """As Ubuntu 22.04's python3.11 is: pip takes it for older than 3.11."""
    installation.python("python3.11", before=PRE_RELEASE)
    installation.python("python3", pip="echo built by python3")
    done = installation.run("./a.sock")
    assert "built by python3" in done.stderr
    assert "run.sh: python3.11 is Python 3.11.0rc1, a pre-release, and is passed over\n" in done.stdout


@pytest.mark.parametrize("named", [True, False])
def test_a_pre_release_by_itself_is_refused(installation: Installation, named: bool) -> None:
    python = installation.python("python3.11", before=PRE_RELEASE)
    installation.python("python3", before="sys.version_info = (3, 10, 12, 'final', 0)")
    done = installation.run("./a.sock", COURIER_PYTHON=str(python) if named else "")
    assert done.returncode == 1
    assert "is Python 3.11.0rc1, a pre-release, and a release of 3.11 or newer is needed" in done.stderr
    assert not installation.venv.exists()


def test_a_named_python_that_does_not_start_is_not_passed_over(installation: Installation) -> None:
    installation.python()
    done = installation.run("./a.sock", COURIER_PYTHON="/nonexistent/python")
    assert done.returncode == 1
    assert "COURIER_PYTHON is /nonexistent/python, which does not start" in done.stderr


def test_pythons_that_do_not_do_are_passed_over(installation: Installation) -> None:
    """One does not start (pyenv puts such names on the PATH), one lacks venv, one is too old, the last one does."""
    broken = installation.python("python3.13")
    broken.write_text("#!/bin/sh\nexit 127\n")
    installation.python("python3.12", before="sys.modules['ensurepip'] = None")
    installation.python("python3.11", before="sys.version_info = (3, 10, 0, 'final', 0)")
    installation.python("python3", pip="echo built by python3")
    assert "built by python3" in installation.run("./a.sock").stderr


def test_the_module_has_the_pid_of_the_shell(installation: Installation) -> None:
    """viam-server signals the process that it started."""
    installation.python()
    process = installation.start("./a.sock")
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert json.loads(output.splitlines()[-1])["pid"] == process.pid


def test_the_module_does_not_hold_the_lock(installation: Installation) -> None:
    installation.python()
    assert said(installation.run("./a.sock"))["descriptors"] == []


def test_relative_arguments_stay_relative_to_the_caller(installation: Installation, tmp_path: Path) -> None:
    """And a folder named `module` there is not taken for ours."""
    installation.python()
    there = tmp_path / "there"
    (there / "module").mkdir(parents=True)
    (there / "module" / "__main__.py").write_text("raise SystemExit('the wrong module')")
    answer = said(installation.run("./a.sock", cwd=there))
    assert answer["folder"] == str(there)
    assert answer["file"] == str(installation.root / "module" / "__main__.py")


def test_runs_through_a_chain_of_links(installation: Installation, tmp_path: Path) -> None:
    """A relative link beside an absolute one."""
    installation.python()
    absolute, relative = tmp_path / "absolute", tmp_path / "links" / "relative"
    absolute.symlink_to(installation.run_sh)
    relative.parent.mkdir()
    relative.symlink_to("../absolute")
    answer = said(installation.run("./a.sock", program=relative))
    assert answer["file"] == str(installation.root / "module" / "__main__.py")
    assert installation.venv.is_dir()


def test_packages_of_another_python_are_left_out(installation: Installation) -> None:
    installation.python()
    answer = said(installation.run("./a.sock", PYTHONPATH="/opt/ros/packages", PYTHONHOME="/nonexistent"))
    assert answer["environment"] == {
        "PYTHONPATH": str(installation.root),
        "PYTHONHOME": None,
        "PYTHONUNBUFFERED": "1",
    }


@pytest.mark.slow
def test_a_real_environment_is_made(installation: Installation) -> None:
    """With the real venv and the real pip, and a lock file that asks for nothing."""
    answer = said(installation.run("./a.sock", COURIER_PYTHON=sys.executable))
    assert answer["arguments"] == ["./a.sock"]
    assert (installation.venv / "pyvenv.cfg").exists()
    assert said(installation.run("./a.sock", COURIER_PYTHON=sys.executable))
