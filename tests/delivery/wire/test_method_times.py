"""Times and channels that the SDK's methods do without, or trip over."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import Channel

from module.delivery.wire.files import OpenFile
from module.delivery.wire.methods import CourierClient
from tests.delivery.pair import CAMERA, CHUNK, T1, T2, Pair, assert_same
from tests.delivery.rig import PART

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("upload", ["binary_data_capture_upload", "streaming_data_capture_upload"])
@pytest.mark.parametrize("times", [(T1, None), (None, T2), (EPOCH, EPOCH), (T1.replace(tzinfo=None), T2)], ids=repr)
async def test_a_missing_time_and_the_epoch_are_what_the_sdk_sends(pair: Pair, upload: str, times: Any) -> None:
    names = ("binary_data", "file_extension") if upload.startswith("binary") else ("data", "file_ext")
    arguments = {names[0]: b"x", names[1]: ".jpg", "part_id": PART, **CAMERA, "data_request_times": times}
    theirs, own = await pair.compare(upload, **arguments)
    assert_same(theirs, own)
    assert own.sensor_metadata is not None
    assert own.sensor_metadata.HasField("time_requested") is (times[0] is not None)
    assert own.sensor_metadata.HasField("time_received") is (times[1] is not None)


async def test_the_times_of_a_row_may_be_missing_and_may_be_the_epoch(pair: Pair) -> None:
    rows = [{"n": 1.0}, {"n": 2.0}, {"n": 3.0}]
    arguments: dict[str, Any] = {"tabular_data": rows, "part_id": PART, **CAMERA}
    theirs, own = await pair.compare(
        "tabular_data_capture_upload", data_request_times=[(EPOCH, T1), (T1, None), None], **arguments
    )
    assert own.messages == theirs.messages
    await pair.ours.tabular_data_capture_upload(**arguments)
    bare = pair.cloud.arrivals[-1].rows
    assert [row.HasField("metadata") for row in bare] == [False] * 3
    assert [row.struct for row in bare] == [row.struct for row in own.rows]


async def test_rows_and_times_that_differ_in_number_are_refused_as_by_the_sdk(pair: Pair) -> None:
    for client in (pair.sdk, pair.ours):
        with pytest.raises(ValueError, match="length"):
            await client.tabular_data_capture_upload(
                [{"n": 1}, {"n": 2}], PART, **CAMERA, data_request_times=[(T1, T2)]
            )
    assert pair.cloud.arrivals == []


async def test_all_five_work_on_an_ordinary_channel(pair: Pair, tmp_path: Path) -> None:
    """One that anybody makes, with grpclib's own codec."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"on disk")
    async with Channel("127.0.0.1", int(pair.address.rpartition(":")[2])) as channel:
        client = CourierClient(channel, pair.ours._metadata, timeout_s=10, chunk_bytes=CHUNK)
        await client.tabular_data_capture_upload([{"n": 1}], PART, **CAMERA)
        await client.binary_data_capture_upload(b"image", PART, file_extension=".jpg", **CAMERA)
        await client.streaming_data_capture_upload(b"s" * 2 * CHUNK, PART, ".pcd")
        await client.file_upload(PART, b"bytes", file_name="b")
        async with OpenFile(str(tmp_path), str(path)) as file:
            await client.file_upload_from_path(file, PART)
        await client.file_upload_from_path(str(path), PART)
    sizes = [arrival.size for arrival in pair.cloud.arrivals[1:]]
    assert sizes == [5, 2 * CHUNK, 5, 7, 7]
