"""Every file of ``examples/`` is what it says: it validates, with variables filled in and mods carried out."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from module import UPLOADER_MODEL
from module.attributes.timetable import check_cron
from module.attributes.uploader import Config, parse
from module.commands.arguments import read_all
from module.commands.table import VERBS
from module.conversion.machine import convert

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
FILES = sorted(EXAMPLES.rglob("*.json"))
LOADED: dict[str, dict[str, Any]] = {str(path.relative_to(EXAMPLES)): json.loads(path.read_text()) for path in FILES}
MIGRATIONS = sorted(name for name in LOADED if name.endswith(".before.json"))
FRAGMENT = "fragment.json"
USES_FRAGMENT = sorted(name for name, config in LOADED.items() if "fragments" in config)
# The fragment is seen through the machines that use it, what was before a migration through what comes after it.
WHOLE = sorted(set(LOADED) - set(MIGRATIONS) - {FRAGMENT})
RESOURCES = ("components", "services", "modules", "jobs", "remotes")
DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+")
MACHINE = {"VIAM_MODULE_DATA": "/d", "VIAM_MACHINE_PART_ID": "p", "VIAM_API_KEY_ID": "i", "VIAM_API_KEY": "k"}


def filled(value: Any, variables: dict[str, Any]) -> Any:
    """Put a machine's values in the place of a fragment's variables, as the app does."""
    if isinstance(value, dict):
        if "$variable" in value:
            return variables[value["$variable"]["name"]]
        return {key: filled(each, variables) for key, each in value.items()}
    return [filled(each, variables) for each in value] if isinstance(value, list) else value


def changed(fragment: dict[str, Any], mods: list[dict[str, Any]]) -> dict[str, Any]:
    """Carry out ``$set`` and ``$unset``, whose paths name resources by their names and entries of lists by number."""
    fragment = copy.deepcopy(fragment)
    for mod in mods:
        assert set(mod) <= {"$set", "$unset"}
        for operator, changes in mod.items():
            for path, value in changes.items():
                *way, last = path.split(".")
                at: Any = fragment
                for depth, step in enumerate(way):
                    at = next(each for each in at if each["name"] == step) if depth == 1 else _step(at, step)
                if operator == "$set":
                    at[last] = value
                else:
                    del at[last]
    return fragment


def _step(at: Any, step: str) -> Any:
    return at[int(step)] if isinstance(at, list) else at.setdefault(step, {})


def whole(name: str) -> dict[str, Any]:
    """Give a machine's config as viam-server gets it."""
    machine = copy.deepcopy(LOADED[name])
    mods = machine.pop("fragment_mods", [])
    for used in machine.pop("fragments", []):
        own = [mod for each in mods if each["fragment_id"] == used["id"] for mod in each["mods"]]
        fragment = changed(filled(LOADED[FRAGMENT], used["variables"]), own)
        for key in RESOURCES:
            machine[key] = machine.get(key, []) + fragment.get(key, [])
    return machine


def uploaders(machine: dict[str, Any]) -> dict[str, Config]:
    return {
        service["name"]: parse(service["attributes"], service=service["name"], environ=MACHINE)
        for service in machine["services"]
        if service["model"] == UPLOADER_MODEL
    }


def test_the_examples_are_there() -> None:
    assert set(USES_FRAGMENT) == {"fragment-machine.json", "fragment-machine-with-mods.json"}
    assert {"jobs.json", "two-parts/main.json", "two-parts/press.json", "viam-server.json"} <= set(WHOLE)
    assert len(MIGRATIONS) == 3


@pytest.mark.parametrize("name", WHOLE)
def test_a_machine_is_valid_and_polls_what_it_has(name: str) -> None:
    machine = whole(name)
    parsed = uploaders(machine)
    assert len(parsed) == 1
    assert len([each for each in machine["modules"] if "courier" in each["name"]]) == 1
    remotes = tuple(each["prefix"] for each in machine.get("remotes", []))
    had = {each["name"] for each in machine.get("components", [])}
    for config in parsed.values():
        required, optional = config.dependencies()
        asked = {dependency.rpartition("/")[2] for dependency in required + optional}
        assert not [name for name in asked if name not in had and not name.startswith(remotes or ("-",))]


@pytest.mark.parametrize("name", WHOLE)
def test_jobs_send_commands_that_the_uploader_takes(name: str) -> None:
    machine = whole(name)
    parsed = uploaders(machine)
    for job in machine.get("jobs", []):
        if DURATION.fullmatch(job["schedule"]) is None:
            check_cron(job["schedule"], "UTC")
        assert job["method"] == "DoCommand"
        verb = VERBS[job["command"]["command"]]
        arguments = read_all(verb.name, verb.arguments, job["command"])
        named = [*(arguments.get("sources") or ()), *filter(None, [arguments.get("source")])]
        assert set(named) <= {source.id for source in parsed[job["resource"]].sources}


def test_variables_of_the_fragment_are_those_that_machines_set() -> None:
    names = set(re.findall(r'"\$variable": \{"name": "(\w+)"\}', json.dumps(LOADED[FRAGMENT])))
    assert names
    for name in USES_FRAGMENT:
        (used,) = LOADED[name]["fragments"]
        assert set(used["variables"]) == names


def test_a_machine_keeps_the_fragment_except_what_it_changes() -> None:
    plain, other = (uploaders(whole(name))["uploader"] for name in reversed(USES_FRAGMENT))
    if plain.upload.active_hours:
        plain, other = other, plain
    assert plain.tags == ("plant-7", "hall-b")
    assert other.tags == ("ship-3",)
    assert [source.image.max_width for source in (plain.sources[1], other.sources[1])] == [1280, 640]
    assert (plain.sources[1].image.quality, other.sources[1].image.quality) == (80, 80)
    assert (plain.upload.active_hours, other.upload.active_hours) == ((), ("22:00-05:00",))
    assert (plain.upload.max_bytes_per_s, other.upload.max_bytes_per_s) == (250000, 20000)
    assert (plain.spool.when_full, other.spool.when_full) == ("thin", "drop_oldest")


@pytest.mark.parametrize("before", MIGRATIONS)
def test_the_after_files_of_a_migration_are_what_the_conversion_returns(before: str) -> None:
    conversion = convert(LOADED[before])
    assert conversion.config == LOADED[before.replace("before", "after")]
    assert conversion.complete


def test_two_parts_never_capture_the_same() -> None:
    main, press = (LOADED[f"two-parts/{name}.json"] for name in ("main", "press"))
    of_press = {source.name for source in uploaders(press)["uploader"].sources}
    of_main = {source.name.removeprefix("press-") for source in uploaders(main)["uploader"].sources}
    assert not of_press & of_main
    assert {"oil"} | of_press <= {each["name"] for each in press["components"]}


def test_the_machine_for_viam_server_talks_only_to_this_computer() -> None:
    machine = LOADED["viam-server.json"]
    assert uploaders(machine)["uploader"].cloud.address.startswith("http://127.0.0.1:")
    assert machine["network"]["bind_address"].startswith("127.0.0.1:")
    (module,) = machine["modules"]
    assert (ROOT / module["executable_path"]).is_file()
    assert {each["model"] for each in machine["components"]} == {"rdk:builtin:fake"}


def test_every_example_is_named_in_the_documents() -> None:
    told = "".join((ROOT / "docs" / name).read_text() for name in ("fleets.md", "migration.md"))
    for name in [*LOADED, "local_cloud.py"]:
        assert f"examples/{name}" in told
