"""Converts a whole machine's config: adds the uploader, and switches the data manager off."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from module import MODULE_ID, UPLOADER_MODEL
from module.attributes.uploader import parse
from module.conversion.captures import Captures
from module.conversion.document import Place, is_variable
from module.conversion.findings import Finding, Kind
from module.conversion.settings import Settings
from module.errors import ConfigError

_MODULE = {"type": "registry", "name": MODULE_ID.replace(":", "_"), "module_id": MODULE_ID, "version": "latest"}
_MANAGER = "rdk:service:data_manager"
_MACHINE = {"VIAM_MODULE_DATA": "/", "VIAM_MACHINE_PART_ID": "-", "VIAM_API_KEY_ID": "-", "VIAM_API_KEY": "-"}
"""Variables that a machine has and this program does not."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A machine's config with the uploader, and the findings about each part of the data manager's."""

    config: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def complete(self) -> bool:
        """Whether the machine captures and uploads everything that it did before."""
        return not any(finding.kind is Kind.LOST for finding in self.findings)


def convert(config: Any, *, name: str = "uploader", drain: bool = False) -> Conversion:
    """Return the config of a machine, or a fragment, with an uploader of that name in place of the data manager.

    The data manager stays in the config, but captures and syncs nothing; with ``drain`` it still syncs what it has
    captured before. A fragment's variable is kept if its value is used unchanged. Raises ConfigError, which names the
    path in the config.
    """
    root = Place("", config)
    root.each("modules")
    converted: dict[str, Any] = copy.deepcopy(root.object())
    findings: list[Finding] = []
    manager = _manager(root)
    _refuse_converted(root, name)
    off = manager is not None and _flag(manager, "capture_disabled")
    captures = Captures(off=off, findings=findings)
    found = [_take(captures, *resource, converted) for resource in _resources(root, findings)]
    if manager is None and not any(found):
        hint = "; the JSON of a fragment has what is in the fragment" if root.each("fragments") else ""
        raise ConfigError(f"the config: it has neither a data manager nor a capture method{hint}")
    if manager is None:
        text = "this config has no data manager beside these capture methods: switch off the one that runs them"
        findings.append(Finding(Kind.DIFFERS, "services", text))
    settings = Settings(manager, findings)
    attributes = {"sources": captures.finished(), **settings.finished()}
    if manager is not None:
        _switch_off(manager, converted, settings, findings, drain=drain)
    _note_fragments(root, findings)
    _add(converted, name, attributes)
    try:
        parse(_filled(attributes), service=name, environ=_MACHINE)
    except ConfigError as error:
        raise ConfigError(f"the uploader that this would make: {error}") from error
    return Conversion(converted, tuple(findings))


def _resources(root: Place, findings: list[Finding]) -> Iterator[tuple[Place, str | None, str]]:
    """Yield everything that may have capture methods: a resource with its API and name, a remote with its prefix."""
    for kind in ("component", "service"):
        for place in root.each(f"{kind}s"):
            api = _api(place, kind)
            yield place, api, _name(place) if "service_configs" in place.object() else ""
    for place in root.each("remotes"):
        yield place, None, _prefix(place, findings)


def _name(resource: Place) -> str:
    name = resource.need("name")
    if is_variable(name.value):
        raise name.refused("a text: a source and its id need the resource's name")
    return str(name.text())


def _prefix(remote: Place, findings: list[Finding]) -> str:
    """Return the prefix of a remote's resources; empty if it is a variable, and then the report says so."""
    prefix = remote.get("prefix")
    if prefix is None or prefix.value == "":
        return ""
    if is_variable(prefix.value):
        text = "a variable: put it before the names of this remote's resources in sources"
        findings.append(Finding(Kind.DIFFERS, prefix.path, text))
        return ""
    return str(prefix.text())


def _api(place: Place, kind: str) -> str:
    if (api := place.get("api")) is not None:
        return str(api.text())
    namespace, subtype = place.get("namespace"), place.need("type")
    return f"{namespace.text() if namespace else 'rdk'}:{kind}:{subtype.text()}"


def _manager(root: Place) -> Place | None:
    managers = [place for place in root.each("services") if _api(place, "service") == _MANAGER]
    if len(managers) > 1:
        raise ConfigError(f"{managers[1].path}: a second data manager; allowed is one")
    return managers[0] if managers else None


