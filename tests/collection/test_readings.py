from __future__ import annotations

import collections
import datetime as dt
import enum
import json
import math
import re
import time
import types
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from viam.proto.app.datasync import DataCaptureUploadRequest, SensorData, SensorMetadata
from viam.proto.common import GeoPoint, Orientation, Vector3
from viam.utils import datetime_to_timestamp, dict_to_struct, sensor_readings_native_to_value

from module.collection.readings import (
    MAX_DEPTH,
    MAX_READING_BYTES,
    document_line,
    non_finite,
    plain,
    sensor_data,
)
from module.errors import EncodeError

REQUESTED_US = 1_700_000_000_123_456
RECEIVED_US = 1_700_000_001_000_001
UTC = dt.UTC


class Colour(enum.Enum):
    """An enum whose values are text."""

    RED = "red"


class Level(enum.IntEnum):
    """An enum that is an int too."""

    HIGH = 3


class Endless:
    """An array that gives itself where it should give a list."""

    def tolist(self) -> Endless:
        """Give nothing that gets anywhere."""
        return self


def unpacked(value: Any) -> Any:
    """Return a protobuf ``Value`` as Python's own kinds; the SDK's own way back gives 0 for null."""
    kind = value.WhichOneof("kind")
    assert kind is not None
    if kind == "struct_value":
        return {key: unpacked(inner) for key, inner in value.struct_value.fields.items()}
    if kind == "list_value":
        return [unpacked(inner) for inner in value.list_value.values]
    return None if kind == "null_value" else getattr(value, kind)


def travelled(readings: Any) -> dict[str, Any]:
    """Return the readings as whoever parses the row sees them."""
    found = unpacked(SensorData.FromString(sensor_data({"readings": readings}, 1, 2)).struct.fields["readings"])
    assert isinstance(found, dict)
    return found


def nested(depth: int, leaf: Any) -> Any:
    return leaf if depth == 0 else {"a": nested(depth - 1, leaf)}


KINDS: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (0, 0.0),
    (-7, -7.0),
    (2**53 + 1, float(2**53)),
    (10**400, None),
    (1.25, 1.25),
    (math.nan, None),
    (math.inf, None),
    (-math.inf, None),
    ("Größe", "Größe"),
    ("a\ud800b", "a\ufffdb"),
    (b"\x00\xff", "AP8="),
    (bytearray(b"\x00\xff"), "AP8="),
    (memoryview(b"\x00\xff"), "AP8="),
    (dt.datetime(2024, 7, 1, 12, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2024-07-01T10:30:00Z"),
    (dt.datetime(2024, 7, 1, 12, 30, 0, 250_000), "2024-07-01T12:30:00.250000Z"),  # noqa: DTZ001
    (dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=2))), "0001-01-01T00:00:00+02:00"),
    (dt.date(2024, 7, 1), "2024-07-01"),
    (dt.timedelta(milliseconds=1500), 1.5),
    (Decimal("0.5"), 0.5),
    (Decimal("sNaN"), None),
    (Decimal("1e999"), None),
    (Fraction(1, 4), 0.25),
    (Colour.RED, "red"),
    (Level.HIGH, 3.0),
    ((1, 2), [1.0, 2.0]),
    ({5}, [5.0]),
    (frozenset({"x"}), ["x"]),
    (range(2), [0.0, 1.0]),
    (collections.deque([1]), [1.0]),
    (collections.OrderedDict(a=1), {"a": 1.0}),
    (types.MappingProxyType({"a": {}}), {"a": {}}),
    ([], []),
    ([[], {}, None, "x", [1.5, math.nan]], [[], {}, None, "x", [1.5, None]]),
    (dict_to_struct({"a": [1.0]}), {"a": [1.0]}),
    (Vector3(x=1, y=2, z=math.nan), {"x": 1.0, "y": 2.0, "z": None, "_type": "vector3"}),
    (np.float32(0.5), 0.5),
    (np.float64(0.5), 0.5),
    (np.longdouble(0.5), 0.5),
    (np.float64(math.nan), None),
    (np.int64(-3), -3.0),
    (np.uint8(200), 200.0),
    (np.bool_(True), True),  # noqa: FBT003
    (np.str_("x"), "x"),
    (np.bytes_(b"\x01"), "AQ=="),
    (np.array(7), 7.0),
    (np.array([[1, 2], [3, 4]], np.int16), [[1.0, 2.0], [3.0, 4.0]]),
    (np.array([0.5, math.inf], np.float16), [0.5, None]),
    (np.array([0.5], np.longdouble), [0.5]),
    (np.array(["x"]), ["x"]),
    (np.array([], np.float32), []),
    (np.array([None, 1.5], object), [None, 1.5]),
    (np.datetime64("2024-07-01T10:30:00.000000001"), "2024-07-01T10:30:00Z"),
    (np.timedelta64(1_500_000_000, "ns"), 1.5),
]


