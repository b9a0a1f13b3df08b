"""Attributes to be accepted or refused, the way the tests of the configuration write them."""

from __future__ import annotations

from typing import Any

import pytest

from module.attributes.uploader import parse
from module.errors import ConfigError

API_KEY = "k3y-that-nobody-may-see"
MACHINE = {
    "VIAM_MODULE_DATA": "/var/data",
    "VIAM_MACHINE_PART_ID": "part-1",
    "VIAM_API_KEY_ID": "key-id-1",
    "VIAM_API_KEY": API_KEY,
}
FOREIGN = (
    "Input should",
    "validation error",
    "type=",
    "pydantic",
    "Extra inputs",
    "Value error",
    "Traceback",
    "NoneType",
)


def accept(attributes: dict[str, Any], *, environ: dict[str, str] = MACHINE) -> None:
    """Parse these attributes."""
    parse(attributes, service="courier", environ=environ)


def refuse(attributes: dict[str, Any], *, environ: dict[str, str] = MACHINE) -> str:
    """Return the text of the refusal, which never holds another's phrasing or the key."""
    with pytest.raises(ConfigError) as refusal:
        accept(attributes, environ=environ)
    told = str(refusal.value)
    assert not [phrase for phrase in FOREIGN if phrase in told]
    assert API_KEY not in told
    return told


def source(**attributes: Any) -> dict[str, Any]:
    return {"sources": [{"name": "s", **attributes}]}


def gate(**attributes: Any) -> dict[str, Any]:
    return source(gate=attributes)


def folder(**attributes: Any) -> dict[str, Any]:
    return {"folders": [{"path": "/logs", **attributes}]}


def only_when(**attributes: Any) -> dict[str, Any]:
    return {"upload": {"only_when": {"sensor": "w", "key": "k", **attributes}}}
