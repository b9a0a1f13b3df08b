"""What the registry is told in meta.json, and the README and the pages that it points at and shows."""

from __future__ import annotations

import ast
import importlib
import json
import os
import pkgutil
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from viam.resource.registry import Registry

import module
from module.attributes.uploader import Config, parse
from module.discovery.service import DiscoveryConfig
from module.health.sensor import HealthConfig
from tests.syntax import tree_of

ROOT = Path(__file__).parent.parent
META: dict[str, Any] = json.loads((ROOT / "meta.json").read_text())
README = (ROOT / "README.md").read_text()
FENCES = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [json.loads(text) for language, text in FENCES.findall(README) if language == "json"]
UPLOADER, HEALTH, DISCOVERY = (f"{module.MODULE_ID}:{model}" for model in ("uploader", "health", "discovery"))
PAGES = [(ROOT / "docs" / f"{model}.md").read_text() for model in ("uploader", "health", "discovery")]
EXAMPLES_OF_PAGES = [
    json.loads(text) for page in PAGES for language, text in FENCES.findall(page) if language == "json"
]


def anchors(page: str = README) -> dict[str, str]:
    """Give the body of each section of a page by its heading's anchor, as the registry's uploader cuts it."""
    headings = list(re.finditer(r"^(#+) +(.+)$", page, re.MULTILINE))
    sections = {}
    for place, heading in enumerate(headings):
        after = (other.start() for other in headings[place + 1 :] if len(other[1]) <= len(heading[1]))
        anchor = re.sub(r"[^\w-]", "", heading[2].lower().replace(" ", "-"))
        sections[anchor] = page[heading.end() : next(after, len(page))]
    return sections


def resources(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every component and service that these examples configure."""
    return [made for each in examples for made in (*each.get("components", []), *each.get("services", []))]


def services(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the attributes of every uploader that these examples configure."""
    configured = [made["attributes"] for made in resources(examples) if made["model"] == UPLOADER]
    # Beside them stand commands, which name sources too, and a status.
    others = [each for each in examples if "command" not in each and "version" not in each]
    return configured + [each for each in others if each.keys() & Config.model_fields.keys()]


def test_what_the_schema_requires_is_there_and_of_its_form() -> None:
    """As https://dl.viam.dev/module.schema.json has it."""
    assert META["$schema"] == "https://dl.viam.dev/module.schema.json"
    assert META["module_id"] == module.MODULE_ID
    assert META["visibility"] in {"private", "public", "public_unlisted"}
    assert re.fullmatch(r"https://\S+", META["url"])
    assert META["description"]
    for model in META["models"]:
        assert re.fullmatch(r"[^:]+:[^:]+:[^:]+", model["api"])
        assert model["model"].startswith(META["module_id"] + ":")
        assert model["short_description"]


def test_the_entrypoint_is_executable() -> None:
    assert os.access(ROOT / META["entrypoint"], os.X_OK)


def test_markdown_links_lead_to_the_attributes_of_each_model() -> None:
    assert META["markdown_link"] == "README.md"
    for model in META["models"]:
        file, _, anchor = model["markdown_link"].partition("#")
        assert re.search("^##+ Attributes$", anchors((ROOT / file).read_text())[anchor], re.MULTILINE)


@pytest.mark.parametrize("page", [README, *PAGES], ids=["readme", "uploader", "health", "discovery"])
def test_links_within_a_page_lead_to_headings(page: str) -> None:
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(anchors(page))


@pytest.mark.parametrize("page", [README, *PAGES], ids=["readme", "uploader", "health", "discovery"])
def test_no_code_of_a_page_looks_like_a_heading(page: str) -> None:
    """The registry's uploader takes every line that begins with # for one."""
    assert not [text for _, text in FENCES.findall(page) if re.search("^#", text, re.MULTILINE)]


def test_models_are_those_that_the_module_registers() -> None:
    for each in pkgutil.iter_modules(module.__path__):
        if each.name != "__main__" and not each.ispkg:
            importlib.import_module(f"module.{each.name}")
    registered = {name for name in Registry.REGISTERED_RESOURCE_CREATORS() if f"/{module.NAMESPACE}:" in name}
    assert registered == {f"{model['api']}/{model['model']}" for model in META["models"]}


def test_configs_of_the_readme_and_the_pages_are_valid(tmp_path: Path) -> None:
    environ = {
        "VIAM_MODULE_DATA": str(tmp_path),
        "VIAM_MACHINE_PART_ID": "part",
        "VIAM_API_KEY_ID": "id",
        "VIAM_API_KEY": "key",
    }
    for examples in (services(EXAMPLES), services(EXAMPLES_OF_PAGES)):
        assert examples
        for attributes in examples:
            parsed = parse(attributes, service="courier", environ=environ)
            assert len(parsed.sources) == len(attributes.get("sources", []))
    for made in resources(EXAMPLES + EXAMPLES_OF_PAGES):
        if made["model"] == HEALTH:
            assert HealthConfig.model_validate(made["attributes"]).service == "courier"
        if made["model"] == DISCOVERY:
            assert DiscoveryConfig.model_validate(made["attributes"]).daily_budget_bytes > 0


def test_modules_of_the_readme_are_this_one() -> None:
    modules = [each for example in EXAMPLES for each in example.get("modules", [])]
    assert {each["type"] for each in modules} == {"registry", "local"}
    assert {each["module_id"] for each in modules if each["type"] == "registry"} == {META["module_id"]}
    assert {Path(each["executable_path"]).name for each in modules if each["type"] == "local"} == {META["entrypoint"]}
    models = {(each["api"], each["model"]) for each in resources(EXAMPLES + EXAMPLES_OF_PAGES)}
    assert models == {(each["api"], each["model"]) for each in META["models"]}


def test_no_code_but_one_line_knows_the_namespace() -> None:
    """So that the module can be published under another; docstrings and examples name it for people."""
    strings = [
        (path.relative_to(ROOT), node.value)
        for path in (ROOT / "module").rglob("*.py")
        for node in ast.walk(tree_of(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.startswith("``")
    ]
    assert not [found for found in strings if re.search(rf"\b{module.NAMESPACE}[:_]{module.FAMILY}", found[1])]


def test_the_cloud_build_runs_what_is_there() -> None:
    """Each command is an executable script of this source; the archive lies where build.sh puts it by itself."""
    build = META["build"]
    for command in (build["setup"], build["build"]):
        assert os.access(ROOT / command, os.X_OK), command
    assert f"archive=${{1:-{build['path']}}}" in (ROOT / "build.sh").read_text()
    assert build["arch"] == ["linux/amd64", "linux/arm64", "darwin/arm64"]


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt", "requirements-build.txt"])
def test_lock_files_pin_every_dependency_with_hashes(lock: str) -> None:
    """And name no host to install from."""
    text = (ROOT / lock).read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==\S+(?: ;[^\\]+)? \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[^\s#]", text, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"])
    wanted += project["dependency-groups"].get(lock.removeprefix("requirements-").removesuffix(".txt"), [])
    assert {re.split("[<>=]", each)[0] for each in wanted} <= set(pinned)
    assert "://" not in text
    assert "--index-url h" not in text


def test_the_lock_files_agree() -> None:
    """What is tested and what is packed is what robots install."""
    pin = re.compile(r"^([a-z0-9-]+==\S+(?: ;[^\\]+)?)", re.MULTILINE)
    of_robots, *others = (
        set(pin.findall((ROOT / f"requirements{of}.txt").read_text())) for of in ("", "-dev", "-build")
    )
    assert of_robots
    for of_others in others:
        assert of_robots <= of_others
