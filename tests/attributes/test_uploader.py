"""What the attributes mean when they are right, and what stands where they are silent."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from module.attributes.condition import Condition
from module.attributes.condition import Test as Comparison
from module.attributes.gate import Find, GateConfig
from module.attributes.image import ImageFormat
from module.attributes.uploader import AfterUpload, Config, SourceConfig, Sync, WhenFull, parse
from module.capture import UploadAs
from module.errors import ConfigError

MACHINE = {
    "VIAM_MODULE_DATA": "/var/data",
    "VIAM_MACHINE_PART_ID": "part-1",
    "VIAM_API_KEY_ID": "key-id-1",
    "VIAM_API_KEY": "k3y-that-nobody-may-see",
}
CAMERA = "rdk:component:camera"
VISION = "rdk:service:vision"


def accept(attributes: dict[str, Any], *, environ: dict[str, str] = MACHINE, service: str = "courier") -> Config:
    """Parse with every feature let through, those included that don't run yet."""
    return parse(attributes, service=service, environ=environ)


def source(**attributes: Any) -> SourceConfig:
    return accept({"sources": [{"name": "s", **attributes}]}).sources[0]


def gate(**attributes: Any) -> GateConfig:
    found = source(gate=attributes).gate
    assert found is not None
    return found


def test_no_attributes_at_all_give_every_default() -> None:
    """The numbers are the contract's."""
    config = parse({}, service="courier", environ=MACHINE)
    assert (config.sources, config.folders, config.tags, config.dataset_ids) == ((), (), (), ())
    assert config.spool.model_dump() == {
        "directory": "/var/data/courier",
        "max_bytes": 8 * 1024**3,
        "min_free_bytes": 512 * 1024**2,
        "when_full": WhenFull.DROP_OLDEST,
        "group_s": 0.2,
        "sync": Sync.FULL,
    }
    assert config.upload.model_dump() == {
        "disabled": False,
        "concurrency": 8,
        "batch_rows": 500,
        "batch_wait_s": 1.0,
        "clock_wait_s": 60,
        "stream_over_bytes": 1_000_000,
        "chunk_bytes": 262144,
        "max_bytes_per_s": None,
        "active_hours": (),
        "timezone": "UTC",
        "only_when": None,
        "timeout_s": 60,
        "retry_initial_s": 0.5,
        "retry_max_s": 300,
    }
    cloud = config.cloud
    assert (cloud.address, cloud.part_id, cloud.api_key_id) == ("https://app.viam.com", "part-1", "key-id-1")
    assert cloud.api_key.get_secret_value() == MACHINE["VIAM_API_KEY"]


def test_a_source_and_a_folder_need_but_a_name_and_a_path() -> None:
    """The rest are the contract's defaults."""
    config = parse({"sources": [{"name": "s"}], "folders": [{"path": "/a"}]}, service="c", environ=MACHINE)
    assert config.sources[0].model_dump() == {
        "name": "s",
        "api": None,
        "id": "s",
        "method": None,
        "capture_frequency_hz": None,
        "interval_s": None,
        "cron": None,
        "offset_s": 0,
        "timezone": "UTC",
        "active_hours": (),
        "disabled": False,
        "required": False,
        "timeout_s": 10,
        "extra": {},
        "method_parameters": {},
        "tags": (),
        "dataset_ids": (),
        "priority": 5,
        "upload_as": UploadAs.AUTO,
        "on_change": None,
        "image": {
            "format": ImageFormat.PASSTHROUGH,
            "quality": 85,
            "max_width": None,
            "max_height": None,
            "crop": None,
            "names": (),
        },
        "gate": None,
        "comment": None,
    }
    assert config.folders[0].model_dump() == {
        "path": "/a",
        "include": ("*",),
        "exclude": (),
        "recursive": True,
        "settle_s": 10,
        "move_to": None,
        "after_upload": AfterUpload.KEEP,
        "tags": (),
        "dataset_ids": (),
        "priority": 5,
    }


def test_numbers_may_be_floats_and_whole_ones_become_ints() -> None:
    config = accept({"sources": [{"name": "s", "priority": 7.0, "timeout_s": 3}], "upload": {"batch_rows": 10.0}})
    for number in (config.sources[0].priority, config.upload.batch_rows):
        assert type(number) is int
    assert type(config.sources[0].timeout_s) is float


