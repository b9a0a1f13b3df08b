"""Turns the values of a protobuf ``Struct`` into Python's own.

null is None here; the SDK's own conversion (``viam.utils.struct_to_dict``) makes 0 of it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.struct_pb2 import Struct, Value


def plain(value: Value) -> Any:
    """Return None, a bool, a float, a str, a list or a dict."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain_fields(value.struct_value)
    if kind == "list_value":
        return [plain(each) for each in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def plain_fields(struct: Struct) -> dict[str, Any]:
    """Return a struct as a dict."""
    fields = struct.fields
    # Not by items(), which looks each value up in Python.
    return {key: plain(fields[key]) for key in fields}
