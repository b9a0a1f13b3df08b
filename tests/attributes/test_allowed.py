"""How attributes that are wrong are refused: the path, what was given, what is allowed, all of it at once."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from module.attributes.uploader import parse
from module.errors import ConfigError
from tests.attributes.given import API_KEY, MACHINE, accept, folder, gate, only_when, refuse, source

CAMERA_API = "rdk:component:camera"
NAMES = "a resource's name"
PATHS = 'an absolute path without ".."'
NO_KEY = "a dotted path into the sensor's readings"


@pytest.mark.parametrize(
    ("attributes", "path", "allowed"),
    [
        ({"sources": [{}]}, "sources[0].name", NAMES),
        ({"folders": [{}]}, "folders[0].path", PATHS),
        (gate(sensor="w"), "sources[0].gate.key", NO_KEY),
        ({"upload": {"only_when": {"key": "k"}}}, "upload.only_when.sensor", NAMES),
        ({"upload": {"only_when": {"sensor": "w"}}}, "upload.only_when.key", NO_KEY),
        (folder(after_upload="move"), "folders[0].move_to", "an absolute path, which after_upload: move needs"),
    ],
)
def test_what_is_missing_is_named_with_what_is_allowed(attributes: dict[str, Any], path: str, allowed: str) -> None:
    assert refuse(attributes) == f"{path}: not given; allowed is {allowed}"


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"source": []}, "source: no such attribute; did you mean sources?"),
        (source(intervall_s=1.0), "sources[0].intervall_s: no such attribute; did you mean interval_s?"),
        (source(Interval_S=1.0), "sources[0].Interval_S: no such attribute; did you mean interval_s?"),
        (
            source(image={"widht": 1.0, "max_widht": 1.0}),
            "sources[0].image.max_widht: no such attribute; did you mean max_width?",
        ),
        (
            gate(conditions={}),
            "sources[0].gate.conditions: no such attribute; known are sensor, key, equals, not_equals, above, ",
        ),
        (only_when(equal=1.0), "upload.only_when.equal: no such attribute; did you mean equals?"),
        (folder(xyz=1.0), "folders[0].xyz: no such attribute; known are path, include, exclude, recursive, settle_s, "),
        ({"spool": {"max_byte": 1.0}}, "spool.max_byte: no such attribute; did you mean max_bytes?"),
        ({"cloud": {"api_kee": API_KEY}}, "cloud.api_kee: no such attribute; did you mean api_key?"),
        ({"bad name\n": 1.0}, '"bad name\\n": no such attribute; known are sources, folders, tags, '),
        ({"x" * 5000: 1.0}, f'"{"x" * 78}…: no such attribute; known are sources, '),
    ],
)
def test_the_refusal_of_an_unknown_attribute_names_the_nearest_or_all(attributes: dict[str, Any], told: str) -> None:
    assert told in refuse(attributes)


def test_all_refusals_come_at_once() -> None:
    """Those between attributes stand beside those of single ones, over all parts."""
    told = refuse(
        {
            "sources": [
                {"name": "a", "priority": 99.0, "interval_s": 1.0, "cron": "* * * * *", "zzz": 1.0},
                {"interval_s": 0.0},
                {"name": "a"},
            ],
            "folders": [{"path": "/x", "settle_s": -1.0, "after_upload": "move"}],
            "tags": [1.0],
            "spool": {"sync": "off"},
            "upload": {"retry_initial_s": 400.0, "concurrency": 0.0},
            "cloud": {"address": "http://a"},
            "what": 1.0,
        },
        environ={},
    )
    paths = set(re.findall(r"(?:^|; )([a-z_]+[\w.\[\]]*): ", told))
    assert paths == {
        *("sources[0].priority", "sources[0].cron", "sources[0].zzz", "sources[1].name", "sources[1].interval_s"),
        *("sources[2].id", "folders[0].settle_s", "folders[0].move_to", "tags[0]", "spool.sync", "spool.directory"),
        *("upload.retry_max_s", "upload.concurrency", "cloud.address", "cloud.part_id", "cloud.api_key_id"),
        *("cloud.api_key", "what"),
    }


def test_the_refusal_of_two_sources_on_one_resource_asks_for_ids() -> None:
    told = refuse({"sources": [{"name": "cam"}, {"name": "cam", "method": "NextPointCloud"}]})
    assert told.startswith('sources[1].id: "cam" given; allowed is an id that no other source has (two sources')
    assert "`id`" in told


@pytest.mark.parametrize("wrong", [{"interval_s": 0.0}, {"api": "camera"}])
def test_an_id_is_unique_though_the_other_source_is_wrong(wrong: dict[str, Any]) -> None:
    told = refuse({"sources": [{"name": "a", **wrong}, {"name": "b", "id": "a"}]})
    assert f"sources[0].{next(iter(wrong))}: " in told
    assert "sources[1].id: " in told


def test_a_wrong_name_is_refused_once() -> None:
    """The id that would follow from it is nobody's second mistake."""
    assert refuse({"sources": [{"name": 5.0}]}).count("sources[0]") == 1


