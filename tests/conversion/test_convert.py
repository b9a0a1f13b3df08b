"""From a config with the data manager to one with the uploader: what carries over, what is told, what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from module.attributes.api_methods import methods_of
from module.attributes.uploader import Config, parse
from module.conversion.findings import Kind
from module.conversion.machine import Conversion, convert
from module.errors import ConfigError

MACHINE = {"VIAM_MODULE_DATA": "/d", "VIAM_MACHINE_PART_ID": "p", "VIAM_API_KEY_ID": "i", "VIAM_API_KEY": "k"}


def component(*methods: dict[str, Any], api: str = "rdk:component:sensor", name: str = "it") -> dict[str, Any]:
    captured = {"type": "data_manager", "attributes": {"capture_methods": list(methods)}}
    return {"name": name, "api": api, "model": "fake", "service_configs": [captured]}


def machine(*components: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    manager = {"name": "data", "api": "rdk:service:data_manager", "model": "rdk:builtin:builtin"}
    return {"components": list(components), "services": [manager | {"attributes": attributes}]}


def reads(hz: Any = 1, **more: Any) -> dict[str, Any]:
    return {"method": "Readings", "capture_frequency_hz": hz, **more}


def attributes_of(conversion: Conversion) -> dict[str, Any]:
    found = next(each for each in conversion.config["services"] if each["model"] == "courier:capture:uploader")
    attributes: dict[str, Any] = found["attributes"]
    return attributes


def parsed(conversion: Conversion) -> Config:
    return parse(attributes_of(conversion), service="uploader", environ=MACHINE)


def only_source(*methods: dict[str, Any], **more: Any) -> dict[str, Any]:
    (source,) = attributes_of(convert(machine(component(*methods, **more))))["sources"]
    return dict(source)


def findings(conversion: Conversion, kind: Kind) -> dict[str, str]:
    return {finding.path: finding.text for finding in conversion.findings if finding.kind is kind}


def set_to(**attributes: Any) -> dict[str, Any]:
    """What the uploader has beside its sources, for a data manager with these attributes."""
    return {key: value for key, value in attributes_of(convert(machine(**attributes))).items() if key != "sources"}


def test_the_data_manager_stays_and_does_nothing() -> None:
    """Nothing is captured or uploaded twice; what depends on the service still finds it."""
    given = machine(component(reads()), additional_sync_paths=["/a"], tags=["t"])
    before = copy.deepcopy(given)
    converted = convert(given).config
    assert given == before
    assert "service_configs" not in converted["components"][0]
    assert converted["services"][0]["attributes"] == {"tags": ["t"], "capture_disabled": True, "sync_disabled": True}
    assert converted["modules"][0]["module_id"] == "courier:capture"
    assert converted["services"][1]["name"] == "uploader"


def test_draining_lets_it_sync_what_it_has_captured() -> None:
    converted = convert(machine(component(reads()), additional_sync_paths=["/a"], sync_interval_mins=1), drain=True)
    assert converted.config["services"][0]["attributes"] == {"capture_disabled": True, "sync_interval_mins": 1}


def test_other_services_keep_their_configs_on_a_component() -> None:
    given = machine(component(reads()))
    given["components"][0]["service_configs"].append({"type": "acme:service:odd", "attributes": {"a": 1}})
    given["components"][0]["service_configs"][0]["attributes"]["retention_policy"] = {"days": 5}
    kept = convert(given).config["components"][0]["service_configs"]
    assert kept == [
        {"type": "data_manager", "attributes": {"retention_policy": {"days": 5}}},
        {"type": "acme:service:odd", "attributes": {"a": 1}},
    ]


def test_what_the_cloud_reads_from_a_method_stays_with_it_disabled() -> None:
    given = machine(component(reads(), reads(2, recent_data_store={"stored_hours": 24})))
    conversion = convert(given)
    (kept,) = conversion.config["components"][0]["service_configs"]
    assert kept["attributes"]["capture_methods"] == [reads(2, recent_data_store={"stored_hours": 24}, disabled=True)]
    assert len(attributes_of(conversion)["sources"]) == 2


@pytest.mark.parametrize(
    ("api", "method"),
    [
        (api, method.name)
        for api in ("arm", "board", "camera", "encoder", "gantry", "motor", "movement_sensor", "power_sensor", "servo")
        for method in methods_of(f"rdk:component:{api}")
    ],
)
def test_every_method_keeps_its_name_rate_tags_and_parameters(api: str, method: str) -> None:
    told = {"Analogs": {"reader_name": "a"}, "Gpios": {"pin_name": "p"}, "DoCommand": {"docommand_input": {"x": 1}}}
    parameters = told.get(method, {})
    given = {"method": method, "capture_frequency_hz": 2.5, "additional_params": parameters, "tags": ["own"]}
    source = only_source(given, api=f"rdk:component:{api}")
    assert source == {
        "name": "it",
        "api": f"rdk:component:{api}",
        "method": method,
        "capture_frequency_hz": 2.5,
        "tags": ["own"],
        **({"extra": parameters} if parameters else {}),
    }


def test_a_vision_service_is_captured_as_before() -> None:
    params = {"camera_name": "front", "min_confidence_score": 0.7, "odd": 1}
    method = {"method": "CaptureAllFromCamera", "capture_frequency_hz": 1, "additional_params": params}
    given = machine()
    given["services"].append(component(method, api="rdk:service:vision", name="eye"))
    conversion = convert(given)
    (source,) = parsed(conversion).sources
    assert (source.name, source.extra) == ("eye", {"camera_name": "front", "min_confidence_score": 0.7})
    path = "services[1].service_configs[0].attributes.capture_methods[0].additional_params.odd"
    assert path in findings(conversion, Kind.UNNEEDED)


def test_cameras_keep_the_images_that_they_name_and_the_old_method_becomes_the_new() -> None:
    camera = "rdk:component:camera"
    params = {"filter_source_names": ["color"]}
    method = {"method": "GetImages", "capture_frequency_hz": 1, "additional_params": params}
    assert only_source(method, api=camera)["image"] == {"names": ["color"]}
    conversion = convert(machine(component({"method": "ReadImage", "capture_frequency_hz": 1}, api=camera)))
    assert parsed(conversion).sources[0].method == "GetImages"
    assert any("ReadImage" in text for text in findings(conversion, Kind.DIFFERS).values())


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (reads(disabled=True), {"capture_frequency_hz": 1, "disabled": True}),
        (reads(0), {"disabled": True}),
        ({"method": "Readings"}, {"disabled": True}),
        (reads(4000), {"capture_frequency_hz": 1000}),
        (reads(disabled=False), {"capture_frequency_hz": 1}),
    ],
)
def test_what_is_disabled_or_has_no_rate_stays_disabled(method: dict[str, Any], expected: dict[str, Any]) -> None:
    assert only_source(method) == {"name": "it", "api": "rdk:component:sensor", "method": "Readings", **expected}


def test_a_data_manager_that_captures_nothing_becomes_disabled_sources() -> None:
    sources = parsed(convert(machine(component(reads(), reads(2)), capture_disabled=True))).sources
    assert [(source.disabled, source.capture_frequency_hz) for source in sources] == [(True, 1), (True, 2)]


def test_sources_on_one_resource_have_ids_of_their_own() -> None:
    pins = [{"method": "Gpios", "capture_frequency_hz": 1, "additional_params": {"pin_name": pin}} for pin in "ab"]
    given = machine(
        component(*pins, {"method": "Analogs", "additional_params": {"reader_name": "r"}}, api="rdk:component:board"),
        component(reads(), reads(2), name="s"),
        component(reads(), name="s-Readings"),
    )
    ids = [source.id for source in parsed(convert(given)).sources]
    assert ids == ["it-Gpios-a", "it-Gpios-b", "it-Analogs", "s-Readings-2", "s-Readings-3", "s-Readings"]


def test_audio_has_time_for_a_whole_period() -> None:
    given = {"method": "GetAudio", "capture_frequency_hz": 0.05, "additional_params": {"codec": "mp3"}}
    source = only_source(given, api="rdk:component:audio_in")
    assert (source["timeout_s"], source["extra"]) == (30, {"codec": "mp3"})


def test_old_forms_of_a_resource_are_understood() -> None:
    """``type`` and ``namespace`` in the place of ``api``, as configs of some years ago have them."""
    given = machine(component(reads()), component(reads(), name="own"))
    for old, more in zip(given["components"], ({}, {"namespace": "acme"}), strict=True):
        del old["api"]
        old |= {"type": "sensor", **more}
    given["services"][0] |= {"type": "data_manager"}
    del given["services"][0]["api"]
    apis = [source.api for source in parsed(convert(given)).sources]
    assert apis == ["rdk:component:sensor", "acme:component:sensor"]


def test_folders_are_emptied_as_the_data_manager_empties_them() -> None:
    paths = ["/a/b", "/a", "/c/", "/a", "relative"]
    conversion = convert(machine(additional_sync_paths=paths, file_last_modified_millis=500))
    folders = parsed(conversion).folders
    assert [(each.path, each.settle_s, each.after_upload.value) for each in folders] == [
        ("/a", 0.5, "delete"),
        ("/c", 0.5, "delete"),
    ]
    assert set(folders[0].exclude) == {"**/failed/", "**/datasetUpload/"}
    assert list(findings(conversion, Kind.LOST)) == ["services[0].attributes.additional_sync_paths[4]"]


def test_the_files_of_the_data_manager_are_not_uploaded_as_they_are() -> None:
    (above,) = set_to(capture_dir="/a/captures", additional_sync_paths=["/a"])["folders"]
    assert above["exclude"][-1] == "captures/"
    (within,) = set_to(capture_dir="/a/captures", additional_sync_paths=["/a/captures/mine"])["folders"]
    assert within["exclude"][-2:] == ["*.capture", "*.prog"]
    with pytest.raises(ConfigError, match=r"^services\[0\].attributes.additional_sync_paths\[0\]: .* second time"):
        convert(machine(capture_dir="/a/captures", additional_sync_paths=["/a/captures"]), drain=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tags": ["a", "b"]}, {"tags": ["a", "b"]}),
        ({"sync_disabled": True}, {"upload": {"disabled": True}}),
        ({"maximum_num_sync_threads": 3}, {"upload": {"concurrency": 3}}),
        ({"maximum_num_sync_threads": 0}, {}),
        ({"maximum_num_sync_threads": 1000}, {"upload": {"concurrency": 100}}),
        ({"selective_syncer_name": "wifi"}, {"upload": {"only_when": {"sensor": "wifi", "key": "should_sync"}}}),
        ({"selective_syncer_name": ""}, {}),
        ({"delete_every_nth_when_disk_full": 5}, {"spool": {"when_full": "thin"}}),
        ({"capture_dir": "/mnt/ssd/viam"}, {"spool": {"directory": "/mnt/ssd/viam-courier"}}),
        ({"capture_dir": "/ssd"}, {}),
        ({"capture_dir": "~/captures"}, {}),
        ({"capture_dir": ""}, {}),
        ({"sync_interval_mins": 0.1, "maximum_capture_file_size_bytes": 9, "capture_disabled": False}, {}),
    ],
)
def test_attributes_of_the_data_manager_have_their_like(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set_to(**given) == expected
    parsed(convert(machine(component(reads()), **given)))


@pytest.mark.parametrize(
    "given",
    [
        {"capture_control_sensor": {"name": "s", "key": "k"}},
        {"mongo_capture_config": {"uri": "mongodb://who:the-password@db"}},
        {"disk_usage_deletion_threshold": 0.8},
        {"capture_dir_deletion_threshold": 0.3},
        {"of_tomorrow": 1},
    ],
)
def test_attributes_without_an_equivalent_are_reported(given: dict[str, Any]) -> None:
    conversion = convert(machine(component(reads()), **given))
    assert list(findings(conversion, Kind.LOST)) == [f"services[0].attributes.{key}" for key in given]
    assert not conversion.complete
    assert "the-password" not in str(conversion.findings)


@pytest.mark.parametrize(
    ("method", "api", "place"),
    [
        ({"method": "GetWorldPose", "capture_frequency_hz": 1}, "rdk:service:vision", ".method"),
        ({"method": "Gpios", "capture_frequency_hz": 1}, "rdk:component:board", ""),
        (reads(of_tomorrow=1), "rdk:component:sensor", ".of_tomorrow"),
    ],
)
def test_captures_that_cannot_be_mapped_are_reported_and_the_others_mapped(
    method: dict[str, Any], api: str, place: str
) -> None:
    conversion = convert(machine(component(method, api=api), component(reads(), name="other")))
    path = f"components[0].service_configs[0].attributes.capture_methods[0]{place}"
    assert list(findings(conversion, Kind.LOST)) == [path]
    assert parsed(conversion).sources[-1].name == "other"


def test_fragments_are_pointed_at() -> None:
    given = machine(component(reads())) | {
        "fragments": [{"id": "f"}],
        "fragment_mods": [
            {"fragment_id": "f", "mods": [{"$set": {"components.m.attributes.pins.a": 1}}]},
            {"fragment_id": "f", "mods": [{"$set": {"services.data-management.attributes.sync_interval_mins": 1}}]},
        ],
    }
    conversion = convert(given)
    assert list(findings(conversion, Kind.LOST)) == ["fragment_mods[1]"]
    assert "fragments[0]" in findings(conversion, Kind.DIFFERS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(components={}), "components: {} given; allowed is a list"),
        (lambda m: m["components"].append(3), "components[1]: 3 given; allowed is an object"),
        (lambda m: m["components"][0].pop("name"), "components[0].name: nothing given; it is required"),
        (
            lambda m: m["components"][0].update(name={"$variable": {"name": "n"}}),
            'components[0].name: {"$variable": {"name": "n"}} given; allowed is a text',
        ),
        (lambda m: m["components"][0].pop("api"), "components[0].type: nothing given; it is required"),
        (lambda m: method(m).pop("method"), "{method}.method: nothing given; it is required"),
        (lambda m: method(m).update(method=""), '{method}.method: "" given; allowed is a non-empty text'),
        (
            lambda m: method(m).update(capture_frequency_hz="fast"),
            '{method}.capture_frequency_hz: "fast" given; allowed is a number of at least 0',
        ),
        (lambda m: method(m).update(disabled="no"), '{method}.disabled: "no" given; allowed is true or false'),
        (lambda m: method(m).update(tags="t"), '{method}.tags: "t" given; allowed is a list'),
        (
            lambda m: method(m).update(additional_params=[]),
            "{method}.additional_params: [] given; allowed is an object",
        ),
        (
            lambda m: m.update(
                remotes=[{"name": "r", "service_configs": component(reads(name="x"))["service_configs"]}]
            ),
            'remotes[0].service_configs[0].attributes.capture_methods[0].name: "x" given; allowed is the full name',
        ),
        (
            lambda m: m["services"][0]["attributes"].update(tags=["a", 1]),
            "services[0].attributes.tags[1]: 1 given; allowed is a non-empty text",
        ),
        (
            lambda m: m["services"][0]["attributes"].update(maximum_num_sync_threads=-1),
            "services[0].attributes.maximum_num_sync_threads: -1 given; allowed is a number of at least 0",
        ),
        (lambda m: m["services"].append(m["services"][0]), "services[1]: a second data manager; allowed is one"),
        (lambda m: m["components"][0].update(name="uploader"), 'components[0].name: "uploader" is taken'),
        (
            lambda m: m["services"].append({"name": "u", "type": "generic", "model": "courier:capture:uploader"}),
            "services[1]: this is an uploader already",
        ),
        (lambda m: (m.clear(), m.update(fragments=[{"id": "f"}])), "the config: it has neither a data manager nor"),
    ],
)
def test_bad_input_is_refused_with_its_path(change: Any, message: str) -> None:
    given = machine(component(reads()))
    change(given)
    with pytest.raises(ConfigError) as refusal:
        convert(given)
    path = "components[0].service_configs[0].attributes.capture_methods[0]"
    assert str(refusal.value).startswith(message.replace("{method}", path))


def method(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = config["components"][0]["service_configs"][0]["attributes"]["capture_methods"][0]
    return found


def test_capture_methods_without_a_data_manager_are_converted_with_a_word() -> None:
    """It may stand in a fragment."""
    conversion = convert({"components": [component(reads())]})
    assert len(parsed(conversion).sources) == 1
    assert "services" in findings(conversion, Kind.DIFFERS)
