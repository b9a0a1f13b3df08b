"""What the page is told, of uploads that the local cloud really took."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from viam.app.data_client import DataClient

from module.demo.chronicle import Chronicle
from module.demo.exhibit import Exhibit
from module.local.cloud import LocalCloud
from tests.demo import arrivals
from tests.local.rig import channel_to, client_on, local_cloud

AT = datetime(2025, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)
TIMES = (AT, AT)


@pytest.fixture
def exhibit(cloud: LocalCloud) -> Exhibit:
    return Exhibit(cloud.arrivals, Chronicle(clock=lambda: 77.0))


async def rows(client: DataClient, *readings: dict[str, Any]) -> str:
    return await client.tabular_data_capture_upload(
        [{"readings": one} for one in readings],
        "part",
        "rdk:component:sensor",
        "kitchen",
        "Readings",
        [TIMES] * len(readings),
        tags=["all", "kitchen-fast"],
    )


async def binary(client: DataClient, data: bytes, extension: str, component: str = "cam") -> str:
    return await client.binary_data_capture_upload(
        data,
        "part",
        "rdk:component:camera",
        component,
        "GetImages",
        extension,
        tags=["front"],
        data_request_times=TIMES,
    )


async def test_before_anything_has_happened_there_is_nothing(exhibit: Exhibit) -> None:
    news = exhibit.news(0, 0)
    assert (news["arrivals"], news["samples"], news["absences"], news["notes"]) == ([], [], [], [])
    assert (news["began"], news["ended"], news["more"], news["now"]) == (None, None, False, 77.0)


async def test_readings_are_told_as_a_table_of_numbers_bools_and_texts(client: DataClient, exhibit: Exhibit) -> None:
    """Nested ones under keys joined by dots; what a row does not have is null."""
    await rows(client, {"t": 21.5, "deep": {"a": [1, 2]}}, {"t": 22, "ok": True, "text": "warm"})
    (told,) = exhibit.news(0, 0)["arrivals"]
    assert (told["kind"], told["source"], told["component"], told["items"]) == ("rows", "kitchen-fast", "kitchen", 2)
    assert told["keys"] == ["deep.a.0", "deep.a.1", "ok", "t", "text"]
    assert told["rows"] == [[AT.timestamp(), 1, 2, None, 21.5, None], [AT.timestamp(), None, None, True, 22, "warm"]]


async def test_numbers_that_json_does_not_know_are_left_out(client: DataClient, exhibit: Exhibit) -> None:
    await rows(client, {"t": float("nan"), "u": float("inf"), "v": 1})
    (told,) = exhibit.news(0, 0)["arrivals"]
    assert told["keys"] == ["v"]
    json.dumps(told, allow_nan=False)


async def test_each_kind_is_told_apart_and_leads_to_its_file(client: DataClient, exhibit: Exhibit) -> None:
    picture = await binary(client, b"jpeg", ".jpeg")
    points = await binary(client, b"points", ".pcd")
    report = await client.file_upload("part", b"text", file_name="report", file_extension=".txt", tags=["outbox"])
    readings = await rows(client, {"t": 1})
    told = exhibit.news(0, 0)["arrivals"]
    assert [one["kind"] for one in told] == ["image", "point cloud", "file", "rows"]
    assert [one["id"] for one in told] == [picture, points, report, readings]
    assert [one["kept"] for one in told] == [True, True, True, False]
    assert [one["captured"] for one in told] == [AT.timestamp(), AT.timestamp(), None, AT.timestamp()]
    assert (told[2]["name"], told[2]["source"], told[2]["size"]) == ("report.txt", "outbox", 4)

    stored = [exhibit.path(name) for name in (picture, points, report)]
    assert [path.read_bytes() for path in stored if path is not None] == [b"jpeg", b"points", b"text"]
    # The rows of all uploads share one file, which is not this arrival's.
    assert exhibit.path(readings) is None
    assert exhibit.path("../../etc/passwd") is None


def test_an_image_is_told_with_its_own_name_and_its_boxes(tmp_path: Path) -> None:
    (tmp_path / "one.jpeg").write_bytes(b"x")
    box = ("valve", 0.92, 0.25, 0.5, 0.5, 0.75)
    made = arrivals.image(tmp_path / "one.jpeg", "parts", 5.0, name="color", boxes=[box])
    (told,) = Exhibit([made], Chronicle()).news(0, 0)["arrivals"]
    assert told["image"] == "color"
    ((label, *numbers),) = told["boxes"]
    assert (label, numbers) == ("valve", pytest.approx(box[1:]))


async def test_a_document_counts_its_lines(client: DataClient, exhibit: Exhibit) -> None:
    await client.file_upload("part", b'{"a":1}\n{"a":2}\n', file_name="log", file_extension=".ndjson", tags=["log"])
    assert exhibit.news(0, 0)["arrivals"][0]["items"] == 2


async def test_what_came_twice_is_told(client: DataClient, exhibit: Exhibit, cloud: LocalCloud) -> None:
    """As where an answer was lost: the page counts it once."""
    await rows(client, {"t": 1}, {"t": 2})
    await binary(client, b"x", ".jpeg")
    await client.file_upload("part", b'{"a":1}\n{"a":2}\n', file_name="log", file_extension=".ndjson", tags=["log"])
    cloud.arrivals.extend(list(cloud.arrivals))
    assert [(one["items"], one["again"]) for one in exhibit.news(0, 0)["arrivals"]] == [
        *((2, 0), (1, 0), (2, 0)),
        *((2, 2), (1, 1), (2, 2)),
    ]


async def test_a_document_that_comes_again_with_more_lines_counts_the_new_ones_once(
    client: DataClient, exhibit: Exhibit
) -> None:
    """An outage may take the answer, and readings that came meanwhile are sent together with the old ones."""
    for text in (b'{"a":1}\n', b'{"a":1}\n{"a":2}\n'):
        await client.file_upload("part", text, file_name="log", file_extension=".ndjson", tags=["log"])
    assert [(one["items"], one["again"]) for one in exhibit.news(0, 0)["arrivals"]] == [(1, 0), (2, 1)]


async def test_what_came_without_a_tag_is_told_by_its_component(client: DataClient, exhibit: Exhibit) -> None:
    await client.binary_data_capture_upload(b"x", "part", "t", "attic", "m", ".bin", data_request_times=TIMES)
    await client.file_upload("part", b"x", file_name="x")
    assert [one["source"] for one in exhibit.news(0, 0)["arrivals"]] == ["attic", "-"]


async def test_only_what_is_new_is_told_and_not_too_much_at_once(
    client: DataClient, exhibit: Exhibit, cloud: LocalCloud
) -> None:
    await binary(client, b"x", ".jpeg")
    cloud.arrivals.extend(cloud.arrivals * 900)
    first = exhibit.news(0, 0)
    assert (len(first["arrivals"]), first["more"]) == (400, True)
    rest = exhibit.news(801, 0)
    assert (len(rest["arrivals"]), rest["more"]) == (100, False)
    assert exhibit.news(10_000, 10_000)["arrivals"] == []


async def test_without_a_folder_there_is_no_file(tmp_path: Path) -> None:
    cloud = local_cloud(None)
    async with channel_to(await cloud.start()) as channel:
        name = await binary(await client_on(channel), b"x", ".jpeg")
    await cloud.stop()
    exhibit = Exhibit(cloud.arrivals, Chronicle())
    assert exhibit.news(0, 0)["arrivals"][0]["kept"] is False
    assert exhibit.path(name) is None
