"""The documents against the code and one another: links, tables, commands, the status, and the texts of messages."""

from __future__ import annotations

import ast
import functools
import itertools
import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from module import UPLOADER_MODEL
from module.attributes.gate import GateConfig
from module.attributes.image import ImageConfig
from module.attributes.on_change import OnChangeConfig
from module.attributes.source import SourceConfig
from module.attributes.uploader import (
    CloudConfig,
    Config,
    FolderConfig,
    OnlyWhenConfig,
    SpoolConfig,
    UploadConfig,
    parse,
)
from module.collection.apis import METHODS
from module.commands.arguments import read_all
from module.commands.table import VERBS, run
from module.courier.carried import Carried
from module.courier.control import Control
from module.courier.courier import Courier
from tests.syntax import tree_of
from tests.test_examples import filled

ROOT = Path(__file__).parent.parent
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
FENCES = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPANS = re.compile(r"`([^`]+)`")
ATTRIBUTES = PAGES["docs/attributes.md"]
COMMANDS = PAGES["docs/commands.md"]
TOP_FOLDERS = "benchmarks|docs|examples|module|packaging|tests"
MODELS: dict[str, type[BaseModel]] = {
    "top-level": Config,
    "source": SourceConfig,
    "image": ImageConfig,
    "on_change": OnChangeConfig,
    "gate": GateConfig,
    "folder": FolderConfig,
    "spool": SpoolConfig,
    "upload": UploadConfig,
    "only_when": OnlyWhenConfig,
    "cloud": CloudConfig,
}
"""By the anchor of the section that has its table."""
OPERANDS = {"equals", "not_equals", "above", "below"}
"""Told beside `key`, as at most one of them stands there."""


def without_code(page: str) -> str:
    return FENCES.sub("", page)


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}


def table(page: str, anchor: str) -> list[dict[str, str]]:
    """The rows of the first table of a section, by the heads of its columns."""
    for heading in re.finditer(r"^#+ +(.+)$", page, re.MULTILINE):
        if re.sub(r"[^\w-]", "", heading[1].lower().replace(" ", "-")) == anchor:
            lines = itertools.dropwhile(lambda line: not line.startswith("|"), page[heading.end() :].splitlines())
            cells = [_cells(line) for line in itertools.takewhile(lambda line: line.startswith("|"), lines)]
            return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]
    raise AssertionError(f"no section {anchor}")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def links() -> Iterator[tuple[str, str]]:
    for name, page in PAGES.items():
        for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", without_code(page)):
            yield name, target[0] or target[1]


@pytest.mark.parametrize(("name", "target"), [each for each in links() if "://" not in each[1]])
def test_links_lead_to_files_and_headings(name: str, target: str) -> None:
    file, _, anchor = target.partition("#")
    path = (ROOT / name).parent / file if file else ROOT / name
    assert path.exists(), target
    assert not anchor or anchor in anchors(path.read_text()), target


@pytest.mark.parametrize("name", sorted(PAGES))
def test_files_that_a_page_names_are_there(name: str) -> None:
    """Where it names them with their folder; what is made by a command, and not kept, has none of these."""
    named = [span for span in SPANS.findall(PAGES[name]) if re.fullmatch(rf"(?:{TOP_FOLDERS})/[\w./-]*", span)]
    assert [each for each in named if not (ROOT / each).exists()] == []


def test_the_readme_leads_to_every_page() -> None:
    """No page is found by chance alone."""
    assert set(PAGES) - {"README.md"} <= {target for name, target in links() if name == "README.md"}


# ---------------------------------------------------------------------- the uploader's pages


@pytest.mark.parametrize("anchor", MODELS)
def test_each_table_has_all_attributes_and_no_others(anchor: str) -> None:
    named = [name for row in table(ATTRIBUTES, anchor) for name in SPANS.findall(row["attribute"])]
    if issubclass(MODELS[anchor], GateConfig | OnlyWhenConfig):
        (key,) = [row for row in table(ATTRIBUTES, anchor) if row["attribute"] == "`key`"]
        assert set(SPANS.findall(key["meaning"])) >= OPERANDS
        named += OPERANDS
    assert sorted(named) == sorted(MODELS[anchor].model_fields)


