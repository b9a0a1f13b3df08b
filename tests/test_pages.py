"""What the pages show: every example is of a kind that is validated, every command and number is that of the code."""

from __future__ import annotations

import importlib.util
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from module import MODULE_ID, UPLOADER_MODEL, recent
from module.attributes.source import SourceConfig
from module.attributes.timetable import check_cron
from module.attributes.uploader import Config, SpoolConfig, parse
from module.clock import machine_clock
from module.collection import gone_files, readings
from module.commands import arguments, uploads
from module.commands.table import VERBS, run
from module.conversion import settings
from module.courier import courier
from module.courier.carried import Carried
from module.courier.control import Control
from module.delivery import attempts, link, rejections, upload_windows, uploader
from module.delivery.wire import progress
from module.discovery.service import DiscoveryConfig
from module.files import threads
from module.health import readings as health_readings
from module.health import sensor
from module.health.sensor import HealthConfig
from module.network import routes
from module.spool import ballast, claims, gathering, pending, retention
from module.spool.adoption import orphans
from tests.test_documents import FENCES, PAGES, SPANS, _variables
from tests.test_examples import FRAGMENT, LOADED, changed, filled

ROOT = Path(__file__).parent.parent
MACHINE = {"VIAM_MODULE_DATA": "/d", "VIAM_MACHINE_PART_ID": "p", "VIAM_API_KEY_ID": "i", "VIAM_API_KEY": "k"}
BLOCKS = [(name, text) for name, page in PAGES.items() for kind, text in FENCES.findall(page) if kind == "json"]
SHELL = [(name, text) for name, page in PAGES.items() for kind, text in FENCES.findall(page) if kind == "sh"]

# ---------------------------------------------------------------------- examples


def _is_machine(shown: dict[str, Any]) -> bool:
    """Check a machine's config, or a part of one: whatever in it is this module's is valid."""
    if not set(shown) <= {"modules", "components", "services", "remotes", "fragments"}:
        return False
    for each in shown.get("modules", []):
        if each["type"] == "registry":
            assert each["module_id"] == MODULE_ID
        else:
            assert (ROOT / Path(each["executable_path"]).name).is_file()
    for each in (*shown.get("components", []), *shown.get("services", [])):
        namespace, family, model = each["model"].split(":")
        assert f"{namespace}:{family}" == MODULE_ID
        if model == "health":
            HealthConfig.model_validate(each["attributes"])
        elif model == "discovery":
            DiscoveryConfig.model_validate(each["attributes"])
        else:
            assert each["model"] == UPLOADER_MODEL
    return True


def _is_attributes(shown: dict[str, Any], page: str) -> bool:
    if set(shown) <= set(Config.model_fields):
        parse(filled(shown, _variables(page)), service="courier", environ=MACHINE)
        return True
    if set(shown) <= set(SourceConfig.model_fields):
        parse({"sources": [filled(shown, _variables(page))]}, service="courier", environ=MACHINE)
        return True
    return False


def _is_job(shown: dict[str, Any]) -> bool:
    if set(shown) != {"name", "schedule", "resource", "method", "command"}:
        return False
    check_cron(shown["schedule"], "UTC")
    command = shown["command"]
    arguments.read_all(command["command"], VERBS[command["command"]].arguments, command)
    return True


def _is_fragment_mods(shown: dict[str, Any]) -> bool:
    if set(shown) != {"fragment_mods"}:
        return False
    (used,) = LOADED["fragment-machine.json"]["fragments"]
    for each in shown["fragment_mods"]:
        (service,) = filled(changed(LOADED[FRAGMENT], each["mods"]), used["variables"])["services"]
        parse(service["attributes"], service="courier", environ=MACHINE)
    return True


def _is_command(shown: dict[str, Any]) -> bool:
    return isinstance(shown.get("command"), str) and shown["command"] in VERBS


def _is_answer(shown: dict[str, Any]) -> bool:
    """The status and what commands have set: other tests compare them with real answers."""
    return "uptime_s" in shown or set(shown) == {"pause", "set_schedule", "set_tags", "trigger"}


@pytest.mark.parametrize(("name", "text"), BLOCKS, ids=[f"{name}-{n}" for n, (name, _) in enumerate(BLOCKS)])
def test_each_example_is_of_a_kind_that_is_validated(name: str, text: str) -> None:
    shown = json.loads(text)
    kinds = (_is_command, _is_machine, _is_job, _is_fragment_mods, _is_answer)
    assert any(kind(shown) for kind in kinds) or _is_attributes(shown, PAGES[name]), "nothing would notice a mistake"


