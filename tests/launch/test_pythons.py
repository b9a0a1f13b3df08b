"""Which Pythons ``tests/run.sh pythons`` finds, and what it makes of how they do. They are scripts here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import pythons

PYTHON = """#!/bin/sh
case "$1 $2 $3" in
    "-I -c "*) printf '%s\\n' {version} {release} "$0" ;;
    "-I -m venv") mkdir -p "$5/bin" && cp "$0" "$5/bin/python" ;;
    "-I -m pip") echo "$0" >>"{log}" ;;
    "-m module demo") exit {demo} ;;
    "-m pytest "*) echo "what pytest printed"; exit {tests} ;;
esac
"""


class Computer:
    """A computer with these Pythons on its PATH and among pyenv's, and a source with a lock file."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "programs"
        self.pyenv = folder / "pyenv"
        self.root = folder / "root"
        self.log = folder / "pip.log"
        self.programs.mkdir()
        self.root.mkdir()
        (self.root / "requirements-dev.txt").touch()

    def has(self, place: Path, release: str, *, demo: int = 0, tests: int = 0) -> str:
        version = release.rpartition(".")[0]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(PYTHON.format(version=version, release=release, log=self.log, demo=demo, tests=tests))
        place.chmod(0o755)
        return str(place)

    def on_the_path(self, release: str, **ends: int) -> str:
        return self.has(self.programs / f"python{release.rpartition('.')[0]}", release, **ends)

    def of_pyenv(self, release: str) -> str:
        return self.has(self.pyenv / "versions" / release / "bin" / "python", release)


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    made = Computer(tmp_path)
    monkeypatch.setenv("PATH", f"{made.programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("PYENV_ROOT", str(made.pyenv))
    monkeypatch.setattr(pythons, "ROOT", made.root)
    # None of them is a Python of the computer that runs the tests.
    monkeypatch.setattr(pythons, "VERSIONS", ("4.11", "4.12", "4.13"))
    return made


def test_a_python_is_looked_for_on_the_path_and_then_among_pyenvs(computer: Computer) -> None:
    """The newest patch release of those, by number."""
    on_the_path = computer.on_the_path("4.11.2")
    computer.of_pyenv("4.11.7")
    computer.of_pyenv("4.12.9")
    newest = computer.of_pyenv("4.12.10")
    (computer.programs / "python4.12").write_text("#!/bin/sh\nexit 127\n")
    (computer.programs / "python4.12").chmod(0o755)
    assert [each.program for each in pythons.found(pythons.VERSIONS)] == [on_the_path, newest]


def test_all_pass_and_those_that_are_missing_are_named(computer: Computer, capsys: pytest.CaptureFixture[str]) -> None:
    computer.on_the_path("4.11.2")
    computer.of_pyenv("4.12.1")
    assert pythons.main() == 0
    out = capsys.readouterr().out
    for release in ("4.11.2", "4.12.1"):
        assert f"Python {release}: the demo passed" in out
        assert f"Python {release}: the tests passed" in out
    assert "Python 4.13: not found\n" in out
    assert pythons.main() == 0
    assert len(computer.log.read_text().splitlines()) == 2, "an environment was made a second time"


@pytest.mark.parametrize("ends", [{"demo": 1}, {"tests": 1}])
def test_one_that_fails_fails_the_whole_and_shows_what_it_printed(
    computer: Computer, capsys: pytest.CaptureFixture[str], ends: dict[str, int]
) -> None:
    computer.on_the_path("4.11.2", **ends)
    computer.on_the_path("4.12.1")
    assert pythons.main() == 1
    out = capsys.readouterr().out
    assert "Python 4.12.1: the tests passed" in out
    assert f"Python 4.11.2: the {next(iter(ends))} failed" in out
    assert ("what pytest printed" in out) is ("tests" in ends)


def test_to_find_none_is_a_failure(computer: Computer, capsys: pytest.CaptureFixture[str]) -> None:
    assert not computer.log.exists()
    assert pythons.main() == 1
    assert capsys.readouterr().out.count("not found") == 3