def _defaults(anchor: str) -> Iterator[tuple[str, str]]:
    for row in table(ATTRIBUTES, anchor):
        names = SPANS.findall(row["attribute"])
        told = SPANS.findall(row["default"]) or [row["default"]]
        yield from zip(names, told if len(told) == len(names) else told * len(names), strict=True)


def _read(told: str) -> Any:
    """A default as the tables write it."""
    unit = re.fullmatch(r"(\d+) (MiB|GiB)", told)
    if unit:
        return int(unit[1]) * {"MiB": 1024**2, "GiB": 1024**3}[unit[2]]
    try:
        read = json.loads(told)
    except ValueError:
        return told
    return tuple(read) if isinstance(read, list) else read


@pytest.mark.parametrize(
    ("anchor", "name", "told"),
    [(anchor, name, told) for anchor in MODELS for name, told in _defaults(anchor)],
)
def test_defaults_are_those_of_the_code(anchor: str, name: str, told: str) -> None:
    field = MODELS[anchor].model_fields[name]
    if not told:
        return
    if told == "required":
        assert field.is_required()
        return
    default = None if field.default_factory is not None else field.default
    if _read(told) == default:
        return
    # "always", "off", "by API", a variable: words for nothing; and {} for an object that has defaults of its own.
    assert re.fullmatch(r"\{\}|\u2013|\$.*|[a-z][\w' ]*|name", told), told
    empty = default is None or default in ((), "") or isinstance(default, BaseModel)
    assert empty or (isinstance(default, SecretStr) and not default.get_secret_value()), (told, default)


def test_the_table_of_methods_has_all_of_them_by_api() -> None:
    told: set[tuple[str, str]] = set()
    api = ""
    for row in table(ATTRIBUTES, "method"):
        api = row["API"] if row["API"].startswith("any") else (SPANS.findall(row["API"]) or [api])[0]
        told |= {(api, name) for name in SPANS.findall(row["`method`"].split("(")[0])}
    assert told == {*METHODS, ("any component", "GetWorldPose"), ("any", "DoCommand")}


