"""``run.sh convert`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from module.conversion.main import main
from tests.conversion.test_convert import component, machine, reads


@pytest.mark.parametrize(
    ("text", "status", "printed"),
    [
        (json.dumps(machine(component(reads()))), 0, '"courier:capture:uploader"'),
        (json.dumps(machine(component(reads()), mongo_capture_config={})), 3, '"courier:capture:uploader"'),
        ("{", 1, ""),
        ("[]", 1, ""),
    ],
)
def test_the_command_prints_the_config_and_tells_by_its_status(
    text: str, status: int, printed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "machine.json"
    file.write_text(text)
    assert main([str(file), "--name", "courier"]) == status
    out, err = capsys.readouterr()
    assert printed in out
    assert bool(out) == bool(printed)
    assert err
    if out:
        assert json.loads(out)["services"][-1]["name"] == "courier"


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/nowhere/machine.json"]) == 1
    assert capsys.readouterr().err == "/nowhere/machine.json: cannot be read: No such file or directory\n"
