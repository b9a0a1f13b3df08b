"""The rules of the house, read from the imports: who may know whom, and who may meet the outside."""

from __future__ import annotations

import ast
import collections
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from module import IMPORT_ORDER
from tests.syntax import tree_of

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "module").rglob("*.py"))
MOST_LINES = 400

FLOORS = (("module",), *(tuple(f"module.{room}" for room in floor) for floor in IMPORT_ORDER))
"""From the ground up: who stands on a floor may import from those below it, and within its own room."""

OUTSIDE = ("viam", "grpc", "grpclib", "google", "h2", "pycurl")
MEETS_THE_OUTSIDE = (
    "module.structs",
    "module.network",
    "module.collection.sources",
    "module.collection.apis",
    "module.collection.annotations",
    "module.collection.vision",
    "module.collection.readings",
    "module.delivery.outcome",
    "module.delivery.sequence_maker",
    "module.delivery.wire",
    "module.service",
    "module.serving.do_command",
    "module.health.sensor",
    "module.discovery.service",
    "module.serving.log_relay",
    "module.serving.module_server",
    "module.serving.parent",
    "module.local",
    "module.demo",
    "module.__main__",
)
LAZY = ("cv2", "numpy")
"""Tens of megabytes each: nobody pays for them who needs no image worked on."""

CLOCKS_AND_IO = frozenset({"asyncio", "os", "pathlib", "socket", "ssl", "subprocess", "sqlite3", "threading", "time"})
PURE = {
    "module.attributes.condition": CLOCKS_AND_IO,
    "module.attributes.timetable": CLOCKS_AND_IO,
    "module.attributes.api_methods": CLOCKS_AND_IO,
    "module.clock.stamps": CLOCKS_AND_IO,
    # Its paths are pure ones.
    "module.attributes.data_home": CLOCKS_AND_IO - {"pathlib"},
    "module.attributes.resource_names": CLOCKS_AND_IO,
    "module.structs": CLOCKS_AND_IO,
    "module.collection.schedule": CLOCKS_AND_IO,
    "module.collection.images": CLOCKS_AND_IO,
    "module.collection.image_header": CLOCKS_AND_IO,
    "module.collection.image_codec": CLOCKS_AND_IO,
    "module.collection.gate": CLOCKS_AND_IO,
    "module.collection.changes": CLOCKS_AND_IO,
    "module.collection.readings": CLOCKS_AND_IO,
    "module.collection.annotations": CLOCKS_AND_IO,
    "module.collection.wav": CLOCKS_AND_IO,
    "module.network.framing": CLOCKS_AND_IO,
    "module.network.answer": CLOCKS_AND_IO,
    "module.network.address": CLOCKS_AND_IO,
    "module.delivery.backoff": CLOCKS_AND_IO,
    "module.delivery.link": CLOCKS_AND_IO,
    "module.delivery.upload_windows": CLOCKS_AND_IO,
    "module.delivery.rate": CLOCKS_AND_IO,
    # It names the exceptions of these two.
    "module.delivery.outcome": CLOCKS_AND_IO - {"asyncio", "ssl"},
    "module.spool.retention": CLOCKS_AND_IO,
    "module.health.readings": CLOCKS_AND_IO,
    "module.discovery.proposal": CLOCKS_AND_IO,
}
"""What is handed its clock, and what it must not import."""

FILLED = {
    "kept": "what outlives a rebuild: a record that the parts of one source share",
    "_kept": "the same",
    "part": "what one step reads of another spool",
    "outcome": "what a commit has done",
    "left": "the same of jobs that are joined",
    "stamp": "a protobuf message",
    "field": "a protobuf message",
    "values.add()": "a protobuf message",
    "db": "a connection of sqlite3",
    "image": "a message of the SDK",
    "Registry.REGISTERED_APIS()[Generic.API]": "the SDK has no other way in",
    "viam.logging": "the SDK has no other way in",
}
"""Records that a file fills in though their class stands elsewhere, by what they are called there."""

NO_FILES = {"append", "discard", "pause"}
"""Words in literals of a room's docstring that are a method or a command."""

NO_NAME_AT_ALL = {"utils", "util", "helpers", "helper", "common", "manager", "shared", "misc", "globals", "base"}


ASK_A_SERVICE = [path for path in FILES if path.parent.name in ("commands", "health")]
CONTROL = ("control", "self._control")
OF_CONTROL = ("config", "sources")
"""What ``Control`` hands out whole: the frozen attributes, and the sources by their ids."""
PARTS = (
    *(f"courier.{name}" for name in ("courier", "carried", "pause_record", "pause_switch", "status")),
    *("spool", "delivery.uploader", "clock.watch"),
)


