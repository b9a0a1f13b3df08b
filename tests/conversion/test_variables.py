"""Variables of a fragment, whose values each machine sets: which attributes keep them, and what the report says."""

from __future__ import annotations

from typing import Any

import pytest

from module.conversion.findings import Kind
from module.conversion.machine import convert
from tests.conversion.test_convert import attributes_of, component, findings, machine, reads


def variable(name: str) -> dict[str, Any]:
    return {"$variable": {"name": name}}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (reads(), variable("off")),
        (reads(disabled=False), variable("off")),
        (reads(disabled=variable("off")), variable("off")),
        (reads(disabled=True), True),
        (reads(0), True),
    ],
)
def test_a_variable_that_switches_the_data_manager_off_switches_each_source_off(
    method: dict[str, Any], expected: Any
) -> None:
    conversion = convert(machine(component(method), capture_disabled=variable("off")))
    (source,) = attributes_of(conversion)["sources"]
    assert source["disabled"] == expected
    assert conversion.complete
    texts = findings(conversion, Kind.MAPPED)
    assert texts["services[0].attributes.capture_disabled"] == "sources[].disabled, of each"
    text = texts["components[0].service_configs[0].attributes.capture_methods[0]"]
    assert ("as the variable says" in text) is (expected is not True)


def test_of_two_variables_that_switch_a_source_off_one_is_reported_as_lost() -> None:
    conversion = convert(machine(component(reads(disabled=variable("mine"))), capture_disabled=variable("off")))
    (source,) = attributes_of(conversion)["sources"]
    assert source["disabled"] == variable("off")
    path = "components[0].service_configs[0].attributes.capture_methods[0].disabled"
    assert list(findings(conversion, Kind.LOST)) == [path]


def test_variables_of_a_fragment_stay_variables() -> None:
    pin = {"method": "Gpios", "capture_frequency_hz": 1, "additional_params": {"pin_name": variable("pin")}}
    given = machine(
        component(reads(variable("hz"), disabled=variable("off"))),
        component(pin, api="rdk:component:board", name="io"),
        tags=variable("tags"),
        additional_sync_paths=[variable("path")],
        selective_syncer_name=variable("gate"),
        file_last_modified_millis=variable("settle"),
        maximum_num_sync_threads=variable("threads"),
    )
    conversion = convert(given)
    attributes = attributes_of(conversion)
    assert attributes["sources"][0]["capture_frequency_hz"] == variable("hz")
    assert attributes["sources"][0]["disabled"] == variable("off")
    assert attributes["sources"][1]["extra"] == {"pin_name": variable("pin")}
    assert attributes["tags"] == variable("tags")
    assert attributes["folders"][0]["path"] == variable("path")
    assert attributes["upload"]["only_when"]["sensor"] == variable("gate")
    assert attributes["upload"]["concurrency"] == variable("threads")
    assert list(findings(conversion, Kind.LOST)) == ["services[0].attributes.file_last_modified_millis"]


def test_a_number_that_is_a_variable_is_reported_if_zero_meant_something() -> None:
    """0 has a meaning for the data manager, and the uploader refuses it."""
    given = machine(component(reads(variable("hz"))), maximum_num_sync_threads=variable("threads"))
    texts = findings(convert(given), Kind.DIFFERS)
    rate = "components[0].service_configs[0].attributes.capture_methods[0].capture_frequency_hz"
    assert "if a machine has 0, set disabled instead" in texts[rate]
    assert "if a machine has 0, leave it out" in texts["services[0].attributes.maximum_num_sync_threads"]