@pytest.mark.parametrize(("value", "expected"), KINDS, ids=lambda value: re.sub(" at 0x.*", "", repr(value))[:50])
def test_a_value_of_every_kind_survives(value: Any, expected: Any) -> None:
    """In a row, below a list, and as plain data for JSON, the same value arrives."""
    assert travelled({"k": value, "l": [value], "d": {"x": value}}) == {
        "k": expected,
        "l": [expected],
        "d": {"x": expected},
    }
    assert plain(value) == expected
    line = json.loads(document_line({"k": value}, REQUESTED_US, RECEIVED_US))
    assert line["readings"] == {"k": expected}


@pytest.mark.parametrize("value", [True, 5, 2**53 + 1, 0.5, Level.HIGH, np.bool_(True), np.int8(1)])  # noqa: FBT003
def test_bools_ints_and_floats_stay_what_they_are_in_plain_data(value: Any) -> None:
    expected = {True: bool, 5: int, 0.5: float, Level.HIGH: int, 2**53 + 1: float}
    assert type(plain(value)) is (type(value.item()) if isinstance(value, np.generic) else expected[value])


def test_a_naive_time_is_taken_as_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/New_York")
        time.tzset()
        assert plain(dt.datetime(2024, 7, 1, 12, 30)) == "2024-07-01T12:30:00Z"  # noqa: DTZ001
    time.tzset()


def test_vectors_points_and_orientations_have_the_sdks_shape() -> None:
    readings = {
        "v": Vector3(x=1, y=2, z=3),
        "p": GeoPoint(latitude=40.7, longitude=-74),
        "o": Orientation(o_x=0, o_y=0, o_z=1, theta=90),
    }
    sdks = {key: unpacked(value) for key, value in sensor_readings_native_to_value(readings).items()}
    assert travelled(readings) == sdks
    assert travelled({"deeper": readings}) == {"deeper": sdks}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (1, "1"),
        (None, "None"),
        (2.5, "2.5"),
        (True, "True"),
        (Colour.RED, "red"),
        (Level.HIGH, "3"),
        (b"k", "k"),
        ((1, 2), "(1, 2)"),
        ("\ud800", "\ufffd"),
        ("ключ", "ключ"),
        (np.str_("n"), "n"),
        ("", ""),
    ],
    ids=ascii,
)
def test_keys_that_are_no_strings_become_strings(key: Any, expected: str) -> None:
    assert travelled({key: 1.0, "d": {key: {"x": 1}}}) == {expected: 1.0, "d": {expected: {"x": 1.0}}}
    assert plain({key: 1.0, "d": {key: {}}}) == {expected: 1.0, "d": {expected: {}}}


@pytest.mark.parametrize(
    "readings", [{1: "a", "1": "b"}, {"1": "a", 1: "b"}, dict.fromkeys(["\ud800", "\ufffd"])], ids=ascii
)
def test_two_keys_that_read_the_same_are_refused(readings: Any) -> None:
    """One of two values would be lost without a word."""
    with pytest.raises(EncodeError, match="two keys read"):
        sensor_data({"readings": readings}, 1, 2)
    with pytest.raises(EncodeError, match="two keys read"):
        plain({"readings": readings})


@pytest.mark.parametrize(
    ("readings", "text"),
    [
        ({"a": {"b": [1, 2, object()]}}, "readings.a.b[2]: a value of type builtins.object cannot travel as a reading"),
        ({"a": [0.5, {"b": 1j}]}, "readings.a[1].b: a value of type builtins.complex cannot travel as a reading"),
        ({"a": ([object()],)}, "readings.a[0][0]: a value of type builtins.object cannot travel as a reading"),
        ({"a": Endless()}, f"readings.a: a value of type {__name__}.Endless cannot travel as a reading"),
        ({"a": {object: lambda: 0}.values()}, "readings.a: a value of type builtins.dict_values cannot travel"),
    ],
)
def test_a_value_that_cannot_travel_is_named_with_its_path_and_type(readings: Any, text: str) -> None:
    for encode in (lambda payload: sensor_data(payload, 1, 2), plain):
        with pytest.raises(EncodeError) as caught:
            encode({"readings": readings})
        assert str(caught.value).startswith(text)


def test_a_reading_that_holds_itself_is_refused() -> None:
    endless: dict[str, Any] = {"b": []}
    endless["b"].append(endless)
    for encode in (lambda payload: sensor_data(payload, 1, 2), plain):
        with pytest.raises(EncodeError, match="nested more than 30 deep"):
            encode(endless)


