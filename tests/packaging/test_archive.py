"""The registry's archive, built once for these sources: unpacked where nothing else is, it does the main job."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from module import __version__
from tests.namespaces import unshared
from tests.packaging import build
from tests.process.rig import ROOT

pytestmark = pytest.mark.slow

META: dict[str, Any] = json.loads((ROOT / "meta.json").read_text())
MOST_BYTES = 120_000_000
FIRST_START_S = 1.5
PATH = "/usr/bin:/bin"
PROGRAM = "program/capture-courier"

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc and at network namespaces")


@pytest.fixture(scope="module")
def archive() -> Path:
    """Built now, unless that has been done before."""
    return build.archive()


@pytest.fixture(scope="module")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the archive's content; its name has a space."""
    folder = tmp_path_factory.mktemp("unpacked") / "an empty folder"
    with tarfile.open(archive) as packed:
        # Patch releases before 3.11.4 have no filters.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(folder)  # noqa: S202 - made by this test
    return folder


@pytest.fixture(scope="module")
def seen(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the journey saw, on a machine with no network, no Python of its own on the PATH, and no home."""
    folder = tmp_path_factory.mktemp("journey")
    environ = {"PATH": PATH, "HOME": str(folder), "PYTHONPATH": str(ROOT), "PIP_NO_INDEX": "1"}
    command = [*unshared("n"), sys.executable, "-m", "tests.packaging.journey", str(unpacked), str(folder)]
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_the_archive_is_small_enough(archive: Path) -> None:
    assert archive.stat().st_size <= MOST_BYTES


def test_it_holds_what_meta_json_starts_and_viam_server_can_unpack(archive: Path) -> None:
    """viam-server and the uploader refuse links that are absolute or lead upwards."""
    with tarfile.open(archive) as packed:
        members = {member.name: member for member in packed.getmembers()}
    assert {name.partition("/")[0] for name in members} == {
        "CHANGELOG.md", "LICENSE", "README.md", "meta.json", "program", "run.sh",
    }  # fmt: skip
    for name in (META["entrypoint"], PROGRAM):
        assert members[name].isfile()
        assert members[name].mode & 0o111 == 0o111
    assert all(member.mode & 0o444 == 0o444 for member in members.values())
    links = [member.linkname for member in members.values() if member.issym() or member.islnk()]
    assert not [link for link in links if link.startswith("/") or ".." in Path(link).parts]


def test_it_holds_every_licence_and_nothing_that_only_builds(archive: Path) -> None:
    with tarfile.open(archive) as packed:
        names = set(packed.getnames())
    licences = {name.split("/")[3] for name in names if name.startswith("program/_internal/licences/")}
    assert {"opencv-python-headless", "numpy", "viam-sdk", "grpclib", "protobuf", "pydantic", "cronsim"} <= licences
    assert not licences & {"grpcio", "pyinstaller", "pip", "setuptools"}
    assert not [name for name in names if "/grpc/" in name or "/tests/" in name or "viam_rust_utils" in name]
    assert "program/_internal/tzdata/zoneinfo/Europe/Berlin" in names


@linux
def test_its_own_interpreter_runs_and_loads_no_python_of_the_machine(seen: dict[str, Any], unpacked: Path) -> None:
    assert seen["executable"] == str(unpacked / PROGRAM)
    assert str(unpacked / "program/_internal/cv2/cv2.abi3.so") in seen["mapped"]
    foreign = [file for file in seen["mapped"] if not file.startswith(str(unpacked))]
    assert not [file for file in foreign if "python" in file.lower() or "site-packages" in file]


@linux
@pytest.mark.skipif(not unshared("n"), reason="the system lets nobody make a network namespace here")
def test_there_was_no_network(seen: dict[str, Any]) -> None:
    assert seen["interfaces"] == ["lo"]


@linux
def test_it_captures_and_delivers_by_all_five_methods(seen: dict[str, Any]) -> None:
    """Over TLS, on a cron in a time zone that only the archive knows, with an image encoded again."""
    assert all(seen["by_method"].values()), seen["by_method"]
    assert len(seen["by_method"]) == 5
    # Uploads that run at once may arrive in any order.
    assert sorted(seen["numbers"]) == list(range(1, len(seen["numbers"]) + 1))
    assert seen["image"] == ["image/webp", 64]
    assert seen["files"] == ["by a command", "from a folder"]
    for source in seen["sources"].values():
        assert source["captured"] > 0
        assert source["errors"] == source["dropped"] == 0, source


@linux
def test_health_and_discovery_are_in_it(seen: dict[str, Any]) -> None:
    assert seen["health"] == {"ok": True, "reason": ""}
    assert seen["discovered"][0] == "rdk:service:generic/courier:capture:uploader"


@linux
def test_it_ends_cleanly_on_request(seen: dict[str, Any]) -> None:
    assert seen["exit"] == 0
    assert "Traceback" not in seen["printed"]


@linux
def test_its_first_start_takes_no_more_than_a_second_and_a_half(seen: dict[str, Any]) -> None:
    """From the process's start to its Ready; nothing is left behind that a later start would profit from.

    Without the time that other programs had the processors, and the best of some where the first was slow.
    """
    own = [start["taken_s"] - start["waited_s"] for start in seen["starts"]]
    assert min(own) <= FIRST_START_S, seen["starts"]


def test_convert_is_in_it_and_the_demo_says_where_it_is(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text(json.dumps({"components": [], "services": []}))
    environ = {"PATH": PATH, "HOME": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(unpacked / "run.sh"), *arguments]
        return subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    assert "machine.json" in run("convert", "machine.json").stderr
    assert "run it from the source" in run("demo").stderr
    assert run().stderr.startswith("usage: run.sh SOCKET")
    assert run("--version").stdout == f"capture-courier {__version__}\n"


def test_run_sh_hands_all_to_the_program_beside_it_and_looks_for_no_python(tmp_path: Path) -> None:
    """Also where it is reached through a link. The program's spare libraries are for systems that have none."""
    spare = tmp_path / "program" / "_internal" / "spare"
    spare.mkdir(parents=True)
    program = tmp_path / PROGRAM
    program.write_text('#!/bin/sh\nprintf "%s|" "$0" "$@" "${LD_LIBRARY_PATH:-}"\n')
    has = any(Path("/usr").glob("lib*/**/libexpat.so.1")) or any(Path("/").glob("lib*/**/libexpat.so.1"))
    program.chmod(0o755)
    shutil.copy(ROOT / "run.sh", tmp_path)
    (tmp_path / "link").symlink_to("run.sh")
    for name in ("run.sh", "link"):
        command = [str(tmp_path / name), "./a socket", "--log-level=debug"]
        done = subprocess.run(command, env={"PATH": PATH}, capture_output=True, text=True, timeout=60, check=False)
        libraries = "" if has else spare.resolve()
        assert done.stdout == f"{program.resolve()}|./a socket|--log-level=debug|{libraries}|", done.stderr