@pytest.mark.parametrize(
    "attributes",
    [
        {"capture_frequency_hz": 1000.0},
        {"interval_s": 0.001},
        {"cron": "*/5 * * * * *", "timezone": "Europe/Berlin", "active_hours": ["mon-fri 08:00-18:00", "22:00-02:00"]},
        {"api": CAMERA, "method": "NextPointCloud", "upload_as": "streaming"},
        {"api": CAMERA, "image": {"names": ["color"]}, "upload_as": "binary"},
        {"method": "Readings", "image": {}},
        {"api": CAMERA, "method": "NextPointCloud", "image": {"format": None}},
        {"api": "acme:component:thermo", "method": "Readings", "upload_as": "tabular"},
        {"method": "GetImages", "upload_as": "file", "image": {"format": "webp", "quality": 1.0}},
        {"upload_as": "streaming", "image": {"crop": [1.0, 2.0, 3.0, 4.0]}},
        {"upload_as": "tabular", "on_change": {"deadband": 0.5, "heartbeat_s": 60.0}},
        {"on_change": {"deadband": {"a.b": 0.0}}, "method": "Readings"},
        {"on_change": {}, "extra": {"any": [1, {"thing": None}]}},
        {"interval_s": None, "cron": None, "api": None, "gate": None, "on_change": None, "method": None},
        {"gate": {"vision": "v", "camera": "cam"}, "method": "Readings"},
        {"method": "Position", "upload_as": "tabular", "on_change": {"deadband": {"pose.x": 1.0}}},
        {"api": "rdk:component:board", "method": "Analogs", "extra": {"reader_name": "a"}},
        {"api": "rdk:component:generic", "extra": {"command": {}}},
        {"api": VISION, "extra": {"camera_name": "c", "min_confidence_score": 1}, "image": {"format": "webp"}},
        {"method": "GetAudio", "interval_s": 30.0, "timeout_s": 31.0, "upload_as": "streaming"},
        {"method": "GetAudio", "interval_s": 30.0, "extra": {"duration_seconds": 9.5, "codec": "mp3"}},
    ],
)
def test_a_source_may_be(attributes: dict[str, Any]) -> None:
    source(**attributes)


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [({"capture_frequency_hz": 4.0}, 0.25), ({"interval_s": 5.0}, 5.0), ({"cron": "* * * * *"}, None), ({}, None)],
)
def test_the_period_of_a_source(schedule: dict[str, Any], seconds: float | None) -> None:
    assert source(**schedule).period_s == seconds


def test_an_api_with_several_methods_wants_one() -> None:
    with pytest.raises(
        ConfigError, match=r"\.method: not given; allowed is Position, Lengths, GetWorldPose or DoCommand for rdk:"
    ):
        source(api="rdk:component:gantry")


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ({"method": "Gpios"}, "an object with pin_name or pin (a text) for Gpios"),
        ({"api": VISION}, "an object with camera_name (a text) for CaptureAllFromCamera"),
        ({"api": "rdk:service:generic"}, "an object with command or docommand_input (an object) for DoCommand"),
        ({"method": "GetAudio", "interval_s": 10.0}, "a duration_seconds below timeout_s (10), or a longer"),
    ],
)
def test_a_missing_parameter_of_a_method_is_refused(attributes: dict[str, Any], allowed: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"sources[0].extra: not given; allowed is {allowed}")):
        source(**attributes)


def test_a_remote_resource_is_its_own_id() -> None:
    config = accept({"sources": [{"name": "remote:cam"}, {"name": "remote:cam", "id": "second"}]})
    assert [each.id for each in config.sources] == ["remote:cam", "second"]


@pytest.mark.parametrize(
    ("attributes", "condition"),
    [
        ({}, Condition("k")),
        ({"equals": None}, Condition("k", Comparison.EQUALS, None)),
        ({"equals": "on"}, Condition("k", Comparison.EQUALS, "on")),
        ({"not_equals": False}, Condition("k", Comparison.NOT_EQUALS, operand=False)),
        ({"above": 0.0}, Condition("k", Comparison.ABOVE, 0.0)),
        ({"below": -5.0, "above": None}, Condition("k", Comparison.BELOW, -5.0)),
    ],
)
def test_a_condition_stands_flat_beside_its_sensor(attributes: dict[str, Any], condition: Condition) -> None:
    """In a gate and in only_when alike; null is an operand of equals, and no operand of above."""
    found = gate(sensor="w", key="k", before_s=2.0, **attributes)
    assert (found.sensor, found.condition, found.before_s) == ("w", condition, 2.0)
    only_when = accept({"upload": {"only_when": {"sensor": "w", "key": "k", **attributes}}}).upload.only_when
    assert only_when is not None
    assert (only_when.sensor, only_when.condition) == ("w", condition)


