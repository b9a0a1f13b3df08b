"""null in attributes means left out, through the struct in which they travel too; in ``extra`` it is a value."""

from __future__ import annotations

from typing import Any

import pytest
from viam.proto.app.robot import ComponentConfig
from viam.utils import dict_to_struct

from module.attributes.condition import Condition
from module.attributes.condition import Test as Comparison
from module.attributes.uploader import Config, parse
from module.structs import plain_fields
from tests.attributes.given import MACHINE, refuse


def parsed(attributes: dict[str, Any]) -> Config:
    """Parse attributes that have travelled as viam-server sends them."""
    config = ComponentConfig(attributes=dict_to_struct(attributes))
    return parse(plain_fields(config.attributes), service="courier", environ=MACHINE)


def nulls(names: Any) -> dict[str, None]:
    return dict.fromkeys(names)


def test_null_means_left_out_everywhere() -> None:
    """In each object of the attributes, with every attribute that has a default."""
    plain = parsed({"sources": [{"name": "s", "gate": {}, "on_change": {}, "image": {}}], "folders": [{"path": "/a"}]})
    source, folder = plain.sources[0], plain.folders[0]
    assert source.gate is not None
    gate = nulls(set(type(source.gate).model_fields) - {"equals", "not_equals"})
    of_source = nulls(set(type(source).model_fields) - {"name", "gate", "on_change", "image"})
    attributes = {
        **nulls(set(Config.model_fields) - {"sources", "folders"}),
        "sources": [
            {
                "name": "s",
                "gate": gate,
                "on_change": {"deadband": None, "min_difference": None, "heartbeat_s": None},
                "image": nulls(type(source.image).model_fields),
                **of_source,
            }
        ],
        "folders": [{"path": "/a", **nulls(set(type(folder).model_fields) - {"path"})}],
    }
    assert parsed(attributes) == plain
    of_parts = {part: nulls(type(getattr(plain, part)).model_fields) for part in ("spool", "upload", "cloud")}
    assert parsed({**attributes, **of_parts}) == plain


def test_null_is_what_a_value_is_compared_with() -> None:
    condition = {"sensor": "w", "key": "k", "equals": None}
    only_when = parsed({"upload": {"only_when": condition}}).upload.only_when
    assert only_when is not None
    assert only_when.condition == Condition("k", Comparison.EQUALS, None)


def test_a_key_path_with_null_has_no_deadband() -> None:
    on_change = (
        parsed({"sources": [{"name": "s", "on_change": {"deadband": {"a": 1, "b": None}}}]}).sources[0].on_change
    )
    assert on_change is not None
    assert on_change.deadband == {"a": 1.0}


def test_null_in_extra_is_kept() -> None:
    extra = {"any": [1.0, {"thing": None}], "filter": None}
    assert parsed({"sources": [{"name": "s", "extra": extra}]}).sources[0].extra == extra


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"sources": [{"name": None}]}, "sources[0].name: not given"),
        ({"upload": {"only_when": {"sensor": None, "key": "k"}}}, "upload.only_when.sensor: not given"),
        ({"folders": [{"path": None}]}, "folders[0].path: not given"),
        ({"sources": [None]}, "sources[0]: null given; allowed is an object"),
        ({"tags": [None]}, "tags[0]: null given; allowed is a non-empty text"),
    ],
)
def test_null_is_no_value_of_what_must_be_given(attributes: dict[str, Any], told: str) -> None:
    assert told in refuse(attributes)
