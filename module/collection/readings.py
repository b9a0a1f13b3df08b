"""Readings of any kind → ``SensorData`` bytes to send, or a line of JSON.

Vectors, points and orientations have the shapes of ``viam.utils.sensor_readings_native_to_value``, here at any depth.
All numbers in a ``Struct`` are doubles. NaN and infinity become null, and ``non_finite`` counts them.
"""

from __future__ import annotations

import base64
import datetime as dt
import enum
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, SupportsFloat

from viam.proto.app.datasync import SensorData
from viam.proto.common import GeoPoint, Orientation, Vector3

from module.clock.stamps import moment
from module.errors import EncodeError

MAX_READING_BYTES = 4_000_000
"""Limit of one serialised row; the cloud refuses larger ones."""

MAX_DEPTH = 30
"""How deep mappings and sequences may be nested: protobuf's parsers stop at 100 messages, and a mapping takes three."""

_EXACT = 2**53
"""Above it, two neighbouring integers can be the same double."""

_SMALLEST_VALUE = 4
"""The least bytes of a value in a list: a list with more values than can fit is refused before it is copied."""


class _Unfit(Exception):
    """A value that cannot be sent. Its key path is collected while the stack unwinds, the last key first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.steps: list[str] = []

    def refusal(self) -> EncodeError:
        path = "".join(reversed(self.steps)).removeprefix(".")
        return EncodeError(f"{path}: {self}" if path else str(self))


def sensor_data(payload: Mapping[str, Any], requested_us: int, received_us: int) -> bytes:
    """Return a serialised ``viam.proto.app.datasync.SensorData`` of one row, e.g. of ``{"readings": {...}}``.

    Times are microseconds since the epoch. Raises EncodeError for a value that a ``Struct`` cannot hold (the text names
    its key path and type), for nesting deeper than MAX_DEPTH, and for a row of more than MAX_READING_BYTES.
    """
    message = SensorData()
    stamp = message.metadata.time_requested
    stamp.seconds, micros = divmod(requested_us, 1_000_000)
    stamp.nanos = micros * 1000
    stamp = message.metadata.time_received
    stamp.seconds, micros = divmod(received_us, 1_000_000)
    stamp.nanos = micros * 1000
    try:
        _fill_struct(message.struct, payload, MAX_DEPTH)
    except _Unfit as unfit:
        raise unfit.refusal() from unfit.__cause__
    return _within_limit(message.SerializeToString())


def document_line(readings: Mapping[str, Any], requested_us: int, received_us: int) -> bytes:
    """Return one row as a line of JSON, newline included: ``time_requested``, ``time_received``, ``readings``.

    Times are microseconds since the epoch and become ISO 8601 in UTC. Raises EncodeError as ``sensor_data`` does.
    """
    row = {"time_requested": moment(requested_us), "time_received": moment(received_us), "readings": plain(readings)}
    text = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _within_limit(text.encode() + b"\n")


def plain(value: Any) -> Any:
    """Return a copy that has only None, bools, ints below 2**53, finite floats, strs, lists, and dicts with str keys.

    The copy is what is sent. NaN and infinity become None; times ISO 8601 in UTC (naive times count as UTC, as in the
    SDK); bytes base64; durations seconds; enums their values; vectors and similar types dicts with a ``_type``. Raises
    EncodeError for any other value, with its key path and type, and for nesting deeper than MAX_DEPTH.
    """
    try:
        return _plain(value, MAX_DEPTH)
    except _Unfit as unfit:
        raise unfit.refusal() from unfit.__cause__


def non_finite(value: Any) -> int:
    """Count the NaNs and infinities that become null; 0 also for a value that cannot be sent.

    It takes about 0.6 µs for ten floats. The encoding does not count them, so that callers that need no count pay
    nothing for it.
    """
    kind = type(value)
    if kind is float:
        return 0 if value - value == 0.0 else 1
    if kind is str or value is None or kind is bool:
        return 0
    if kind is dict or kind is list:
        count = 0
        for item in value.values() if kind is dict else value:
            if type(item) is not float:
                count += non_finite(item)
            elif item - item != 0.0:
                count += 1
        return count
    try:
        native = _native(value)
    except _Unfit:
        return 0
    if type(native) is int:
        return 0 if _as_double(native) is not None else 1
    return non_finite(native)


def _within_limit(row: bytes) -> bytes:
    if len(row) > MAX_READING_BYTES:
        raise EncodeError(f"a reading of {len(row)} bytes was given; the cloud takes at most {MAX_READING_BYTES}")
    return row


# Messages have the type Any below: protobuf brings no types for its own.


def _fill_struct(struct: Any, mapping: Mapping[Any, Any], depth: int) -> None:
    """Fill a struct in place, common types first: to build values and join them costs fifteen times as much."""
    fields = struct.fields
    if not mapping:
        struct.SetInParent()
    key: Any = None
    try:
        for key, value in mapping.items():
            try:
                field = fields[key if type(key) is str else _name(key, fields, mapping)]
            except UnicodeEncodeError:
                field = fields[_name(key, fields, mapping)]
            if type(value) is float and value - value == 0.0:
                field.number_value = value
            else:
                _fill_value(field, value, depth)
    except _Unfit as unfit:
        unfit.steps.append(f".{key}")
        raise


def _fill_list(values: Any, items: Sequence[Any], depth: int) -> None:
    _check_length(items)
    try:
        for item in items:
            if type(item) is float and item - item == 0.0:
                values.add().number_value = item
            else:
                _fill_value(values.add(), item, depth)
    except _Unfit as unfit:
        unfit.steps.append(f"[{len(values) - 1}]")
        raise


def _fill_value(field: Any, value: Any, depth: int) -> None:
    kind = type(value)
    if kind is dict:
        _check_depth(depth)
        _fill_struct(field.struct_value, value, depth - 1)
    elif kind is bool:
        field.bool_value = value
    elif kind is str:
        field.string_value = value if value.isascii() else _text(value)
    elif kind is int or kind is float:
        number = _as_double(value)
        if number is None:
            field.null_value = 0
        else:
            field.number_value = number
    elif value is None:
        field.null_value = 0
    elif kind is list:
        _check_depth(depth)
        values = field.list_value
        values.SetInParent()
        _fill_list(values.values, value, depth - 1)
    else:
        # plain() returns only the types above.
        _fill_value(field, _plain(value, depth), depth)


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is float:
        return value if value - value == 0.0 else None
    if kind is str:
        return _text(value)
    if kind is bool or value is None:
        return value
    if kind is int:
        return value if -_EXACT <= value <= _EXACT else _as_double(value)
    if kind is dict or kind is list:
        _check_depth(depth)
        return _plain_dict(value, depth - 1) if kind is dict else _plain_list(value, depth - 1)
    return _plain(_native(value), depth)


def _plain_dict(mapping: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    named: dict[str, Any] = {}
    key: Any = None
    try:
        for key, value in mapping.items():
            name = key if type(key) is str and key.isascii() else _name(key, named, mapping)
            named[name] = _plain(value, depth)
    except _Unfit as unfit:
        unfit.steps.append(f".{key}")
        raise
    return named


def _plain_list(items: Sequence[Any], depth: int) -> list[Any]:
    _check_length(items)
    listed: list[Any] = []
    try:
        # No comprehension: the length says which item was unfit.
        for item in items:
            listed.append(_plain(item, depth))  # noqa: PERF401
    except _Unfit as unfit:
        unfit.steps.append(f"[{len(listed)}]")
        raise
    return listed


def _native_datetime(value: dt.datetime) -> str:
    if value.utcoffset() is None:
        return value.replace(tzinfo=None).isoformat() + "Z"
    try:
        return value.astimezone(dt.UTC).isoformat().removesuffix("+00:00") + "Z"
    except OverflowError:
        # In UTC it falls outside the years that a datetime can hold.
        return value.isoformat()


def _native_orientation(value: Any) -> dict[str, Any]:
    shape = {"ox": value.o_x, "oy": value.o_y, "oz": value.o_z, "theta": value.theta}
    return {**shape, "_type": "orientation_vector_degrees"}


def _native_list(items: Collection[Any]) -> list[Any]:
    _check_length(items)
    return list(items)


def _native_decimal(value: Decimal) -> float:
    # float() raises on signalling NaNs.
    return float("nan") if value.is_nan() else float(value)


def _native_array(value: Any) -> Any:
    """Return a numpy scalar or array, or a similar object, as Python's own types; does not import numpy."""
    size = getattr(value, "size", 0)
    if isinstance(size, int):
        _check_size(size)
    dtype_kind = getattr(getattr(value, "dtype", None), "kind", "")
    if dtype_kind in ("M", "m"):
        # In nanoseconds tolist() returns bare integers.
        value = value.astype(("datetime64" if dtype_kind == "M" else "timedelta64") + "[us]")
    elif dtype_kind == "f":
        # A long double would return itself.
        value = value.astype("float64")
    return value.tolist()


