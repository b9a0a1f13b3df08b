"""``convert`` of what the data manager captures of a remote: viam-server names it by the remote's prefix."""

from __future__ import annotations

import pytest

from module.conversion.findings import Kind
from module.conversion.machine import convert
from tests.conversion.test_convert import component, findings, machine, parsed, reads


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ({}, ["belt", "deep", "line-lid"]),
        ({"prefix": ""}, ["belt", "deep", "line-lid"]),
        ({"prefix": "line-"}, ["line-belt", "line-deep", "line-lid"]),
    ],
)
def test_resources_of_remotes_are_named_by_the_remotes_prefix(prefix: dict[str, str], names: list[str]) -> None:
    """As viam-server names them: with the prefix, which the data manager's name may have already."""
    given = machine()
    methods = [reads(name=f"rdk:component:sensor/{name}") for name in ("belt", "other:deep", "line-lid")]
    given["remotes"] = [{**component(*methods), "name": "line", **prefix}]
    assert [source.name for source in parsed(convert(given)).sources] == names


def test_a_remotes_prefix_that_is_a_variable_is_reported() -> None:
    given = machine()
    prefix = {"$variable": {"name": "line"}}
    given["remotes"] = [{**component(reads(name="rdk:component:sensor/belt")), "name": "line", "prefix": prefix}]
    assert "remotes[0].prefix" in findings(convert(given), Kind.DIFFERS)
