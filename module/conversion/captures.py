"""The data manager's capture methods → sources of the uploader."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from module.attributes.allowed import one_of
from module.attributes.api_methods import AUDIO_IN, CAMERA, GETS_IMAGES, method_of, methods_of
from module.attributes.resource_names import last_part
from module.conversion.document import Place, is_variable
from module.conversion.findings import Finding, Kind

_MOST_HZ = 1000
_TIMEOUT_S = 10
_READS_ONE_IMAGE = "ReadImage"
_OF_THE_CLOUD = ("retention_policy", "recent_data_store")
"""Attributes of a capture method that the cloud reads, also if the data manager captures nothing."""
_OF_ITS_FILES = ("capture_queue_size", "capture_buffer_size", "capture_directory", "cache_size_kb")
_KNOWN = {"name", "method", "capture_frequency_hz", "disabled", "tags", "additional_params", *_OF_ITS_FILES}


@dataclass(slots=True)
class Captures:
    """Collects the sources of a machine, and the findings about them."""

    off: Any
    """Whether the data manager captures nothing at all, or a variable; the sources are disabled as it says."""
    findings: list[Finding]
    sources: list[dict[str, Any]] = field(default_factory=list)

    def take(self, methods: list[Place], *, api: str | None, name: str) -> list[dict[str, Any]]:
        """Add the sources of the methods of one resource, or (no ``api``) of a remote; then each names its resource.

        ``name`` is the resource's name, or the remote's prefix. Returns the methods that must stay in the config,
        disabled, because the cloud reads something from them. Raises ConfigError.
        """
        stay = []
        for method in methods:
            self._add(method, api, name)
            if any(method.get(key) for key in _OF_THE_CLOUD):
                stay.append(method.object() | {"disabled": True})
                text = f"stays with the data manager, disabled: the cloud reads {one_of(_OF_THE_CLOUD)} from it"
                self._say(Kind.MAPPED, method, text)
        return stay

    def finished(self) -> list[dict[str, Any]]:
        """Return the sources, each with an id if its name is not unique."""
        names = collections.Counter(source["name"] for source in self.sources)
        bases = collections.Counter(_base(source) for source in self.sources)
        taken = {name for name, count in names.items() if count == 1}
        finished = []
        for source in self.sources:
            if names[source["name"]] == 1:
                finished.append(source)
                continue
            new = next(each for each in _ids(source, is_only=bases[_base(source)] == 1) if each not in taken)
            taken.add(new)
            finished.append({"name": source["name"], "api": source["api"], "id": new} | source)
        return finished

    def _add(self, method: Place, api: str | None, name: str) -> None:
        for key in method.members():
            if key.key in _OF_ITS_FILES:
                self._say(Kind.UNNEEDED, key, "a capture goes to the spool at once")
            elif key.key not in _KNOWN and key.key not in _OF_THE_CLOUD:
                self._say(Kind.LOST, key, "not known to this conversion")
        if api is None:
            api, name = _of_remote(method.need("name"), name)
        wanted = method.need("method").text()
        called = GETS_IMAGES if (api, wanted) == (CAMERA, _READS_ONE_IMAGE) else wanted
        meant = None if is_variable(called) else method_of(api, called)
        if meant is None:
            allowed = one_of([each.name for each in methods_of(api)])
            place = method.need("method")
            self._say(Kind.LOST, place, f"{wanted} of a {api}, which this module cannot capture; it can {allowed}")
            return
        if called != wanted:
            text = f"{wanted} becomes {called}, also in the cloud: every image of the camera, not only one"
            self._say(Kind.DIFFERS, method.need("method"), text)
        source = {"name": name, "api": api, "method": called, **self._schedule(method)}
        source |= self._parameters(method, api, called)
        extra = source.get("extra", {})
        missing = None if any(map(is_variable, extra.values())) else meant.missing_parameter(extra)
        if missing is not None:
            self._say(Kind.LOST, method, f"{called} needs {missing} in additional_params; the data manager fails too")
            return
        period_s = 1 / source["capture_frequency_hz"] if _is_rate(source.get("capture_frequency_hz")) else 0
        if api == AUDIO_IN and period_s >= _TIMEOUT_S:
            # It records for a whole period.
            source["timeout_s"] = period_s + _TIMEOUT_S
        tags = method.get("tags")
        if tags is not None and tags.texts():
            source["tags"] = tags.value
            self._say(Kind.DIFFERS, tags, "added to the service's tags; the data manager ignores those of a method")
        self.sources.append(source)
        self._say(Kind.MAPPED, method, f"{called} of {name}, {_in_words(source)}")

    def _schedule(self, method: Place) -> dict[str, Any]:
        rate, disabled = method.get("capture_frequency_hz"), method.get("disabled")
        hz = 0 if rate is None else rate.number()
        schedule: dict[str, Any] = {}
        if rate is not None and _is_rate(hz) and hz > _MOST_HZ:
            self._say(Kind.LOST, rate, f"{hz:g} Hz; captured at {_MOST_HZ} Hz, the most that this module does")
            hz = _MOST_HZ
        if rate is not None and is_variable(hz):
            text = f"a variable: here it is above 0 and at most {_MOST_HZ}; if a machine has 0, set disabled instead"
            self._say(Kind.DIFFERS, rate, text)
        if hz:
            schedule["capture_frequency_hz"] = hz
        # Without a frequency the data manager captures nothing, but a source would wait for commands.
        reasons = [self.off, False if disabled is None else disabled.flag(), not hz]
        variables = [each for each in reasons if is_variable(each)]
        if True in reasons:
            schedule["disabled"] = True
        elif variables:
            schedule["disabled"] = variables[0]
            if disabled is not None and variables[-1] != variables[0]:
                text = "disabled is the variable of capture_disabled: set it on machines that disable only this capture"
                self._say(Kind.LOST, disabled, text)
        return schedule

    def _parameters(self, method: Place, api: str, called: str) -> dict[str, Any]:
        """Return ``extra`` and ``image`` of a source."""
        given, meant = method.get("additional_params"), method_of(api, called)
        taken = {key for parameter in meant.parameters for key in parameter.keys} if meant is not None else set()
        extra: dict[str, Any] = {}
        result: dict[str, Any] = {}
        for parameter in given.members() if given is not None else ():
            if parameter.key in taken:
                extra[parameter.key] = parameter.value
            elif api == CAMERA and parameter.key == "filter_source_names" and called == GETS_IMAGES:
                result["image"] = {"names": parameter.texts()}
            elif api == CAMERA and parameter.key == "mime_type":
                self._say(
                    Kind.DIFFERS, parameter, "images are sent as the camera returns them; image.format encodes them"
                )
            else:
                self._say(Kind.UNNEEDED, parameter, f"{called} has no parameter of that name")
        return ({"extra": extra} if extra else {}) | result

    def _say(self, kind: Kind, place: Place, text: str) -> None:
        self.findings.append(Finding(kind, place.path, text))


def _of_remote(place: Place, prefix: str) -> tuple[str, str]:
    """Return the API of a remote's resource, and its name on this machine: the remote's prefix and its name."""
    text = place.text()
    api, slash, name = "", "", ""
    if isinstance(text, str):
        api, slash, name = text.partition("/")
    if not slash or not name or api.count(":") != 2:  # noqa: PLR2004 - namespace:component:subtype
        raise place.refused('the full name of a resource of the remote, e.g. "rdk:component:camera/front"')
    # The data manager of today knows it by its prefix too, that of earlier years by the remote.
    own = last_part(name)
    return api, own if own.startswith(prefix) else f"{prefix}{own}"


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0


def _in_words(source: dict[str, Any]) -> str:
    rate = source.get("capture_frequency_hz")
    words = [f"{rate:g} Hz"] if _is_rate(rate) else ["at the variable's rate"] if rate is not None else []
    off = source.get("disabled")
    if off:
        words.append("disabled as the variable says" if is_variable(off) else "disabled")
    return ", ".join(words)


def _base(source: dict[str, Any]) -> str:
    return f"{source['name']}-{source['method']}"


def _ids(source: dict[str, Any], *, is_only: bool) -> Iterator[str]:
    """Yield possible ids of a source: with its method, with a parameter of the method, with a number."""
    parameter = next((value for value in source.get("extra", {}).values() if isinstance(value, str)), None)
    base = _base(source) if is_only or parameter is None else f"{_base(source)}-{parameter}"
    yield base
    for number in itertools.count(2):
        yield f"{base}-{number}"
