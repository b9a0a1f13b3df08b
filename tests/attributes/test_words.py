"""What users write first: the words of others, single texts, sizes with units; and what a refusal then says."""

from __future__ import annotations

from typing import Any

import pytest

from module.attributes.timetable import BadTimeText, parse_windows
from module.attributes.uploader import Config, parse
from tests.attributes.given import MACHINE, refuse, source

CAMERA = "rdk:component:camera"


def parsed(attributes: dict[str, Any]) -> Config:
    return parse(attributes, service="courier", environ=MACHINE)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"sources": [{"component": "s"}]}, "sources[0].component: no such attribute; did you mean name?"),
        (
            source(schedule="* * * * *"),
            "sources[0].schedule: no such attribute; did you mean capture_frequency_hz, interval_s or cron?",
        ),
        (source(Interval_S=5), "sources[0].Interval_S: no such attribute; did you mean interval_s?"),
        ({"upload": {"only_when": {"sensor": "w", "key": "k", "schedule": 1}}}, "no such attribute; known are sensor"),
    ],
)
def test_an_attribute_by_anothers_word_names_ours(attributes: dict[str, Any], told: str) -> None:
    assert told in refuse(attributes)


@pytest.mark.parametrize(
    ("attributes", "meant"),
    [
        (source(method="readings"), "Readings"),
        (source(method="ReadImage"), "GetImages"),
        (source(method="ReadImage", api=CAMERA), "GetImages"),
        (source(method="GetPointCloud", api=CAMERA), "NextPointCloud"),
        (source(upload_as="Stream"), "streaming"),
        (source(image={"format": "jpg"}), "jpeg"),
        ({"spool": {"when_full": "drop-oldest"}}, "drop_oldest"),
    ],
)
def test_a_name_of_a_few_is_refused_with_the_nearest_one(attributes: dict[str, Any], meant: str) -> None:
    assert refuse(attributes).endswith(f"(did you mean {meant}?)")


def test_a_method_that_is_like_none_has_no_nearest_one() -> None:
    assert "did you mean" not in refuse(source(method="ReadImage", api="rdk:component:sensor"))


def test_a_single_text_stands_for_a_list_of_one() -> None:
    one = {
        "sources": [
            {"name": "s", "active_hours": "08:00-18:00", "tags": "t", "dataset_ids": "d", "image": {"names": "color"}}
        ],
        "folders": [{"path": "/a", "include": "*.log", "exclude": "*.tmp", "tags": "t", "dataset_ids": "d"}],
        "tags": "all",
        "dataset_ids": "d",
        "upload": {"active_hours": "mon-fri 22:00-02:00"},
    }
    config = parsed(one)
    found, folder = config.sources[0], config.folders[0]
    assert (found.active_hours, found.tags, found.dataset_ids) == (("08:00-18:00",), ("t",), ("d",))
    assert (found.image.names, folder.include, folder.exclude) == (("color",), ("*.log",), ("*.tmp",))
    assert (config.tags, config.dataset_ids, config.upload.active_hours) == (("all",), ("d",), ("mon-fri 22:00-02:00",))
    assert 'active_hours[0]: "8-18" given' in refuse(source(active_hours="8-18"))
    assert 'tags[0]: "" given; allowed is a non-empty text' in refuse({"tags": ""})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("10 GB", 10_000_000_000),
        ("10GB", 10_000_000_000),
        ("512 MiB", 512 * 1024**2),
        ("1.5 KiB", 1536),
        ("2 TB", 2_000_000_000_000),
        ("1 kB", 1000),
        (" 300 B ", 300),
        (4096.0, 4096),
    ],
)
def test_a_size_may_have_a_unit(given: Any, expected: int) -> None:
    sizes = {"max_bytes": given, "min_free_bytes": given}
    config = parsed({"spool": sizes, "upload": {"stream_over_bytes": given}})
    assert (config.spool.max_bytes, config.spool.min_free_bytes, config.upload.stream_over_bytes) == (expected,) * 3
    assert type(config.spool.max_bytes) is int


def test_every_attribute_in_bytes_takes_a_unit() -> None:
    gate = parsed(source(gate={"max_buffer_bytes": "64 MiB"})).sources[0].gate
    assert gate is not None
    assert gate.max_buffer_bytes == 64 * 1024**2
    upload = parsed({"upload": {"chunk_bytes": "256 KiB", "max_bytes_per_s": "100 kB/s"}}).upload
    assert (upload.chunk_bytes, upload.max_bytes_per_s) == (256 * 1024, 100_000)
    assert parsed({"upload": {"max_bytes_per_s": "100 kB"}}).upload.max_bytes_per_s == 100_000


@pytest.mark.parametrize(
    "given", ["10 Gb", "10 gigabytes", "GB", "-1 GB", "1e3 kB", "10 GB/s", "0 B", "5 iB", "9" * 30]
)
def test_a_size_with_no_unit_of_bytes_is_refused_with_an_example(given: str) -> None:
    told = refuse({"spool": {"max_bytes": given}})
    assert told.endswith('allowed is a whole number from 1 to 9007199254740992, or a text such as "512 MiB"')


def test_a_rate_is_refused_with_an_example_of_one() -> None:
    assert refuse({"upload": {"max_bytes_per_s": "1 Mbit/s"}}).endswith('or a text such as "100 kB/s"')


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Monday-Friday 08:00-18:00", "'monday' is no day, which are mon, tue, wed, thu, fri, sat, sun"),
        ("mon-friday 08:00-18:00", "'friday' is no day"),
        ("monday to friday 08:00-18:00", "'monday to friday' is no list of days"),
        ("mon- 08:00-18:00", "'' is no day"),
        ("25:00-26:00", "'25:00' is no time of day"),
        ("08:00-18:60", "'18:60' is no time of day"),
        ("08:00-08:00", "it ends when it starts"),
        ("24:00-02:00", "a day's last start is 23:59"),
    ],
)
def test_a_window_is_refused_with_the_part_that_is_wrong(text: str, wrong: str) -> None:
    with pytest.raises(BadTimeText) as refusal:
        parse_windows([text])
    assert f'or "22:00-02:00"; {wrong}' in refusal.value.allowed
    assert wrong in refuse(source(active_hours=[text]))