@dataclass(frozen=True)
class Import:
    """One module that a file imports."""

    importer: str
    imported: str
    at_start: bool
    """It is imported when the file is, rather than within a function or for type checkers alone."""

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported}"


def name_of(path: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _runs_later(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def imports_of(name: str, source: str) -> Iterator[Import]:
    """The imports of a file, however deep they stand."""
    return _imports_under(tree_of(source), name, at_start=True)


def _imports_under(parent: ast.AST, name: str, *, at_start: bool) -> Iterator[Import]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, at_start)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            assert node.module is not None
            for alias in node.names:
                both = f"{node.module}.{alias.name}"
                # ``from module.delivery import files`` imports a module, ``from module.errors import X`` what is in it.
                known = both in NAMES or not node.module.startswith("module")
                yield Import(name, both if known else node.module, at_start)
        yield from _imports_under(node, name, at_start=at_start and not _runs_later(node))


def assigned_elsewhere(source: str) -> Iterator[tuple[str, str]]:
    """The attributes that a file assigns of objects whose class it does not define: (object, attribute) each."""
    tree = tree_of(source)
    stored = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    own = {node.attr for node in stored if ast.unparse(node.value) == "self"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            own |= {
                field.target.id
                for field in node.body
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            }
    for node in stored:
        if node.attr not in own and ast.unparse(node.value) not in ("self", "cls"):
            yield ast.unparse(node.value).removeprefix("self."), node.attr


def reached_through(source: str) -> Iterator[str]:
    """What a file reads of the parts of ``Control``, and where one goes by a name that this test does not look for."""
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            reaches = ast.unparse(node.value.value) in CONTROL and node.value.attr not in OF_CONTROL
            yield from [ast.unparse(node)] if reaches else []
        elif isinstance(node, ast.arg) and node.annotation and ast.unparse(node.annotation).strip("'") == "Control":
            known = node.arg.strip("_") == "control"
            yield from [] if known else [f"{node.arg}: Control"]


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


NAMES = {name_of(path) for path in FILES}


@functools.cache
def imports() -> tuple[Import, ...]:
    """All imports of the module; read for the first test that asks, as each worker collects the tests."""
    return tuple(found for path in FILES for found in imports_of(name_of(path), path.read_text()))


def imports_of_ours() -> list[Import]:
    return [found for found in imports() if within(found.imported, "module")]


def place_of(name: str) -> tuple[int, str]:
    """A file's floor and room."""
    if name == "module":
        return 0, name
    for level, floor in enumerate(FLOORS):
        for room in floor:
            if room != "module" and within(name, room):
                return level, room
    raise AssertionError(f"{name} has no floor")


def may_import(importer: str, imported: str) -> bool:
    (own_level, own_room), (level, room) = place_of(importer), place_of(imported)
    return level < own_level or room == own_room


def test_every_module_has_its_floor() -> None:
    assert all(place_of(name) for name in NAMES)


def test_imports_lead_downward() -> None:
    """The three wings never know one another."""
    assert [str(found) for found in imports_of_ours() if not may_import(found.importer, found.imported)] == []


def circle_of(name: str, imports: Iterable[Import]) -> list[str]:
    """The way by imports from a file back to itself, the shortest; empty without one."""
    leads = collections.defaultdict(set)
    for found in imports:
        leads[found.importer].add(found.imported)
    ways, seen = collections.deque([[name]]), set[str]()
    while ways:
        way = ways.popleft()
        for to in sorted(leads[way[-1]] - seen):
            if to == name:
                return [*way, to]
            seen.add(to)
            ways.append([*way, to])
    return []


def test_no_file_leads_back_to_itself() -> None:
    """Not for type checkers either: who needs to know the other's type is a part of it."""
    ours = imports_of_ours()
    circles = {name: circle_of(name, ours) for name in NAMES}
    assert {name: circle for name, circle in circles.items() if circle} == {}


def test_the_outside_is_met_in_few_places() -> None:
    met = [found for found in imports() if within(found.imported, *OUTSIDE)]
    assert [str(found) for found in met if not within(found.importer, *MEETS_THE_OUTSIDE)] == []


def test_what_works_on_images_is_imported_when_there_is_one() -> None:
    eager = [found for found in imports() if found.at_start and within(found.imported, *LAZY)]
    assert [str(found) for found in eager if not within(found.importer, "module.demo")] == []


def test_what_is_pure_reads_no_clock_and_touches_nothing() -> None:
    assert [name for name in PURE if name not in NAMES] == []
    of_pure = [found for found in imports() if found.importer in PURE]
    assert [str(found) for found in of_pure if within(found.imported, *PURE[found.importer])] == []


def test_files_are_short_and_have_a_name() -> None:
    files = [path for top in ("module", "tests") for path in sorted((ROOT / top).rglob("*.py"))]
    assert [str(path) for path in files if len(path.read_text().splitlines()) > MOST_LINES] == []
    assert [str(path) for path in files if path.stem.strip("_") in NO_NAME_AT_ALL] == []


def test_no_attribute_of_another_object_is_assigned() -> None:
    """What an object needs is passed to its constructor, and what happens to it is a method's call."""
    assigned = [(name_of(path), *found) for path in FILES for found in assigned_elsewhere(path.read_text())]
    assert [found for found in assigned if found[1] not in FILLED] == []


ROOMS = [path for path in FILES if path.name == "__init__.py"]


@pytest.mark.parametrize("path", ROOMS, ids=name_of)
def test_a_room_names_files_that_it_has(path: Path) -> None:
    """In its docstring, a single word in literals is a file; the module's own names those of all rooms."""
    named = set(re.findall(r"``([a-z][a-z0-9_]*)``", ast.get_docstring(tree_of(path.read_text())) or ""))
    beside = path.parent.rglob("*") if path.parent.name == "module" else path.parent.iterdir()
    assert named - {each.stem for each in beside} <= NO_FILES
    assert path.parent.name == "module" or "Read ``" in path.read_text()


def test_commands_and_health_reach_through_nothing() -> None:
    """They ask ``Control``, and none of the parts of a running service."""
    reached = {name_of(path): list(reached_through(path.read_text())) for path in ASK_A_SERVICE}
    assert {name: found for name, found in reached.items() if found} == {}
    met = [found for found in imports_of_ours() if found.importer in reached]
    assert [str(found) for found in met if within(found.imported, *(f"module.{part}" for part in PARTS))] == []


def test_the_reader_of_what_is_reached_through_sees_it() -> None:
    """What the test above stands on."""
    source = """
def f(control: Control, other: "Control"):
    control.flush(control.config.tags)
    control.store.failures(1)
    self._control.uploader.obstacle
    part = control.spool
"""
    assert set(reached_through(source)) == {
        "other: Control",
        "control.store.failures",
        "self._control.uploader.obstacle",
    }


def test_the_reader_of_assignments_sees_them() -> None:
    """What the test above stands on."""
    source = """
class A:
    field: int
    def f(self, other, b):
        self.own = 1
        self.b.on_drop = f
        other.field, other.own = 1, 2
        b.count += 1
"""
    assert set(assigned_elsewhere(source)) == {("b", "on_drop"), ("b", "count")}


def test_a_circle_is_seen() -> None:
    """What a test above stands on."""
    imports = [Import("a", "b", at_start=True), Import("b", "c", at_start=False), Import("c", "b", at_start=True)]
    assert circle_of("b", imports) == ["b", "c", "b"]
    assert circle_of("a", imports) == []


def test_the_reader_of_imports_sees_them() -> None:
    """What the tests above stand on."""
    source = """
import a.b
from c import d
from module import errors
from module.errors import SpoolFull
if True:
    import e
if TYPE_CHECKING:
    import f
def g():
    import h
async def i():
    from j import k
"""
    found = {each.imported: each.at_start for each in imports_of("x", source)}
    assert {name for name, at_start in found.items() if at_start} == {"a.b", "c.d", "module.errors", "e"}
    assert {name for name, at_start in found.items() if not at_start} == {"f", "h", "j.k"}


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("module.attributes.uploader", "module.errors", True),
        ("module.attributes.uploader", "module.attributes.condition", True),
        ("module.capture", "module.attributes.uploader", False),
        ("module.delivery.attempts", "module.delivery.link", True),
        ("module.delivery.attempts", "module.attributes.uploader", True),
        ("module.delivery.attempts", "module.spool.store", False),
        ("module.collection.folders", "module.delivery.wire.files", False),
        ("module.capture", "module.courier.courier", False),
        ("module.courier.courier", "module.spool.store", True),
        ("module.service", "module.commands.table", True),
        ("module.commands.table", "module.service", False),
        ("module.local.cloud", "module.service", True),
    ],
)
def test_the_floors_mean_what_they_say(importer: str, imported: str, allowed: bool) -> None:
    assert may_import(importer, imported) is allowed