def test_the_table_of_commands_has_all_verbs_and_arguments() -> None:
    told: dict[str, set[str]] = {}
    for row in table(COMMANDS, "all-commands"):
        arguments = set(SPANS.findall(re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", "", row["arguments (default)"])))
        told |= dict.fromkeys(SPANS.findall(row["verb"]), arguments)
    assert told == {name: {argument.name for argument in verb.arguments} for name, verb in VERBS.items()}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_commands_of_a_page_are_taken(name: str) -> None:
    fenced = [json.loads(text) for language, text in FENCES.findall(PAGES[name]) if language == "json"]
    found = [each for each in fenced if isinstance(each.get("command"), str)]
    for command in found:
        read_all(command["command"], VERBS[command["command"]].arguments, command)


def _attributes_shown(page: str) -> Iterator[dict[str, Any]]:
    """The uploader's attributes among a page's examples: alone, or in a machine's config."""
    for shown in [json.loads(text) for language, text in FENCES.findall(page) if language == "json"]:
        yield from (each["attributes"] for each in shown.get("services", []) if each["model"] == UPLOADER_MODEL)
        if set(shown) <= set(Config.model_fields):
            yield shown


@pytest.mark.parametrize("name", sorted(name for name, page in PAGES.items() if any(_attributes_shown(page))))
def test_examples_of_a_page_are_valid(name: str) -> None:
    machine = {"VIAM_MODULE_DATA": "/d", "VIAM_MACHINE_PART_ID": "p", "VIAM_API_KEY_ID": "i", "VIAM_API_KEY": "k"}
    for shown in _attributes_shown(PAGES[name]):
        parse(filled(shown, _variables(PAGES[name])), service="courier", environ=machine)


def _variables(page: str) -> dict[str, Any]:
    """The values that the machines of a page give to a fragment's variables."""
    shown = [json.loads(text) for language, text in FENCES.findall(page) if language == "json"]
    return {
        key: value for each in shown for used in each.get("fragments", []) for key, value in used["variables"].items()
    }


def test_each_recipe_has_a_config_and_is_found_from_the_top() -> None:
    led_to = set(re.findall(r"\]\(#([\w-]+)\)", PAGES["docs/recipes.md"].split("\n## ")[0]))
    assert led_to == anchors(PAGES["docs/recipes.md"]) - {"recipes"}
    recipes = re.split(r"^## ", PAGES["docs/recipes.md"], flags=re.MULTILINE)[1:]
    assert len(recipes) == 11
    assert all(list(_attributes_shown(recipe)) for recipe in recipes)


async def test_the_status_has_the_shape_that_the_page_shows(tmp_path: Path) -> None:
    attributes = {
        "sources": [{"name": "imu", "capture_frequency_hz": 20}],
        "folders": [{"path": str(tmp_path / "robot")}],
        "spool": {"directory": str(tmp_path / "spool")},
        "upload": {"disabled": True},
    }
    courier = Courier(Carried(parse(attributes, service="courier", environ={})), {}, logging.getLogger(__name__))
    courier.start()
    try:
        await run(Control(courier), {"command": "start_sequence"})
        status = await run(Control(courier), {"command": "status"})
    finally:
        await courier.close()
    (shown,) = [json.loads(text) for _, text in FENCES.findall(COMMANDS) if '"uptime_s"' in text]
    assert shown["upload"].pop("large")
    assert status["upload"].pop("large") == []
    assert shown["spool"].pop("orphans")
    assert status["spool"].pop("orphans") == []
    for part in ("sources", "folders"):
        (shown[part],), (status[part],) = shown[part].values(), status[part].values()
    assert _shape(status) == _shape(shown)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    return [_shape(each) for each in value] if isinstance(value, list) and value and isinstance(value[0], dict) else ...


PLAIN_WORDS = {
    r"gives|gave|give back": "returns",
    r"where": "if, when, or the place itself",
    r"but for": "except",
    r"else": "otherwise, other",
    r"alone": "only",
    r"anew": "again",
    r"mend(?:s|ed|ing)?": "fix",
    r"told|tells?": "logged, set, says",
    r"has no like": "has no equivalent",
    r"in the way|in its way": "blocking",
    r"last word": "last answer",
    r"handed|hands? (?:over|in|out|on)": "passed",
    r"go(?:es)? on|went on": "continue",
    r"of (?:its|their|our|your|his) own": "its",
    r"what (?:is|was|are|were|does|did|has|have|can) (?:not|no)": "the noun: 'unfinished uploads', not 'what did not'",
}
"""What a reader with English as a second language has to read twice → what to write instead."""
HARD_WORDS = re.compile(rf"\b(?:{'|'.join(PLAIN_WORDS)})\b", re.IGNORECASE)
PLACES = re.compile(
    r"where (?:the data lies|it (?:is|lies)|they are|to (?:start|read on)|each run makes|viam-server deletes nothing)",
    re.IGNORECASE,
)
"""Here "where" is a place, and no condition: as common as a word can be."""


CODE = sorted((ROOT / "module").rglob("*.py"))


def hard_words(text: str) -> list[str]:
    """The words of a text that have a plainer one; in `code` and in the targets of links they are names."""
    return HARD_WORDS.findall(PLACES.sub("", re.sub(r"`+[^`]*`+|\]\([^)]*\)", "", text)))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_no_page_has_a_word_with_a_plainer_one(name: str) -> None:
    found = {word: line for line in without_code(PAGES[name]).splitlines() for word in hard_words(line)}
    assert not found, PLAIN_WORDS


# ---------------------------------------------------------------------- messages


@functools.cache
def _texts() -> tuple[str, ...]:
    """Every text of the module's code, with … for everything that is put in; read for the first test that asks."""
    return tuple(_texts_in_code())


def _texts_in_code() -> Iterator[str]:
    for path in CODE:
        tree = tree_of(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield re.sub(r"%[.\d]*[a-z]", "…", node.value)


def _lines_of_run_sh() -> Iterator[str]:
    for line in re.sub(r'\$\{\w+:-"', '"', (ROOT / "run.sh").read_text()).splitlines():
        yield re.sub(r"\$\{?\w+(?:[#%:][^}]*)?\}?", "…", re.sub(r"\b(note|die) \"", "run.sh: ", line))


@functools.cache
def texts() -> tuple[str, ...]:
    """Read for the first test that asks, as each worker collects the tests."""
    return (*_texts(), *_lines_of_run_sh())


def test_no_message_has_a_word_with_a_plainer_one() -> None:
    """SQL writes WHERE, and most lines of run.sh are code."""
    said = [text.replace("WHERE", "") for text in _texts() if " " in text]
    said += [line for line in _lines_of_run_sh() if "run.sh: " in line]
    assert {text: hard_words(text) for text in said if hard_words(text)} == {}, PLAIN_WORDS


# ---------------------------------------------------------------------- docstrings


def _docstrings(node: ast.AST, *, public: bool = True) -> Iterator[str]:
    """The docstrings of public modules, classes, functions and attributes."""
    name = ""
    for statement in getattr(node, "body", ()):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            if public and isinstance(statement.value.value, str) and not name.startswith("_"):
                yield statement.value.value
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            name = ast.unparse(target).removeprefix("self.")
        elif hasattr(statement, "body"):
            name, inside = "", getattr(statement, "name", "")
            yield from _docstrings(statement, public=public and (not inside.startswith("_") or inside.endswith("__")))


@pytest.mark.parametrize("room", sorted({str(path.parent.relative_to(ROOT)) for path in CODE}))
def test_no_public_docstring_has_a_word_with_a_plainer_one(room: str) -> None:
    public = [text for path in CODE if path.parent == ROOT / room for text in _docstrings(tree_of(path.read_text()))]
    assert {text: hard_words(text) for text in public if hard_words(text)} == {}, PLAIN_WORDS


@functools.cache
def seams() -> list[tuple[Sequence[str], Sequence[str]]]:
    """Where one text is put into the gap of another: it begins there, and ends there."""
    return [
        ([gap for text in texts() for gap in text.split("…")[:-1]], texts()),
        (texts(), [gap for text in texts() for gap in text.split("…")[1:]]),
    ]


def is_said(stretch: str) -> bool:
    """Whether a text of the code holds it, or two of which one is put into the other."""
    inside = [stretch, *(stretch.replace(text, "…") for text in texts() if " " in text and text in stretch)]
    if any(each in text for text in texts() for each in inside):
        return True
    for seam in (place.start() for place in re.finditer(r"[ ;]", stretch)):
        before, after = (re.escape(part.strip()) for part in (stretch[:seam], stretch[seam:]))
        ends, begins = re.compile(rf"(?:^|\W){before}\s*$"), re.compile(rf"\s*{after}(?!\w)")
        if any(any(map(ends.search, first)) and any(map(begins.match, second)) for first, second in seams()):
            return True
    return False


def _messages() -> Iterator[str]:
    for row in re.findall(r"^\| (.+?) \|", PAGES["docs/troubleshooting.md"], re.MULTILINE):
        yield from (span for span in SPANS.findall(row) if " " in span)


@pytest.mark.parametrize("message", sorted(set(_messages())))
def test_messages_that_are_explained_are_said(message: str) -> None:
    for stretch in message.split("…"):
        assert is_said(stretch.strip(" :;,.")), stretch


@pytest.mark.parametrize("stretch", ["the spool is on fire", "which has no", "is held by another instance; waiting"])
def test_a_message_that_nobody_says_is_found(stretch: str) -> None:
    """What the test above stands on; the second is two texts, one of them put into the other."""
    assert is_said(stretch) is (stretch != "the spool is on fire")