def test_a_gate_opens_by_a_command_only_or_by_a_vision_service() -> None:
    assert (gate().sensor, gate().condition, gate().vision, gate(poll_hz=2.0).poll_hz) == (None, None, None, 2.0)
    seen = gate(vision="v", find="classifications", label="cat", min_confidence=0.9)
    assert (seen.vision, seen.find, seen.label, seen.min_confidence) == ("v", Find.CLASSIFICATIONS, "cat", 0.9)
    assert seen.condition is None
    assert (gate(vision="v").find, gate(vision="v").label, gate(vision="v").min_confidence) == (
        Find.DETECTIONS,
        "*",
        0.5,
    )


def test_paths_are_normal_and_files_may_move_beside_or_above_their_folder() -> None:
    folders = [
        {"path": "/a//b/./", "after_upload": "move", "move_to": "//a/done/"},
        {"path": "/c", "after_upload": "move", "move_to": "/cd"},
        {"path": "/d/e", "after_upload": "move", "move_to": "/d"},
        {"path": "/f", "after_upload": "delete"},
    ]
    found = [(each.path, each.move_to) for each in accept({"folders": folders}).folders]
    assert found == [("/a/b", "/a/done"), ("/c", "/cd"), ("/d/e", "/d"), ("/f", None)]


@pytest.mark.parametrize(
    ("service", "directory"),
    [
        ("courier", "/var/data/courier"),
        ("my service", "/var/data/my service"),
        ("../../etc", "/var/data/..%2F..%2Fetc"),
        ("a\\b", "/var/data/a%5Cb"),
        ("a%2Fb", "/var/data/a%252Fb"),
        ("..", "/var/data/%2E%2E"),
        (".", "/var/data/%2E"),
        ("/etc", "/var/data/%2Fetc"),
    ],
)
def test_a_service_name_is_one_directory_below_the_modules(service: str, directory: str) -> None:
    assert accept({}, service=service).spool.directory == directory
    assert accept({"spool": {"directory": "/mine/"}}, service=service).spool.directory == "/mine"