def test_without_a_directory_both_ways_to_give_one_are_named() -> None:
    for data in ({}, {"VIAM_MODULE_DATA": ""}, {"VIAM_MODULE_DATA": "relative"}):
        environ = {**MACHINE, "VIAM_MODULE_DATA": "", **data}
        told = refuse({}, environ=environ)
        assert told.startswith("spool.directory: not given; allowed is an absolute path in spool.directory")
        assert "VIAM_MODULE_DATA" in told


@pytest.mark.parametrize(
    ("attribute", "variable"),
    [("part_id", "VIAM_MACHINE_PART_ID"), ("api_key_id", "VIAM_API_KEY_ID"), ("api_key", "VIAM_API_KEY")],
)
def test_a_missing_identity_names_the_attribute_and_its_variable(attribute: str, variable: str) -> None:
    told = refuse({}, environ={**MACHINE, variable: ""})
    assert told.startswith(f"cloud.{attribute}: not given; allowed is ")
    assert told.endswith(f", here or in the variable {variable}")


def test_a_value_is_shortened() -> None:
    told = refuse({"tags": ["a"], "spool": {"when_full": "x" * 10_000}, "upload": {"only_when": [{"a": [1.0] * 5000}]}})
    assert len(told) < 400
    assert "…" in told


@pytest.mark.parametrize("name", ["api_key", "apiKey", "SECRET", "auth_token", "password", "credentials"])
def test_no_value_under_a_secret_sounding_name_is_shown(name: str) -> None:
    """Wherever an object is refused as a whole, however deep the name lies in it."""
    secret = {name: API_KEY, "deep": [{name: [API_KEY]}]}
    for wrong in ({"tags": secret}, {"sources": [[secret]]}, {"cloud": [secret]}, {"upload": {"only_when": [secret]}}):
        refuse(wrong)


def test_the_exception_carries_no_cause_that_would_show_values() -> None:
    with pytest.raises(ConfigError) as refusal:
        accept({"cloud": {"api_key": [API_KEY]}})
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


@pytest.mark.parametrize("value", [None, True, 5.0, -1e308, "x", [], {}, [[]], {"a": {}}, [None], [{}], {"name": []}])
def test_any_json_in_any_place_is_refused_in_our_words(value: Any) -> None:
    """Each attribute of a full document in turn, replaced by what may not belong there."""
    full = {
        "sources": [
            {
                "name": "a",
                "api": CAMERA_API,
                "id": "i",
                "method": "GetImages",
                "interval_s": 1.0,
                "tags": ["t"],
                "image": {"format": "png", "crop": [0.0, 0.0, 1.0, 1.0]},
                "on_change": {"min_difference": 0.1},
                "gate": {"sensor": "w", "key": "k", "above": 1.0},
            }
        ],
        "folders": [{"path": "/a", "after_upload": "move", "move_to": "/b", "include": ["*"]}],
        "spool": {"directory": "/s", "when_full": "thin"},
        "upload": {"only_when": {"sensor": "w", "key": "k"}, "active_hours": ["08:00-18:00"], "retry_max_s": 5.0},
        "cloud": {"address": "localhost", "part_id": "p", "api_key_id": "k", "api_key": API_KEY},
    }
    accept(full)

    def replaced(node: Any) -> list[Any]:
        children = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
        found = []
        for place, child in children:
            for each in (value, *replaced(child)):
                copy = json.loads(json.dumps(node))
                copy[place] = each
                found.append(copy)
        return found

    for attributes in replaced(full):
        try:
            accept(attributes)
        except ConfigError:
            assert "what the attribute's documentation says" not in refuse(attributes)


def test_eighty_characters_are_shown_whole_and_one_more_is_cut() -> None:
    """The quotes count."""
    assert f'"{"x" * 78}" given' in refuse({"spool": {"when_full": "x" * 78}})
    assert f'"{"x" * 78}… given' in refuse({"spool": {"when_full": "x" * 79}})


def test_the_spool_may_not_lie_in_a_folder_that_is_uploaded() -> None:
    """Its files would be uploaded, or with after_upload: delete be gone."""
    with pytest.raises(
        ConfigError, match=r'spool\.directory: "/data/spool" given; allowed is a directory outside /data'
    ):
        parse(
            {"folders": [{"path": "/data"}], "spool": {"directory": "/data/spool"}, "upload": {"disabled": True}},
            service="s",
            environ={},
        )
