"""The archive's program, as far as it is not the module itself: where it finds the machine's certificates."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.process.rig import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def program() -> ModuleType:
    specification = importlib.util.spec_from_file_location("program", ROOT / "packaging" / "program.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_it_trusts_the_first_bundle_that_the_machine_has(program: ModuleType, tmp_path: Path) -> None:
    here = tmp_path / "bundle.pem"
    here.touch()
    environ = {"SSL_CERT_FILE": ""}
    program.trust(environ, (str(tmp_path / "missing.pem"), str(tmp_path), str(here), str(tmp_path / "later.pem")))
    assert environ == {"SSL_CERT_FILE": str(here)}


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_what_the_user_has_set_stands(program: ModuleType, tmp_path: Path, name: str) -> None:
    environ = {name: "/mine"}
    (tmp_path / "bundle.pem").touch()
    program.trust(environ, (str(tmp_path / "bundle.pem"),))
    assert environ == {name: "/mine"}


def test_without_any_the_library_looks_for_itself(program: ModuleType, tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    program.trust(environ, (str(tmp_path / "missing.pem"),))
    assert not environ


def test_the_archive_says_that_the_demo_is_in_the_source(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything of the module is imported, which would ask for gRPC's C core."""
    monkeypatch.setattr(sys, "argv", ["run.sh", "demo"])
    with pytest.raises(SystemExit, match=r"run it from the source: \./run\.sh demo"):
        program.main()
