"""Arrivals as the local cloud has them, made by hand: a run of any length without the time that it would take."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from viam.proto.app.data import Annotations, BoundingBox, Classification
from viam.proto.app.datasync import SensorData, SensorMetadata, UploadMetadata
from viam.utils import dict_to_struct

from module.local.calls import Arrival, UploadMethod

Box = tuple[str, float, float, float, float, float]
"""Label, confidence, left, top, right and bottom."""


def rows(
    component: str, source: str, readings: Sequence[tuple[float, Mapping[str, Any]]], *, arrived: float = 0
) -> Arrival:
    """Readings and their times, in one upload."""
    data = tuple(
        SensorData(metadata=_times(at), struct=dict_to_struct({"readings": dict(values)})) for at, values in readings
    )
    size = sum(len(one.SerializeToString()) for one in data)
    return _arrival(UploadMethod.TABULAR, component, source, arrived or readings[-1][0] + 0.1, size, rows=data)


def image(
    path: Path, source: str, at: float, *, size: int = 76_000, name: str = "color", boxes: Sequence[Box] = ()
) -> Arrival:
    """An image that a camera has under this name."""
    seen = Annotations(classifications=[Classification(label=name)])
    for label, confidence, left, top, right, bottom in boxes:
        seen.bboxes.append(
            BoundingBox(
                label=label,
                confidence=confidence,
                x_min_normalized=left,
                y_min_normalized=top,
                x_max_normalized=right,
                y_max_normalized=bottom,
            )
        )
    return _arrival(UploadMethod.BINARY, "front", source, at + 0.1, size, path=path, seen=_times(at, seen))


def point_cloud(path: Path, source: str, at: float) -> Arrival:
    """A point cloud."""
    return _arrival(UploadMethod.STREAMING, "depth", source, at + 0.1, path.stat().st_size, path=path, seen=_times(at))


def file(path: Path, source: str, at: float) -> Arrival:
    """A file."""
    return _arrival(UploadMethod.FILE, "", source, at, path.stat().st_size, path=path)


def pcd(points: int, form: str) -> bytes:
    """A ball of coloured points as a PCD, ``binary`` or ``ascii``."""
    turns = np.arange(points) * 2.399963
    z = np.linspace(-1, 1, points)
    across = np.sqrt(1 - z**2)
    values = np.empty(points, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
    values["x"], values["y"], values["z"] = across * np.cos(turns), across * np.sin(turns), z + 3
    values["rgb"] = 0xE04020
    header = (
        "VERSION .7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F U\nCOUNT 1 1 1 1\n"
        f"WIDTH {points}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {points}\nDATA {form}\n"
    )
    if form == "binary":
        return header.encode() + values.tobytes()
    lines = (f"{x:.6f} {y:.6f} {z:.6f} {rgb}" for x, y, z, rgb in values.tolist())
    return (header + "\n".join(lines) + "\n").encode()


def _times(at: float, seen: Annotations | None = None) -> SensorMetadata:
    stamp = Timestamp()
    stamp.FromMicroseconds(round(at * 1e6))
    return SensorMetadata(time_requested=stamp, time_received=stamp, annotations=seen)


def _arrival(
    method: UploadMethod,
    component: str,
    source: str,
    arrived: float,
    size: int,
    *,
    path: Path | None = None,
    seen: SensorMetadata | None = None,
    rows: tuple[SensorData, ...] = (),
) -> Arrival:
    number = str(uuid.uuid4())
    extension = path.suffix if path else ""
    metadata = UploadMetadata(
        component_name=component, file_name=path.name if path else "", file_extension=extension, tags=[source]
    )
    when = datetime.fromtimestamp(arrived, UTC)
    return Arrival(method, metadata, seen, rows, size, number, None, (size,), (), number, when, path)
