from __future__ import annotations

import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from module.demo import main as demo
from module.demo.page_server import PageServer
from module.demo.report import Outcome
from module.demo.story import Story
from module.local.viam_server import MachineError
from tests.demo.test_report import GOOD


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Stand in for the story itself, which tests/process/test_demo.py tells in full: its outcome, or its error."""
    ends: list[Any] = []

    async def tell(_: Story) -> Any:
        if isinstance(ends[0], BaseException):
            raise ends[0]
        return ends[0]

    monkeypatch.setattr(Story, "tell", tell)
    monkeypatch.chdir(tmp_path)
    return ends


def test_the_exit_status_is_0_where_all_was_delivered(told: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    told.append(GOOD)
    assert demo.main([]) == 0
    assert "All that was captured was delivered." in capsys.readouterr().out


@pytest.mark.parametrize("changed", [{"failures": 1}, {"exit_code": None}, {"by_method": {}}])
def test_the_exit_status_is_1_with_the_reason_where_something_is_missing(
    told: list[Any], capsys: pytest.CaptureFixture[str], changed: dict[str, Any]
) -> None:
    told.append(replace(GOOD, **changed))
    assert demo.main([]) == 1
    out = capsys.readouterr().out
    assert "WRONG: " in out
    assert "All that was captured" not in out


def test_a_module_that_breaks_down_is_told_and_the_exit_status_is_1(
    told: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    told.append(MachineError("the module ended by itself"))
    assert demo.main([]) == 1
    assert capsys.readouterr().err == "the demo failed: the module ended by itself\n"


def test_ctrl_c_ends_it_without_a_traceback(told: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    told.append(KeyboardInterrupt())
    assert demo.main([]) == 130
    assert "nothing was compared" in capsys.readouterr().out


@pytest.mark.parametrize(("outcome", "status"), [(GOOD, 0), (replace(GOOD, failures=1), 1)])
def test_with_keep_the_page_stays_until_it_is_told_to_end_and_the_exit_status_with_it(
    told: list[Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    outcome: Outcome,
    status: int,
) -> None:
    """By Ctrl-C or SIGTERM; then nothing listens any more."""
    pages: list[PageServer] = []

    class Page(PageServer):
        async def __aenter__(self) -> Self:
            pages.append(self)
            return await super().__aenter__()

    monkeypatch.setattr(demo, "PageServer", Page)
    told.append(outcome)
    seen: list[bytes] = []

    def look() -> None:
        out = ""
        while "The page stays until Ctrl-C: " not in out:
            out += capsys.readouterr().out
            time.sleep(0.01)
        addresses.extend(re.findall(r"http://\S+", out))
        with socket.create_connection(_place(addresses[-1])) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            seen.append(browser.recv(15))
        os.kill(os.getpid(), signal.SIGTERM)

    addresses: list[str] = []
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    assert demo.main(["--keep"]) == status
    looking.join(10)
    assert seen == [b"HTTP/1.1 200 OK"]
    assert len(set(addresses)) == 1
    # Not by its port, which somebody else may have by now.
    (page,) = pages
    assert not page._server.is_serving()


def _place(address: str) -> tuple[str, int]:
    url = urlsplit(address)
    assert url.hostname is not None
    assert url.port is not None
    return url.hostname, url.port


@pytest.mark.parametrize("given", ["4", "3601", "soon", "nan"])
def test_seconds_that_cannot_be_are_refused_with_those_that_can(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        demo.main(["--seconds", given])
    assert f"'{given}' given; allowed is a number from 5 to 3600" in capsys.readouterr().err


def test_each_run_has_a_folder_of_its_own_beside_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = demo._new_folder(None), demo._new_folder(None)
    assert first != second
    assert {first.parent, second.parent} == {tmp_path / "courier-demo"}


def test_a_folder_that_is_asked_for_is_used(tmp_path: Path) -> None:
    assert demo._new_folder(tmp_path / "a" / "b").parent == tmp_path / "a" / "b"


def test_where_the_caller_may_not_write_a_temporary_folder_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda prefix: str(tmp_path / f"{prefix}x"))
    assert demo._new_folder(None).parent == tmp_path / "courier-demo-x"


def test_the_module_is_started_by_run_sh_where_that_made_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo.module_command(tmp_path) == [sys.executable, "-P", "-m", "module"]
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert demo.module_command(tmp_path) == [str(tmp_path / "run.sh")]