@pytest.mark.parametrize(
    ("given", "address", "host", "port", "tls"),
    [
        ("https://app.viam.com", "https://app.viam.com", "app.viam.com", 443, True),
        ("https://app.viam.com/", "https://app.viam.com", "app.viam.com", 443, True),
        ("app.viam.com", "https://app.viam.com", "app.viam.com", 443, True),
        ("HTTPS://host:8443", "https://host:8443", "host", 8443, True),
        ("host:8443", "https://host:8443", "host", 8443, True),
        ("10.0.0.5", "https://10.0.0.5", "10.0.0.5", 443, True),
        ("http://localhost", "http://localhost", "localhost", 80, False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1", 8080, False),
        ("http://127.8.9.10:1", "http://127.8.9.10:1", "127.8.9.10", 1, False),
        ("http://[::1]:65535", "http://[::1]:65535", "::1", 65535, False),
        ("[2001:DB8::1]", "https://[2001:db8::1]", "2001:db8::1", 443, True),
    ],
)
def test_an_address_is_a_host_a_port_and_tls(given: str, address: str, host: str, port: int, tls: bool) -> None:
    cloud = accept({"cloud": {"address": given}}).cloud
    assert (cloud.address, cloud.host, cloud.port, cloud.tls) == (address, host, port, tls)


def test_attributes_go_before_the_machines_variables() -> None:
    cloud = accept({"cloud": {"part_id": "p", "api_key_id": "k", "api_key": "s"}}).cloud
    assert (cloud.part_id, cloud.api_key_id, cloud.api_key.get_secret_value()) == ("p", "k", "s")


def test_a_service_that_uploads_nothing_needs_no_identity() -> None:
    cloud = accept({"upload": {"disabled": True}}, environ={"VIAM_MODULE_DATA": "/d"}).cloud
    assert (cloud.part_id, cloud.api_key_id, cloud.api_key.get_secret_value()) == ("", "", "")
    with pytest.raises(ConfigError):
        accept({"upload": {"disabled": False}}, environ={"VIAM_MODULE_DATA": "/d"})


def test_defaults_may_be_spelled_out() -> None:
    image = {"format": "passthrough", "quality": 85.0, "max_width": None, "crop": None, "names": ["color"]}
    attributes = {
        "sources": [{"name": "s", "image": image, "gate": None, "on_change": None, "active_hours": []}],
        "spool": {"when_full": "drop_oldest"},
        "upload": {"only_when": None, "active_hours": [], "max_bytes_per_s": None},
    }
    parse(attributes, service="c", environ=MACHINE)


def test_a_config_is_immutable_and_tells_no_key() -> None:
    config = accept({"sources": [{"name": "s", "gate": {"sensor": "w", "key": "k"}}]})
    for part, name in ((config, "tags"), (config.sources[0], "id"), (config.cloud, "api_key"), (config.spool, "sync")):
        with pytest.raises(ValidationError):
            setattr(part, name, "other")
    for told in (repr(config), str(config), repr(config.cloud), str(config.cloud), f"{config.cloud.api_key}"):
        assert MACHINE["VIAM_API_KEY"] not in told
    assert config == accept({"sources": [{"name": "s", "gate": {"sensor": "w", "key": "k"}}]})
    assert hash(config.cloud) == hash(accept({}).cloud)
    assert hash(config.sources[0].gate) == hash(gate(sensor="w", key="k"))


def test_what_was_handed_in_is_not_changed() -> None:
    attributes = {"sources": [{"name": "s", "extra": {"a": 1.0}}]}
    config = accept(attributes)
    assert attributes == {"sources": [{"name": "s", "extra": {"a": 1.0}}]}
    attributes["sources"][0]["extra"] = {}
    assert config.sources[0].extra == {"a": 1.0}


def test_importing_the_config_brings_neither_viam_nor_the_network() -> None:
    """Every start and every ValidateConfig pays for what this import brings."""
    heavy = "{'viam', 'grpclib', 'grpc', 'cv2', 'numpy', 'ssl', 'asyncio'}"
    code = f"import sys, module.attributes.uploader; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


HOME = {**MACHINE, "VIAM_HOME": "/home/viam"}


@pytest.mark.parametrize(
    ("data", "directory", "former"),
    [
        ("/home/viam/module-data/id/courier", "/home/viam/capture-courier/id/s", "/home/viam/module-data/id/courier/s"),
        ("/home/viam/module-data/local/m/", "/home/viam/capture-courier/local/s", "/home/viam/module-data/local/m/s"),
        ("/home/viam/module-data/id", "/home/viam/module-data/id/s", None),
        ("/home/viam/module-data/id/m/deeper", "/home/viam/module-data/id/m/deeper/s", None),
        ("/home/viam/other/id/m", "/home/viam/other/id/m/s", None),
        ("/mnt/disk", "/mnt/disk/s", None),
    ],
)
def test_a_spool_lies_in_viams_home_unless_a_person_chose_the_modules_directory(
    data: str, directory: str, former: str | None
) -> None:
    spool = accept({}, service="s", environ={**HOME, "VIAM_MODULE_DATA": data}).spool
    assert (spool.directory, spool.former) == (directory, former)
    given = accept({"spool": {"directory": "/mine"}}, service="s", environ={**HOME, "VIAM_MODULE_DATA": data}).spool
    assert (given.directory, given.former) == ("/mine", None)


@pytest.mark.parametrize(
    ("directory", "at_risk"),
    [
        ("/home/viam/module-data/id/courier/s", True),
        ("/home/viam/module-data-too", False),
        ("/home/viam/capture-courier/id/s", False),
        ("/mnt/disk", False),
    ],
)
def test_a_directory_that_viam_server_deletes_is_known(directory: str, at_risk: bool) -> None:
    environ = {**HOME, "VIAM_MODULE_DATA": "/home/viam/module-data/id/courier"}
    assert accept({"spool": {"directory": directory}}, environ=environ).spool.is_at_risk is at_risk


@pytest.mark.parametrize("home", [None, "", "relative", "/elsewhere"])
def test_without_viams_home_the_modules_directory_stays_in_use(home: str | None) -> None:
    environ = {**MACHINE, "VIAM_MODULE_DATA": "/home/viam/module-data/id/m", **({"VIAM_HOME": home} if home else {})}
    spool = accept({}, service="s", environ=environ).spool
    assert (spool.directory, spool.former) == ("/home/viam/module-data/id/m/s", None)


@pytest.mark.parametrize("home", ["/home/viam/", "/home//viam", "/home/./other/../viam"])
def test_viams_home_is_known_however_it_is_written(home: str) -> None:
    environ = {**MACHINE, "VIAM_MODULE_DATA": "/home/viam/module-data/id/m", "VIAM_HOME": home}
    assert accept({}, service="s", environ=environ).spool.directory == "/home/viam/capture-courier/id/s"


def test_a_folder_around_the_new_place_is_allowed_as_it_was_and_the_spool_stays_out_of_it() -> None:
    environ = {**HOME, "VIAM_MODULE_DATA": "/home/viam/module-data/id/m"}
    config = accept({"folders": [{"path": "/home/viam/capture-courier"}]}, service="s", environ=environ)
    assert (config.spool.directory, config.spool.former) == ("/home/viam/module-data/id/m/s", None)
