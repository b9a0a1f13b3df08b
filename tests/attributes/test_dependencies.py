"""Which resources a config asks viam-server for, and which of them the service cannot start without."""

from __future__ import annotations

from typing import Any

from module.attributes.uploader import Config, parse
from tests.attributes.given import MACHINE

CAMERA = "rdk:component:camera"
SENSOR = "rdk:component:sensor"


def parsed(attributes: dict[str, Any]) -> Config:
    return parse(attributes, service="courier", environ=MACHINE)


def test_dependencies_are_optional_unless_a_source_requires_them() -> None:
    config = parsed(
        {
            "sources": [
                {"name": "cam1", "api": CAMERA, "required": True},
                {"name": "cam1", "api": CAMERA, "id": "again"},
                {"name": "a", "required": True},
                {"name": "a", "id": "a2", "gate": {"sensor": "w", "key": "k"}},
                {"name": "b", "gate": {"vision": "v", "camera": "c"}},
                {"name": "d", "disabled": True, "required": True, "gate": {"sensor": "a", "key": "k"}},
                {"name": "remote:e"},
            ],
            "upload": {"only_when": {"sensor": "sync", "key": "should_sync"}},
        }
    )
    required, optional = config.dependencies()
    assert required == ["rdk:component:camera/cam1", "a"]
    assert optional == ["b", "d", "remote:e", "e", "w", "v", "c", "sync"]


def test_a_name_with_a_remote_is_asked_for_as_viam_server_may_know_it_and_is_never_required() -> None:
    """A prefix may end in a colon; by its API and a remote viam-server passes it by a name that it does not serve."""
    sources = [
        {"name": "far:a", "required": True},
        {"name": "far:b", "api": CAMERA, "required": True},
        {"name": "far:c", "gate": {"sensor": "far:d", "key": "k"}},
    ]
    assert parsed({"sources": sources}).dependencies() == (
        [],
        ["far:a", "a", "far:b", f"{CAMERA}/b", "far:c", "c", "far:d", "d"],
    )


def test_a_service_depends_not_on_itself() -> None:
    """viam-server refuses that, or, if the API is given, passes the service to itself and rebuilds it for ever."""
    generic = "rdk:service:generic"
    command = {"extra": {"command": {"command": "status"}}}
    sources = [
        {"name": "courier", "required": True},
        {"name": "courier", "id": "by api", "api": generic, **command},
        {"name": "courier", "id": "another", "api": SENSOR},
    ]
    config = parsed({"sources": sources})
    assert config.dependencies() == ([], [f"{SENSOR}/courier"])
    assert [source.is_this_service for source in config.sources] == [True, True, False]


def test_nothing_depends_on_nothing() -> None:
    assert parsed({}).dependencies() == ([], [])