async def test_what_commands_have_set_has_the_shape_that_the_page_shows(tmp_path: Path) -> None:
    attributes = {
        "sources": [{"name": "imu", "capture_frequency_hz": 1, "gate": {}}],
        "spool": {"directory": str(tmp_path / "spool")},
        "upload": {"disabled": True},
    }
    owner = courier.Courier(Carried(parse(attributes, service="courier", environ={})), {}, logging.getLogger(__name__))
    owner.start()
    control = Control(owner)
    try:
        for command in (
            {"command": "set_schedule", "source": "imu", "interval_s": 1, "for_s": 60},
            {"command": "set_tags", "tags": ["maintenance"], "dataset_ids": []},
            {"command": "trigger", "for_s": 60},
            {"command": "pause", "what": "capture"},
        ):
            await run(control, command)
        commanded = (await run(control, {"command": "status"}))["sources"]["imu"]["commanded"]
    finally:
        await owner.close()
    (shown,) = [json.loads(text) for name, text in BLOCKS if name == "docs/commands.md" and '"trigger": {' in text]
    assert {verb: set(value) for verb, value in commanded.items()} == {verb: set(shown[verb]) for verb in shown}


# ---------------------------------------------------------------------- commands

PROGRAMS = ("module/demo", "module/conversion/main.py", "tests/faults/run.py", "benchmarks/main.py", "benchmarks/fleet")
OF_OTHERS = {"--name", "--public-namespace", "--version", "--platform", "--prefix"}
"""Options of Viam's command line, and of npm."""


def _sources(program: str) -> str:
    path = ROOT / program
    return "".join(each.read_text() for each in ([path] if path.is_file() else sorted(path.rglob("*.py"))))


def _shown_as_code(name: str) -> list[str]:
    return [*SPANS.findall(FENCES.sub("", PAGES[name])), *(text for shown, text in SHELL if shown == name)]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_modules_that_a_page_runs_are_there(name: str) -> None:
    named = re.findall(r"python -m ([\w.]+)", "\n".join(_shown_as_code(name)))
    assert [each for each in named if importlib.util.find_spec(each) is None] == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_options_that_a_page_names_are_taken(name: str) -> None:
    known = "".join(map(_sources, PROGRAMS)) + (ROOT / "run.sh").read_text()
    options = {each for text in _shown_as_code(name) for each in re.findall(r"(?<!\S)--[a-z][a-z-]+", text)}
    assert {each for each in options if not re.search(rf"{each}\b(?!-)", known)} <= OF_OTHERS | {"--help"}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_what_a_page_has_run_sh_do_is_done(name: str) -> None:
    usage = re.findall(r"^(?:usage:)? +run\.sh (\S+)", (ROOT / "run.sh").read_text(), re.MULTILINE)
    checks = (ROOT / "tests/run.sh").read_text()
    for text in _shown_as_code(name):
        for verb in re.findall(r"(?<!/)(?:^|[\s`])(?:\./)?run\.sh ([\w-]+)", text):
            assert verb in usage
        for argument in re.findall(r"tests/run\.sh ([\w./-]+)", text):
            assert f"= {argument} ]" in checks or (ROOT / argument).exists(), argument


# ---------------------------------------------------------------------- numbers

