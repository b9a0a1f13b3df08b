"""What run.sh makes of its command line, before anything is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.installation import Installation, install, said


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Its folder has a space in its name, so that every test runs from such a path."""
    return install(tmp_path)


def test_without_arguments_prints_usage_and_exits_2(installation: Installation) -> None:
    done = installation.run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: run.sh SOCKET")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["dmo"], "demo"),
        (["Help"], "help"),
        (["conver", "machine.json"], "convert"),
        (["--hlep"], "--help"),
        (["a.sock", "--log-level=debug"], None),
        (["--log-level=debug"], None),
    ],
)
def test_a_mistyped_command_exits_2_with_those_that_exist_and_the_nearest(
    installation: Installation, arguments: list[str], meant: str | None
) -> None:
    """And installs nothing."""
    installation.python()
    done = installation.run(*arguments)
    assert (done.returncode, done.stdout, installation.builds()) == (2, "", 0)
    said, usage = done.stderr.splitlines()[:2]
    assert said.startswith(f"run.sh: {arguments[0]} is no command, and no path or address of a socket")
    assert said.endswith(f"; did you mean {meant}?") if meant else "did you mean" not in said
    assert usage.startswith("usage: run.sh SOCKET")
    assert all(f"run.sh {command} " in done.stderr for command in ("demo", "convert", "help", "--version"))


@pytest.mark.parametrize("address", ["/a/socket", "a/socket", "127.0.0.1:5000"])
def test_a_path_or_an_address_is_a_socket(installation: Installation, address: str) -> None:
    """An address is what viam-server's TCP mode passes."""
    installation.python()
    assert said(installation.run(address, "--tcp-mode"))["arguments"] == [address, "--tcp-mode"]


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["help"], ["help", "demo"], ["./a.sock", "--help"]])
def test_help_prints_the_usage_and_installs_nothing(installation: Installation, arguments: list[str]) -> None:
    installation.python()
    done = installation.run(*arguments)
    assert (done.returncode, done.stderr, installation.builds()) == (0, "", 0)
    assert done.stdout.startswith("usage: run.sh SOCKET")


@pytest.mark.parametrize("arguments", [["--version"], ["./a.sock", "--version"]])
def test_the_version_is_the_module_s(installation: Installation, arguments: list[str]) -> None:
    (installation.root / "module" / "__init__.py").write_text('"""What it is."""\n\n__version__ = "1.2.3"\n')
    installation.python()
    done = installation.run(*arguments)
    assert (done.returncode, done.stdout, installation.builds()) == (0, "capture-courier 1.2.3\n", 0)


@pytest.mark.parametrize("command", ["demo", "convert"])
@pytest.mark.parametrize("asked", ["-h", "--help", "help"])
def test_a_command_is_asked_for_its_own_help(installation: Installation, command: str, asked: str) -> None:
    installation.python()
    wanted = asked if asked.startswith("-") else "--help"
    assert said(installation.run(command, asked))["arguments"] == [command, wanted]


def test_standard_output_of_convert_is_only_the_document(installation: Installation) -> None:
    """What the first start says goes to standard error."""
    installation.python()
    done = installation.run("convert", "machine.json")
    assert json.loads(done.stdout)["arguments"] == ["convert", "machine.json"]
    assert "installing what the module needs" in done.stderr