def _native_float(value: SupportsFloat) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


# The first kind that fits decides: an IntEnum is an int too, and a date is not a datetime.
_NATIVE: tuple[tuple[tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((enum.Enum,), lambda member: member.value),
    ((str,), "".join),
    ((bytes, bytearray, memoryview), lambda data: base64.b64encode(data).decode()),
    ((dt.datetime,), _native_datetime),
    ((dt.date,), dt.date.isoformat),
    ((dt.timedelta,), dt.timedelta.total_seconds),
    ((Vector3,), lambda v: {"x": v.x, "y": v.y, "z": v.z, "_type": "vector3"}),
    ((GeoPoint,), lambda p: {"lat": p.latitude, "lng": p.longitude, "_type": "geopoint"}),
    ((Orientation,), _native_orientation),
    ((Mapping,), lambda mapping: dict(mapping.items())),
    ((Sequence, AbstractSet), _native_list),
    ((int,), int),
    ((Decimal,), _native_decimal),
)


def _native(value: Any) -> Any:
    """Return the value as None, bool, int, float, str, dict or list, one layer deep."""
    for kinds, convert in _NATIVE:
        if isinstance(value, kinds):
            return convert(value)
    native = value
    if callable(getattr(value, "tolist", None)):
        native = _native_array(value)
    elif isinstance(value, SupportsFloat):
        native = _native_float(value)
    if type(native) is type(value):
        raise _Unfit(f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot travel as a reading")
    return native


def _as_double(value: float) -> float | None:
    """Return the number as a double; None if it is not finite as one."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number - number == 0.0 else None


def _text(text: str) -> str:
    """Return the text with lone surrogates, which UTF-8 cannot carry, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _name(key: Any, taken: Collection[str], mapping: Mapping[Any, Any]) -> str:
    """Return the key as text; raises _Unfit if two keys would become the same and one value would be lost."""
    if isinstance(key, enum.Enum):
        key = key.value
    name = _text(key.decode(errors="replace") if isinstance(key, bytes) else str(key))
    if name in taken or (name != key and name in mapping):
        raise _Unfit(f"two keys read {name!r} as text")
    return name


def _check_depth(depth: int) -> None:
    if depth <= 0:
        raise _Unfit(f"the reading is nested more than {MAX_DEPTH} deep, or holds itself")


def _check_length(items: Collection[Any]) -> None:
    _check_size(len(items))


def _check_size(values: int) -> None:
    if values * _SMALLEST_VALUE > MAX_READING_BYTES:
        raise _Unfit(f"{values} values were given; at most {MAX_READING_BYTES} bytes can travel")