WORDS = {"an eighth": 1 / 8, "one": 1, "two": 2, "four": 4, "ten": 10, "Twenty": 20}
A_DAYS_BYTES = 86_400 * (10 * 350 + 0.1 * (50_000 + 1_100))
"""Ten sensors at 1 Hz and an image of 50 kB every ten seconds, in the spool; each row has 250 bytes as it is sent."""
NUMBERS = [
    ("README.md", r"reading is at most (\d+) MB", readings.MAX_READING_BYTES / 1e6),
    ("SECURITY.md", r"a reading \| (\d+) MB", readings.MAX_READING_BYTES / 1e6),
    ("SECURITY.md", r"`upload_data` \| (\d+) MiB", uploads.MAX_DATA_BYTES / 2**20),
    ("docs/attributes.md", r"stays valid for (\d+) s", upload_windows.STALE_S),
    ("docs/attributes.md", r"after (\d+) ms", routes.FALLBACK_S * 1000),
    ("docs/attributes.md", r"at 8 and rises to (\d+)", uploader._MOST_AT_ONCE),
    ("docs/commands.md", r"(\d+) MiB of data", uploads.MAX_DATA_BYTES / 2**20),
    ("docs/commands.md", r"([\d,]+) rows\. ", uploads.MAX_ROWS),
    ("docs/commands.md", r"A row has at most ([\d,]+) bytes", readings.MAX_READING_BYTES),
    ("docs/commands.md", r"(\d+) objects", readings.MAX_DEPTH),
    ("docs/commands.md", r"`limit` \(10, at most (\d+)\)", recent.MOST),
    ("docs/commands.md", r"uploads above (\d+) MB", progress.LARGE_BYTES / 1e6),
    ("docs/commands.md", r"moved by more than (\d+) s", machine_clock.STEP_US / 1e6),
    ("docs/commands.md", r"At (\d+) s,", pending.MOST_S),
    ("docs/commands.md", r"([\d,]+) captures or", pending.MOST_CAPTURES),
    ("docs/commands.md", r"captures or (\d+) MiB", pending.MOST_BYTES / 2**20),
    ("docs/robot.md", r"more than (\d+) s behind", pending.MOST_S),
    ("docs/robot.md", r"([\d,]+) captures or", pending.MOST_CAPTURES),
    ("docs/robot.md", r"captures or (\d+) MiB", pending.MOST_BYTES / 2**20),
    ("docs/robot.md", r"(\d+) MiB more on the disk", ballast.BALLAST_BYTES / 2**20),
    ("docs/robot.md", r"takes about (\d+) bytes", round(retention.footprint(250), -1)),
    ("docs/robot.md", r"(\d+) MB a day", round(A_DAYS_BYTES / 1e6)),
    ("docs/scale.md", r"\(\*S\* · \*r\* · (\d+)", round(retention.footprint(250), -1)),
    ("docs/scale.md", r"a day needs (\d+) MB", round(A_DAYS_BYTES / 1e6)),
    ("docs/delivery.md", r"reserve file of (\d+) MiB", ballast.BALLAST_BYTES / 2**20),
    ("docs/delivery.md", r"(\w+) megabyte", claims.BATCH_BYTES / 1e6),
    ("docs/delivery.md", r"(\d+) MiB of payloads", uploader.IN_FLIGHT_BYTES / 2**20),
    ("docs/delivery.md", r"opens it for (\d+) minutes", orphans.PATIENCE_S / 60),
    ("docs/delivery.md", r"more than (\d+) days", gone_files.MISSING_DAYS),
    ("docs/delivery.md", r"same for (\d+) s", machine_clock.STANDS_S),
    ("docs/delivery.md", r"more than (\d+) s from the true", machine_clock.STEP_US / 1e6),
    ("docs/delivery.md", r"a lag of (\d+) s", pending.MOST_S),
    ("docs/delivery.md", r"or when ([\d,]+)\s+captures", pending.MOST_CAPTURES),
    ("docs/delivery.md", r"captures or (\d+) MiB", pending.MOST_BYTES / 2**20),
    ("docs/delivery.md", r"in the last (\d+) s before", gathering.ALONE_S),
    ("docs/migration.md", r"`upload.concurrency` \| at most (\d+)", settings._MOST_UPLOADS),
    ("docs/scale.md", r"starts at 8 and rises to (\d+)", uploader._MOST_AT_ONCE),
    ("docs/delivery.md", r"tried (\w+) times", attempts.UNSURE_TRIES),
    ("docs/delivery.md", r"(\w+) rejections in a row", rejections.IN_A_ROW),
    ("docs/delivery.md", r"or (\d+) s if that is more", link._LEAST_CEILING_S),
    ("docs/delivery.md", r"at most (an eighth)", link._FRACTION),
    ("docs/how-it-works.md", r"above ([\d,]+) captures", pending.MOST_CAPTURES),
    ("docs/how-it-works.md", r"After (\d+) rejections", rejections.IN_A_ROW),
    ("docs/how-it-works.md", r"after (\w+) `UNSURE`", attempts.UNSURE_TRIES),
    ("docs/how-it-works.md", r"at most (\w+) per folder", threads.MOST_THREADS),
    ("docs/how-it-works.md", r"(\w+) per service \|\n\| `courier-files", courier.IMAGE_THREADS),
    ("docs/health.md", r"at most (\d+) characters", health_readings._LONGEST),
    ("docs/health.md", r"longer\s+than (\d+) s\)", sensor._ANSWER_S),
]


@pytest.mark.parametrize(("name", "pattern", "number"), NUMBERS)
def test_numbers_of_the_pages_are_those_of_the_code(name: str, pattern: str, number: float) -> None:
    (said,) = {each.replace(",", "") for each in re.findall(pattern, PAGES[name])}
    assert float(WORDS.get(said, said)) == number


def test_the_readme_is_read_in_ten_minutes() -> None:
    """200 lines: whatever else there is to say has a page, to which the README leads."""
    assert len(PAGES["README.md"].splitlines()) <= 200


GROUP_S = SpoolConfig.model_fields["group_s"].default
RISK = f"can lose what was polled in the last {GROUP_S:g} s (`spool.group_s`) plus the time of one sync of the disk"


@pytest.mark.parametrize("name", ["README.md", "docs/commands.md", "docs/delivery.md", "docs/robot.md"])
def test_what_a_power_cut_takes_is_said_in_one_way(name: str) -> None:
    """A page that says it in other words promises something else."""
    page = " ".join(PAGES[name].split())
    assert page.count(f"A power cut or a kill {RISK}") == page.count("A power cut or a kill") > 0
