from __future__ import annotations

import os
import sys
import time

import pytest
from viam.proto.app.datasync import DataCaptureUploadRequest, SensorData, UploadMetadata

from benchmarks.measure import use_of
from benchmarks.subjects.sink import contents

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_the_use_of_a_process_is_what_it_has_used() -> None:
    before = use_of(os.getpid())
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    held = bytearray(os.urandom(1_000_000) * 30)
    after = use_of(os.getpid())
    assert after.cpu_s - before.cpu_s >= 0.1
    assert after.resident_bytes - before.resident_bytes >= len(held) // 2
    assert after.peak_bytes >= after.resident_bytes


def test_a_process_that_has_gone_is_an_error() -> None:
    with pytest.raises(OSError, match="No such file"):
        use_of(2**22 + 1)


@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_the_sink_counts_the_contents_of_a_message(count: int) -> None:
    request = DataCaptureUploadRequest(
        metadata=UploadMetadata(part_id="p" * 200), sensor_contents=[SensorData(binary=b"x" * 20_000)] * count
    )
    assert contents(request.SerializeToString()) == count