def _refuse_converted(root: Place, name: str) -> None:
    for place in [*root.each("components"), *root.each("services")]:
        if place.object().get("model") == UPLOADER_MODEL:
            raise ConfigError(f"{place.path}: this is an uploader already")
        if place.object().get("name") == name:
            raise ConfigError(f"{place.path}.name: {json.dumps(name)} is taken; name the uploader with --name")


def _flag(manager: Place, key: str) -> Any:
    attributes = manager.get("attributes")
    found = attributes.get(key) if attributes is not None else None
    return found is not None and found.flag()


def _take(captures: Captures, place: Place, api: str | None, name: str, converted: dict[str, Any]) -> bool:
    """Turn a resource's capture methods into sources, and remove them; returns whether there were any."""
    had = False
    kept = []
    for config in place.each("service_configs"):
        kind, attributes = config.need("type").text(), config.get("attributes")
        left = copy.deepcopy(config.object())
        if kind in (_MANAGER, "data_manager") and attributes is not None:
            methods = attributes.each("capture_methods")
            had = had or bool(methods)
            left["attributes"].pop("capture_methods", None)
            if stay := captures.take(methods, api=api, name=name):
                left["attributes"]["capture_methods"] = stay
            if not left["attributes"]:
                continue
        kept.append(left)
    _at(converted, place).pop("service_configs", None)
    if kept:
        _at(converted, place)["service_configs"] = kept
    return had


def _at(converted: dict[str, Any], place: Place) -> dict[str, Any]:
    """Return the object of the converted config at the path of an entry of a top-level list."""
    key, _, index = place.path.rstrip("]").partition("[")
    found: dict[str, Any] = converted[key][int(index)]
    return found


def _switch_off(
    manager: Place, converted: dict[str, Any], settings: Settings, findings: list[Finding], *, drain: bool
) -> None:
    """Make the data manager capture nothing, and sync nothing or only what it has captured before."""
    if drain and settings.within is not None:
        text = "is in capture_dir, and --drain would upload its files a second time"
        raise ConfigError(
            f"{settings.within.path}: {text}; let the data manager sync all of it first, and convert without --drain"
        )
    own: dict[str, Any] = _at(converted, manager).setdefault("attributes", {})
    own.pop("additional_sync_paths", None)
    own["capture_disabled"] = True
    where = own.get("capture_dir") or "~/.viam/capture"
    if drain:
        text = f"stays, and only syncs what it has captured before, in {where}"
    else:
        own["sync_disabled"] = True
        text = f"stays, and does nothing; what it has captured and not synced lies in {where}: --drain has it sync that"
    findings.append(Finding(Kind.DIFFERS, manager.path, text))


def _note_fragments(root: Place, findings: list[Finding]) -> None:
    text = "not in this file: convert what the fragment itself holds"
    findings += [Finding(Kind.DIFFERS, place.path, text) for place in root.each("fragments")]
    text = "it changes the data manager or its captures: change services.<uploader>.attributes instead"
    for place in root.each("fragment_mods"):
        mods = json.dumps(place.object().get("mods", []))
        if any(word in mods for word in ("service_configs", "capture_", "sync_", "data_manager", "data-management")):
            findings.append(Finding(Kind.LOST, place.path, text))


def _add(converted: dict[str, Any], name: str, attributes: dict[str, Any]) -> None:
    modules: list[Any] = converted.setdefault("modules", [])
    if not any(isinstance(each, dict) and each.get("module_id") == _MODULE["module_id"] for each in modules):
        modules.append(dict(_MODULE))
    uploader = {"name": name, "api": "rdk:service:generic", "model": UPLOADER_MODEL, "attributes": attributes}
    converted.setdefault("services", []).append(uploader)


def _filled(value: Any) -> Any:
    """Return the attributes without variables; a variable that must have a value becomes a text."""
    if isinstance(value, dict) and not is_variable(value):
        filled = {key: "x" if key == "sensor" and is_variable(each) else _filled(each) for key, each in value.items()}
        if isinstance(value.get("extra"), dict):
            filled["extra"] = {key: "x" if is_variable(each) else each for key, each in value["extra"].items()}
        return {key: each for key, each in filled.items() if not is_variable(each)}
    if isinstance(value, list):
        filled_list = [_filled(each) for each in value if not is_variable(each)]
        return [
            each
            for each in filled_list
            if not (isinstance(each, dict) and "after_upload" in each and "path" not in each)
        ]
    return value
