"""run.sh in a folder that its user may not write to: where the environment goes, and that it lasts."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import SHELL_PYTHON, install, said


class ReadOnly:
    """An installation in a folder that nobody may write to, run as a user whom that stops."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.installation = install(folder)
        self.python = self.installation.programs / "python3"
        self.python.write_text(SHELL_PYTHON)
        self.python.chmod(0o755)
        folder.chmod(0o777)
        self.installation.root.chmod(0o555)

    def run(self, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.installation.run_sh), "./a.sock"],
            env=self.installation.environment(**more),
            user=65534 if os.geteuid() == 0 else None,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def read_only() -> Iterator[ReadOnly]:
    with tempfile.TemporaryDirectory() as name:
        made = ReadOnly(Path(name))
        yield made
        made.installation.root.chmod(0o755)


def test_a_read_only_folder_keeps_its_environment_in_the_modules_data_that_a_person_chose(read_only: ReadOnly) -> None:
    data = read_only.folder / "data"
    refused = read_only.run()
    assert refused.returncode == 1
    assert "VIAM_MODULE_DATA is not set" in refused.stderr
    assert said(read_only.run(VIAM_MODULE_DATA=str(data), VIAM_HOME=str(read_only.folder / "home"))) == {}
    assert (data / ".venv" / "courier.stamp").exists()
    read_only.python.unlink()
    assert said(read_only.run(VIAM_MODULE_DATA=str(data))) == {}


def test_a_read_only_folder_keeps_its_environment_where_viam_server_deletes_nothing(read_only: ReadOnly) -> None:
    """And needs no network after its module's folder was deleted, or under another name."""
    home = read_only.folder / "home"
    assert said(read_only.run(VIAM_MODULE_DATA=str(home / "module-data/local/courier"), VIAM_HOME=f"{home}/")) == {}
    (venv,) = (home / "capture-courier" / "local").glob(".venv-*")
    assert (venv / "courier.stamp").exists()
    assert not (home / "module-data").exists()
    read_only.python.unlink()
    assert said(read_only.run(VIAM_MODULE_DATA=str(home / "module-data/local/renamed"), VIAM_HOME=str(home))) == {}


def test_an_environment_at_the_former_place_is_moved_and_not_made_again(read_only: ReadOnly) -> None:
    home, data = read_only.folder / "home", read_only.folder / "home/module-data/local/courier"
    assert said(read_only.run(VIAM_MODULE_DATA=str(data))) == {}, "a start without VIAM_HOME"
    file = (data / ".venv" / "bin" / "python").stat().st_ino
    assert said(read_only.run(VIAM_MODULE_DATA=str(data), VIAM_HOME=str(home))) == {}
    (venv,) = (home / "capture-courier" / "local").glob(".venv-*")
    assert (venv / "bin" / "python").stat().st_ino == file
    assert not (data / ".venv").exists()
    read_only.python.unlink()
    assert said(read_only.run(VIAM_MODULE_DATA=str(data), VIAM_HOME=str(home))) == {}