def test_the_deepest_row_can_be_parsed_by_the_cloud_and_one_deeper_is_refused() -> None:
    """Protobuf's parsers stop at 100 messages within one another, the request around the row included."""
    request = DataCaptureUploadRequest()
    request.sensor_contents.add().ParseFromString(sensor_data(nested(MAX_DEPTH, [Vector3()])["a"], 1, 2))
    DataCaptureUploadRequest.FromString(request.SerializeToString())
    with pytest.raises(EncodeError, match="nested more"):
        sensor_data(nested(MAX_DEPTH + 2, 1.5), 1, 2)
    with pytest.raises(EncodeError, match="nested more"):
        plain(nested(MAX_DEPTH + 1, 1.5))


def test_a_row_above_the_clouds_limit_is_refused_with_its_size() -> None:
    sensor_data({"readings": {"a": "x" * (MAX_READING_BYTES - 100)}}, 1, 2)
    with pytest.raises(EncodeError, match=r"a reading of 40000\d\d bytes was given; the cloud takes at most 4000000"):
        sensor_data({"readings": {"a": "x" * MAX_READING_BYTES}}, 1, 2)
    with pytest.raises(EncodeError, match="at most 4000000"):
        document_line({"a": "x" * MAX_READING_BYTES}, 1, 2)


@pytest.mark.parametrize("values", [[0.5] * 1_000_001, range(10**12), np.broadcast_to(np.uint8(0), (10**6, 10**6))])
def test_what_can_never_fit_is_refused_before_it_is_copied(values: Any) -> None:
    with pytest.raises(EncodeError, match=r"readings.a: \d+ values were given"):
        sensor_data({"readings": {"a": values}}, 1, 2)


def test_the_bytes_are_the_message_that_the_sdk_would_build() -> None:
    readings: Any = {"a": 1.5, "b": "x", "c": True, "d": {"e": [1.0, "y", False, {"f": -2.0}]}, "g": {}, "h": []}
    sent = SensorData.FromString(sensor_data({"readings": readings}, REQUESTED_US, RECEIVED_US))
    assert sent == SensorData(
        metadata=SensorMetadata(
            time_requested=datetime_to_timestamp(dt.datetime(2023, 11, 14, 22, 13, 20, 123_456, UTC)),
            time_received=datetime_to_timestamp(dt.datetime(2023, 11, 14, 22, 13, 21, 1, UTC)),
        ),
        struct=dict_to_struct({"readings": readings}),
    )


@pytest.mark.parametrize("payload", [{}, {"readings": {}}])
def test_an_empty_payload_is_a_struct_all_the_same(payload: dict[str, Any]) -> None:
    sent = SensorData.FromString(sensor_data(payload, 0, -1))
    assert sent.WhichOneof("data") == "struct"
    assert {key: unpacked(value) for key, value in sent.struct.fields.items()} == payload
    assert sent.metadata.HasField("time_requested")
    assert (sent.metadata.time_received.seconds, sent.metadata.time_received.nanos) == (-1, 999_999_000)


@pytest.mark.parametrize("moment_us", [-62_135_596_800_000_000, -1, 0])
def test_a_row_of_before_the_epoch_has_its_time(moment_us: int) -> None:
    metadata = SensorData.FromString(sensor_data({}, moment_us, moment_us + 1)).metadata
    assert metadata.time_requested.ToMicroseconds() == moment_us
    assert metadata.time_received.ToMicroseconds() == moment_us + 1


def test_a_line_is_one_json_object_with_times_in_utc() -> None:
    line = document_line({"a": 1, "b": "ä\n"}, REQUESTED_US, 1_700_000_001_000_000)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "time_requested": "2023-11-14T22:13:20.123456Z",
        "time_received": "2023-11-14T22:13:21.000000Z",
        "readings": {"a": 1, "b": "ä\n"},
    }


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ({"a": 1.5, "b": "x", "c": None, "d": True, "e": object()}, 0),
        ({"a": math.nan, "b": [math.inf, {"c": (-math.inf, 1.0)}]}, 3),
        (np.array([math.nan, 1.0, math.nan]), 2),
        ([np.float32(math.nan), Decimal("inf"), 10**400, 10**300, Vector3(x=math.nan)], 4),
    ],
)
def test_non_finite_numbers_are_counted(value: Any, count: int) -> None:
    assert non_finite(value) == count


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), ANYTHING, max_size=8))
def test_what_travels_is_what_plain_says(readings: dict[str, Any]) -> None:
    """Readings → Struct → back gives their plain form, and ``non_finite`` counts its nulls that were none before."""
    expected = plain(readings)
    assert travelled(readings) == expected
    assert plain(expected) == expected
    assert non_finite(expected) == 0
    assert json.loads(document_line(readings, 1, 2))["readings"] == expected
    assert non_finite(readings) == nulls(expected) - nulls(readings)


def nulls(value: Any) -> int:
    """Count the Nones at any depth."""
    if isinstance(value, dict):
        return nulls(list(value.values()))
    return sum(map(nulls, value)) if isinstance(value, list | tuple) else value is None
