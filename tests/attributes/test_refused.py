"""Each attribute of the contract with values that it refuses: path, value, what is allowed."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from tests.attributes.given import API_KEY, folder, gate, only_when, refuse, source

SCHEDULES = "at most one of capture_frequency_hz, interval_s, cron"
TESTS = "at most one of equals, not_equals, above, below"
READINGS_API, CAMERA_API, VISION_API = "rdk:component:sensor", "rdk:component:camera", "rdk:service:vision"
ANALOGS = "an object with reader_name or pin (a text) for Analogs"
GPIOS = "an object with pin_name or pin (a text) for Gpios"
COMMAND = "an object with command or docommand_input (an object) for DoCommand"


NAMES = "a resource's name"
TEXT = "a non-empty text"
FLAG = "true or false"
PRIORITY = "a whole number from 0 to 9"
ABOVE_0 = "a number above 0"
FROM_0 = "a number of at least 0"
PATHS = 'an absolute path without ".."'
BYTES = "a whole number from 1 to 9007199254740992"
PIXELS = "a whole number from 1 to 65535"
CROP = "[x, y, width, height] in whole pixels, width and height at least 1"
DEADBAND = "a number of at least 0, or an object of key paths and such numbers"
WINDOWS = 'e.g. "08:00-18:00", "mon-fri 08:00-18:00" or "22:00-02:00"'
ZONES = 'an IANA name, e.g. "UTC" or "Europe/Berlin"'
ADDRESS = "https://host[:port], or http:// only for localhost, 127.0.0.0/8 and [::1]"
PROXY = "socks5://, socks5h://, http:// or https:// and [user:password@]host:port"
COARSE = {"quality": 5.0}
OPERAND = "a text, a number, true, false or null"
NO_KEY = "a dotted path into the sensor's readings"

REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    # the top level
    ({"sources": 5.0}, "sources", "5", "a list"),
    ({"sources": {}}, "sources", "{}", "a list"),
    ({"sources": "s"}, "sources", '"s"', "a list"),
    ({"sources": ["s"]}, "sources[0]", '"s"', "an object"),
    ({"sources": [None]}, "sources[0]", "null", "an object"),
    ({"folders": True}, "folders", "true", "a list"),
    ({"folders": ["/logs"]}, "folders[0]", '"/logs"', "an object"),
    ({"tags": 5.0}, "tags", "5", "a list"),
    ({"tags": ["a", ""]}, "tags[1]", '""', TEXT),
    ({"tags": [5.0]}, "tags[0]", "5", TEXT),
    ({"dataset_ids": [None]}, "dataset_ids[0]", "null", TEXT),
    ({"spool": []}, "spool", "[]", "an object"),
    ({"upload": "on"}, "upload", '"on"', "an object"),
    ({"cloud": 5.0}, "cloud", "a value that is not shown", "an object"),
    # source
    (source(name=""), "sources[0].name", '""', NAMES),
    (source(name=" "), "sources[0].name", '" "', NAMES),
    (source(name=5.0), "sources[0].name", "5", NAMES),
    (source(name="remote:"), "sources[0].name", '"remote:"', NAMES),
    (source(name=f"{CAMERA_API}/cam"), "sources[0].name", f'"{CAMERA_API}/cam"', NAMES),
    (source(api="camera"), "sources[0].api", '"camera"', "namespace:component:subtype or namespace:service:subtype"),
    (source(api="rdk:thing:camera"), "sources[0].api", '"rdk:thing:camera"', "namespace:component:subtype or"),
    (source(api="rdk:component:"), "sources[0].api", '"rdk:component:"', "namespace:component:subtype or"),
    (source(api=1.0), "sources[0].api", "1", "namespace:component:subtype or"),
    (source(id=""), "sources[0].id", '""', TEXT),
    (source(id=7.0), "sources[0].id", "7", TEXT),
    (
        source(method="Positions"),
        "sources[0].method",
        '"Positions"',
        "Readings, EndPosition, JointPos",
    ),
    (source(method=""), "sources[0].method", '""', TEXT),
    (
        source(method="Readings", api=CAMERA_API),
        "sources[0].method",
        '"Readings"',
        "GetImages, NextPointCloud, GetWorldPose or DoCommand",
    ),
    (
        source(method="GetImages", api=READINGS_API),
        "sources[0].method",
        '"GetImages"',
        "Readings, GetWorldPose or DoCommand for rdk",
    ),
    (
        source(method="Lengths", api="rdk:component:button"),
        "sources[0].method",
        '"Lengths"',
        "GetWorldPose or DoCommand for rdk:comp",
    ),
    (source(capture_frequency_hz=0.0), "sources[0].capture_frequency_hz", "0", "a number above 0 and at most 1000"),
    (source(capture_frequency_hz=1000.5), "sources[0].capture_frequency_hz", "1000.5", "a number above 0 and at most"),
    (source(capture_frequency_hz=True), "sources[0].capture_frequency_hz", "true", "a number above 0 and at most 1000"),
    (source(capture_frequency_hz="5"), "sources[0].capture_frequency_hz", '"5"', "a number above 0 and at most 1000"),
    (source(capture_frequency_hz=math.nan), "sources[0].capture_frequency_hz", "NaN", "a number above 0 and at most"),
    (source(interval_s=-1.0), "sources[0].interval_s", "-1", "a number of at least 0.001"),
    (source(interval_s=0.0009), "sources[0].interval_s", "0.0009", "a number of at least 0.001"),
    (source(interval_s=math.inf), "sources[0].interval_s", "Infinity", "a number of at least 0.001"),
    (source(interval_s=10**400), "sources[0].interval_s", "1000", "a number of at least 0.001"),
    (
        source(cron="* * * * *", offset_s=1.0),
        "sources[0].offset_s",
        "1",
        "an offset_s only beside capture_frequency_hz or interval_s",
    ),
    (source(interval_s=5.0, capture_frequency_hz=1.0), "sources[0].interval_s", "5", SCHEDULES),
    (source(cron="* * * * *", interval_s=5.0), "sources[0].cron", '"* * * * *"', SCHEDULES),
    (source(cron="* * * * *", capture_frequency_hz=5.0), "sources[0].cron", '"* * * * *"', SCHEDULES),
    (source(cron="61 * * * *"), "sources[0].cron", '"61 * * * *"', "for the minute 0-59"),
    (source(cron="* * *"), "sources[0].cron", '"* * *"', "5 fields (minute, hour"),
    (source(cron="0 0 31 2 *"), "sources[0].cron", '"0 0 31 2 *"', "an expression that some date matches"),
    (source(cron=5.0), "sources[0].cron", "5", "a cron expression of 5 or 6 fields"),
    (source(timezone="Mars/Olympus"), "sources[0].timezone", '"Mars/Olympus"', ZONES),
    (source(timezone=1.0), "sources[0].timezone", "1", ZONES),
    (source(active_hours=8.0), "sources[0].active_hours", "8", "a list"),
    (source(active_hours=["25:00-26:00"]), "sources[0].active_hours[0]", '"25:00-26:00"', WINDOWS),
    (source(active_hours=[8.0]), "sources[0].active_hours[0]", "8", "a window, " + WINDOWS),
    (source(disabled="yes"), "sources[0].disabled", '"yes"', FLAG),
    (source(disabled=1.0), "sources[0].disabled", "1", FLAG),
    (source(timeout_s=0.0), "sources[0].timeout_s", "0", ABOVE_0),
    (source(extra=[]), "sources[0].extra", "[]", "an object"),
    (source(tags={}), "sources[0].tags", "{}", "a list"),
    (source(dataset_ids=[""]), "sources[0].dataset_ids[0]", '""', TEXT),
    (source(priority=10.0), "sources[0].priority", "10", PRIORITY),
    (source(priority=5.5), "sources[0].priority", "5.5", PRIORITY),
    (source(priority=-1.0), "sources[0].priority", "-1", PRIORITY),
    (source(priority=True), "sources[0].priority", "true", PRIORITY),
    (source(upload_as="csv"), "sources[0].upload_as", '"csv"', "auto, tabular, binary, streaming or file"),
    (source(upload_as=[]), "sources[0].upload_as", "[]", "auto, tabular, binary, streaming or file"),
    (source(method="Readings", upload_as="binary"), "sources[0].upload_as", '"binary"', "auto, tabular or file"),
    (source(api=READINGS_API, upload_as="streaming"), "sources[0].upload_as", '"streaming"', "auto, tabular or file"),
    (
        source(method="GetImages", upload_as="tabular"),
        "sources[0].upload_as",
        '"tabular"',
        "auto, binary, streaming or",
    ),
    (source(api=CAMERA_API, upload_as="tabular"), "sources[0].upload_as", '"tabular"', "auto, binary, streaming or"),
    (source(method="Readings", image=COARSE), "sources[0].image", '{"quality": 5}', "image only with the method"),
    (source(api=READINGS_API, image=COARSE), "sources[0].image", '{"quality": 5}', "image only with the method"),
    (source(method="NextPointCloud", image=COARSE), "sources[0].image", '{"quality": 5}', "image only with the method"),
    (source(method="CompassHeading", upload_as="binary"), "sources[0].upload_as", '"binary"', "auto, tabular or file"),
    (source(method="PointCloudMap", upload_as="tabular"), "sources[0].upload_as", '"tabular"', "auto, binary, stream"),
    (
        source(api=VISION_API, extra={"camera_name": "c"}, image={"names": ["color"]}),
        "sources[0].image",
        '{"names": ["color"]}',
        "names only with the method GetImages",
    ),
    # what a method is told
    (source(method="Analogs", extra={"pin": 7.0}), "sources[0].extra", '{"pin": 7}', ANALOGS),
    (source(method="Gpios", extra={"reader_name": "a"}), "sources[0].extra", '{"reader_name": "a"}', GPIOS),
    (
        source(api=VISION_API, extra={"camera": "c"}),
        "sources[0].extra",
        '{"camera": "c"}',
        "an object with camera_name (a text)",
    ),
    (
        source(api=VISION_API, extra={"camera_name": "c", "min_confidence_score": 2.0}),
        "sources[0].extra",
        '{"camera_name": "c", "min_confidence_score": 2}',
        "an object with min_confidence_score (a number from 0 to 1) for CaptureAllFromCamera",
    ),
    (source(method="DoCommand", extra={"command": "go"}), "sources[0].extra", '{"command": "go"}', COMMAND),
    (
        source(method="GetAudio", extra={"duration_seconds": 0.0}),
        "sources[0].extra",
        '{"duration_seconds": 0}',
        "an object with duration_seconds (a number above 0)",
    ),
    (
        source(method="GetAudio", interval_s=30.0, extra={"codec": "mp3"}),
        "sources[0].extra",
        '{"codec": "mp3"}',
        "a duration_seconds below timeout_s (10), or a longer timeout_s",
    ),
    # image
    (source(image="jpeg"), "sources[0].image", '"jpeg"', "an object"),
    (source(image={"format": "gif"}), "sources[0].image.format", '"gif"', "passthrough, jpeg, png or webp"),
    (source(image={"quality": 0.0}), "sources[0].image.quality", "0", "a whole number from 1 to 100"),
    (source(image={"quality": 85.5}), "sources[0].image.quality", "85.5", "a whole number from 1 to 100"),
    (source(image={"max_width": 0.0}), "sources[0].image.max_width", "0", PIXELS),
    (source(image={"max_height": 65536.0}), "sources[0].image.max_height", "65536", PIXELS),
    (source(image={"crop": [0.0, 0.0, 5.0]}), "sources[0].image.crop", "[0, 0, 5]", CROP),
    (source(image={"crop": [0.0, 0.0, 5.0, 0.0]}), "sources[0].image.crop", "[0, 0, 5, 0]", CROP),
    (source(image={"crop": [-1.0, 0.0, 5.0, 5.0]}), "sources[0].image.crop", "[-1, 0, 5, 5]", CROP),
    (source(image={"crop": "0,0,5,5"}), "sources[0].image.crop", '"0,0,5,5"', CROP),
    (source(image={"names": [""]}), "sources[0].image.names[0]", '""', TEXT),
    # on_change
    (source(on_change=True), "sources[0].on_change", "true", "an object"),
    (source(on_change={"deadband": -1.0}), "sources[0].on_change.deadband", "-1", DEADBAND),
    (source(on_change={"deadband": {"a": "1"}}), "sources[0].on_change.deadband", '{"a": "1"}', DEADBAND),
    (source(on_change={"deadband": {"": 1.0}}), "sources[0].on_change.deadband", '{"": 1}', DEADBAND),
    (source(on_change={"min_difference": 1.5}), "sources[0].on_change.min_difference", "1.5", "a number from 0 to 1"),
    (source(on_change={"heartbeat_s": -5.0}), "sources[0].on_change.heartbeat_s", "-5", FROM_0),
    (source(api=CAMERA_API, on_change={"deadband": 1.0}), "sources[0].on_change", '{"deadband": 1}', "deadband for"),
    (
        source(method="Readings", on_change={"min_difference": 0.5}),
        "sources[0].on_change",
        '{"min_difference": 0.5}',
        "min_difference for images",
    ),
    # gate and condition
    (source(gate="s"), "sources[0].gate", '"s"', "an object"),
    (gate(sensor="", key="k"), "sources[0].gate.sensor", '""', NAMES),
    (gate(key="k"), "sources[0].gate.key", '"k"', "a key only beside a sensor"),
    (gate(sensor="w", key=5.0), "sources[0].gate.key", "5", NO_KEY),
    (gate(sensor="w", key="k", above="5"), "sources[0].gate.above", '"5"', "a number"),
    (gate(sensor="w", key="k", above=math.inf), "sources[0].gate.above", "Infinity", "a number"),
    (gate(sensor="w", key="k", below=True), "sources[0].gate.below", "true", "a number"),
    (gate(sensor="w", key="k", equals=[1.0]), "sources[0].gate.equals", "[1]", OPERAND),
    (gate(sensor="w", key="k", equals=math.nan), "sources[0].gate.equals", "NaN", OPERAND),
    (gate(sensor="w", key="k", not_equals={}), "sources[0].gate.not_equals", "{}", OPERAND),
    (gate(sensor="w", key="k", equals=None, above=5.0), "sources[0].gate.above", "5", TESTS),
    (gate(sensor="w", key="k", above=5.0, below=6.0), "sources[0].gate.below", "6", TESTS),
    (gate(sensor="w", key="k", equals=1.0, not_equals=None), "sources[0].gate.not_equals", "null", TESTS),
    (gate(above=5.0), "sources[0].gate.above", "5", "above only beside a sensor"),
    (gate(equals=None), "sources[0].gate.equals", "null", "equals only beside a sensor"),
    (gate(vision="v", key="k"), "sources[0].gate.key", '"k"', "a key only beside a sensor"),
    (gate(poll_hz=0.0), "sources[0].gate.poll_hz", "0", "a number above 0 and at most 1000"),
    (gate(before_s=-1.0), "sources[0].gate.before_s", "-1", FROM_0),
    (gate(after_s="1"), "sources[0].gate.after_s", '"1"', FROM_0),
    (gate(max_buffer_bytes=0.0), "sources[0].gate.max_buffer_bytes", "0", BYTES),
    (gate(vision=""), "sources[0].gate.vision", '""', NAMES),
    (gate(sensor="w", key="k", vision="v"), "sources[0].gate.vision", '"v"', "either a sensor or a vision service"),
    (gate(vision="v", camera=""), "sources[0].gate.camera", '""', NAMES),
    (gate(camera="c"), "sources[0].gate.camera", '"c"', "camera only beside a vision service"),
    (gate(vision="v", find="faces"), "sources[0].gate.find", '"faces"', "detections or classifications"),
    (gate(find="detections"), "sources[0].gate.find", '"detections"', "find only beside a vision service"),
    (gate(vision="v", label=""), "sources[0].gate.label", '""', 'a label, or "*" for any'),
    (gate(label="cat"), "sources[0].gate.label", '"cat"', "label only beside a vision service"),
    (gate(vision="v", min_confidence=1.1), "sources[0].gate.min_confidence", "1.1", "a number from 0 to 1"),
    (gate(min_confidence=0.5), "sources[0].gate.min_confidence", "0.5", "min_confidence only beside a vision service"),
    (
        source(method="Readings", gate={"vision": "v"}),
        "sources[0].gate",
        '{"vision": "v"}',
        "vision together with camera",
    ),
    # folder
    (folder(path="logs"), "folders[0].path", '"logs"', PATHS),
    (folder(path=""), "folders[0].path", '""', PATHS),
    (folder(path="/logs/../etc"), "folders[0].path", '"/logs/../etc"', PATHS),
    (folder(path="/a\0b"), "folders[0].path", '"/a\\u0000b"', PATHS),
    (folder(include=5.0), "folders[0].include", "5", "a list"),
    (folder(exclude=[""]), "folders[0].exclude[0]", '""', TEXT),
    (folder(recursive="no"), "folders[0].recursive", '"no"', FLAG),
    (folder(settle_s=-0.1), "folders[0].settle_s", "-0.1", FROM_0),
    (folder(after_upload="archive"), "folders[0].after_upload", '"archive"', "keep, delete or move"),
    (folder(after_upload="move", move_to="done"), "folders[0].move_to", '"done"', PATHS),
    (folder(after_upload="move", move_to="/logs"), "folders[0].move_to", '"/logs"', "an absolute path outside /logs"),
    (folder(after_upload="move", move_to="/logs/"), "folders[0].move_to", '"/logs/"', "an absolute path outside /logs"),
    (folder(after_upload="move", move_to="/logs/x"), "folders[0].move_to", '"/logs/x"', "an absolute path outside"),
    (folder(move_to="/done"), "folders[0].move_to", '"/done"', "move_to only beside after_upload: move"),
    (folder(tags=[1.0]), "folders[0].tags[0]", "1", TEXT),
    (folder(dataset_ids=True), "folders[0].dataset_ids", "true", "a list"),
    (folder(priority=9.5), "folders[0].priority", "9.5", PRIORITY),
    ({"folders": [{"path": "/a"}, {"path": "//a/./"}]}, "folders[1].path", '"//a/./"', "a path that no other"),
    # spool
    ({"spool": {"directory": "spool"}}, "spool.directory", '"spool"', PATHS),
    ({"spool": {"directory": 5.0}}, "spool.directory", "5", PATHS),
    ({"spool": {"max_bytes": 0.0}}, "spool.max_bytes", "0", BYTES),
    ({"spool": {"max_bytes": "8 gigabytes"}}, "spool.max_bytes", '"8 gigabytes"', BYTES),
    ({"spool": {"max_bytes": 1e300}}, "spool.max_bytes", "1000", BYTES),
    ({"spool": {"min_free_bytes": -1.0}}, "spool.min_free_bytes", "-1", "a whole number from 0 to"),
    ({"spool": {"when_full": "stop"}}, "spool.when_full", '"stop"', "drop_oldest, drop_newest or thin"),
    ({"spool": {"group_s": -1.0}}, "spool.group_s", "-1", "a number from 0 to 10"),
    ({"spool": {"sync": "off"}}, "spool.sync", '"off"', "full or normal"),
    # upload
    ({"upload": {"disabled": 0.0}}, "upload.disabled", "0", FLAG),
    ({"upload": {"concurrency": 101.0}}, "upload.concurrency", "101", "a whole number from 1 to 100"),
    ({"upload": {"concurrency": 0.0}}, "upload.concurrency", "0", "a whole number from 1 to 100"),
    ({"upload": {"batch_rows": 5001.0}}, "upload.batch_rows", "5001", "a whole number from 1 to 5000"),
    ({"upload": {"clock_wait_s": -1.0}}, "upload.clock_wait_s", "-1", "a number from 0 to 3600"),
    ({"upload": {"batch_wait_s": 3601.0}}, "upload.batch_wait_s", "3601", "a number from 0 to 3600"),
    ({"upload": {"stream_over_bytes": 0.5}}, "upload.stream_over_bytes", "0.5", BYTES),
    ({"upload": {"chunk_bytes": 1023.0}}, "upload.chunk_bytes", "1023", "a whole number from 1024 to 3145728"),
    ({"upload": {"chunk_bytes": 3145729.0}}, "upload.chunk_bytes", "3145729", "a whole number from 1024 to 3145728"),
    ({"upload": {"max_bytes_per_s": 0.0}}, "upload.max_bytes_per_s", "0", BYTES),
    ({"upload": {"active_hours": ["8-18"]}}, "upload.active_hours[0]", '"8-18"', WINDOWS),
    ({"upload": {"timezone": "Europe"}}, "upload.timezone", '"Europe"', ZONES),
    ({"upload": {"only_when": "s"}}, "upload.only_when", '"s"', "an object"),
    (only_when(key=""), "upload.only_when.key", '""', NO_KEY),
    (only_when(equals=1.0, below=2.0), "upload.only_when.below", "2", TESTS),
    ({"upload": {"timeout_s": 0.0}}, "upload.timeout_s", "0", ABOVE_0),
    ({"upload": {"retry_initial_s": 0.0}}, "upload.retry_initial_s", "0", ABOVE_0),
    ({"upload": {"retry_max_s": -1.0}}, "upload.retry_max_s", "-1", ABOVE_0),
    ({"upload": {"retry_max_s": 0.4}}, "upload.retry_max_s", "0.4", "a number of at least retry_initial_s, 0.5"),
    ({"upload": {"retry_initial_s": 301.0}}, "upload.retry_max_s", "300", "a number of at least retry_initial_s, 301"),
    # cloud
    ({"cloud": {"address": 5.0}}, "cloud.address", "5", ADDRESS),
    ({"cloud": {"address": ""}}, "cloud.address", '""', ADDRESS),
    ({"cloud": {"address": "http://app.viam.com"}}, "cloud.address", '"http://app.viam.com"', ADDRESS),
    ({"cloud": {"address": "http://127.0.0.1.evil.com"}}, "cloud.address", '"http://127.0.0.1.evil.com"', ADDRESS),
    ({"cloud": {"address": "http://192.168.0.5"}}, "cloud.address", '"http://192.168.0.5"', ADDRESS),
    ({"cloud": {"address": "http://[::2]:80"}}, "cloud.address", '"http://[::2]:80"', ADDRESS),
    ({"cloud": {"address": "https://[:::]"}}, "cloud.address", '"https://[:::]"', ADDRESS),
    ({"cloud": {"address": "ftp://host"}}, "cloud.address", '"ftp://host"', ADDRESS),
    ({"cloud": {"address": "https://host/path"}}, "cloud.address", '"https://host/path"', ADDRESS),
    ({"cloud": {"address": "https://host:0"}}, "cloud.address", '"https://host:0"', ADDRESS),
    ({"cloud": {"proxy": 1.0}}, "cloud.proxy", "a value that is not shown", PROXY),
    ({"cloud": {"proxy": ""}}, "cloud.proxy", "a value that is not shown", PROXY),
    ({"cloud": {"proxy": "host:1080"}}, "cloud.proxy", "a value that is not shown", PROXY),
    ({"cloud": {"proxy": "socks4://host:1080"}}, "cloud.proxy", "a value that is not shown", PROXY),
    ({"cloud": {"proxy": "http://user:pass@host"}}, "cloud.proxy", "a value that is not shown", PROXY),
    ({"cloud": {"proxy": "http://host:99999"}}, "cloud.proxy", "a value that is not shown", PROXY),
    ({"cloud": {"proxy": "http://host:1/path"}}, "cloud.proxy", "a value that is not shown", PROXY),
    ({"cloud": {"address": "https://host:65536"}}, "cloud.address", '"https://host:65536"', ADDRESS),
    ({"cloud": {"address": "https://host\n"}}, "cloud.address", '"https://host\\n"', ADDRESS),
    ({"cloud": {"address": f"https://u:{API_KEY}@host"}}, "cloud.address", '"https://…@host"', ADDRESS),
    ({"cloud": {"address": f"https://host?token={API_KEY}"}}, "cloud.address", '"https://host…"', ADDRESS),
    ({"cloud": {"address": f"u:x/{API_KEY}@host"}}, "cloud.address", '"…@host"', ADDRESS),
    ({"cloud": {"part_id": 5.0}}, "cloud.part_id", "5", "a text"),
    ({"cloud": {"api_key_id": [API_KEY]}}, "cloud.api_key_id", "a value that is not shown", "a text"),
    ({"cloud": {"api_key": [API_KEY]}}, "cloud.api_key", "a value that is not shown", "a text"),
    ({"cloud": API_KEY}, "cloud", "a value that is not shown", "an object"),
    ({"spool": [{"api_key": API_KEY, "n": 1.0}]}, "spool", '[{"api_key": "…", "n": 1}]', "an object"),
]


@pytest.mark.parametrize(("attributes", "path", "given", "allowed"), REFUSED)
def test_a_refusal_names_the_path_what_was_given_and_what_is_allowed(
    attributes: dict[str, Any], path: str, given: str, allowed: str
) -> None:
    told = refuse(attributes)
    said_path, said_given, said_allowed = re.fullmatch(r"(\S+): (.*) given; allowed is (.*)", told).groups()  # type: ignore[union-attr]
    assert (said_path, said_allowed[: len(allowed)]) == (path, allowed)
    assert said_given == given or (said_given.startswith(given) and said_given.endswith("…"))
