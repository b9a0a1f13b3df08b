from __future__ import annotations

import pytest
from viam.proto.app.datasync import SensorData

from module.clock.stamps import moment, redated_line, redated_row, varint
from module.collection.readings import document_line, sensor_data

TIMES = [(0, 1), (60_000_000, 60_000_001), (1_780_000_000_123_456, 1_780_000_001_000_000), (-1, 0)]
ROWS = [{}, {"readings": {}}, {"readings": {"n": 1.5, "text": "ä" * 300, "list": [1, None, {"a": True}]}}]


@pytest.mark.parametrize("before", TIMES)
@pytest.mark.parametrize("after", TIMES)
@pytest.mark.parametrize("row", ROWS)
def test_a_row_with_other_times_is_the_row_of_that_time(
    row: dict[str, object], before: tuple[int, int], after: tuple[int, int]
) -> None:
    """To the byte."""
    assert redated_row(sensor_data(row, *before), *after) == sensor_data(row, *after)


@pytest.mark.parametrize("before", TIMES)
@pytest.mark.parametrize("after", TIMES)
@pytest.mark.parametrize("row", ROWS)
def test_a_line_with_other_times_is_the_line_of_that_time(
    row: dict[str, object], before: tuple[int, int], after: tuple[int, int]
) -> None:
    assert redated_line(document_line(row, *before), *after) == document_line(row, *after)


def test_a_row_without_times_stays_without() -> None:
    bare = SensorData()
    bare.struct.fields["n"].number_value = 1
    assert redated_row(bare.SerializeToString(), 1, 2) == bare.SerializeToString()


def test_a_moment_is_always_as_long() -> None:
    assert {len(moment(us)) for pair in TIMES for us in pair} == {27}
    assert moment(0) == "1970-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(("number", "said"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_a_varint_is_that_of_the_protocol_buffers_page(number: int, said: bytes) -> None:
    assert varint(number) == said
