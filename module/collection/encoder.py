"""The answers of one source → captures: their payload and their metadata."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

from module.attributes.api_methods import method_of
from module.capture import Capture, Kind, Origin, UploadAs
from module.clock.machine_clock import Clock, Reading, Stamp
from module.collection import images, readings
from module.collection.annotations import cropped
from module.collection.image_codec import EncodedImage
from module.collection.image_header import dimensions, true_type
from module.collection.kept import Labels
from module.collection.sources import Answer, Blob, Row, Source
from module.throttled_log import ThrottledLog

_MOST_ORIGINS = 64
_YEAR_2000_US = 946_684_800_000_000
_DAY_US, _MINUTE_US = 86_400_000_000, 60_000_000
"""How near to its poll a camera's own time must be: within a day, or within a minute while the clock is not set."""


class Encoder:
    """Makes the captures of one source."""

    def __init__(
        self,
        source: Source,
        workers: Executor,
        log: ThrottledLog,
        clock: Clock,
        *,
        tags: Sequence[str],
        dataset_ids: Sequence[str],
    ) -> None:
        """``tags`` and ``dataset_ids`` are the service's; the source's own are added."""
        config = source.config
        self._config = config
        self._workers = workers
        self._log = log
        self._clock = clock
        self._origin = Origin(
            source=config.id,
            kind=Kind.BINARY,
            priority=config.priority,
            api=source.api,
            name=config.name,
            method=source.method,
            method_parameters=_parameters(source),
            upload_as=config.upload_as,
            tags=_joined(tags, config.tags),
            dataset_ids=_joined(dataset_ids, config.dataset_ids),
        )
        self._origins: dict[tuple[Kind, Labels, Reading, str, str], Origin] = {}
        self._logged_non_finite = False

    async def encode(self, answer: Answer, labels: Labels, asked: Stamp, received_us: int) -> Capture:
        """Return the capture of one answer; images are processed in a thread. Raises EncodeError."""
        if isinstance(answer, Row):
            return self._encode_row(answer, labels, asked, received_us)
        image = await self._encode_blob(answer)
        origin = self._origin_of(Kind.BINARY, labels, asked.reading, image.extension, image.mime_type)
        near_us = _DAY_US if self._clock.is_set else _MINUTE_US
        if answer.captured_us is not None and _is_time(answer.captured_us, asked.us, near_us):
            received_us = answer.captured_us
        return Capture(origin, asked.us, received_us, image.data, annotations=self._annotations(answer))

    def _annotations(self, blob: Blob) -> bytes:
        crop = self._config.image.crop
        if not blob.annotations or crop is None or blob.extension is not None:
            return blob.annotations
        width, height = dimensions(blob.data, blob.mime_type) or (0, 0)
        return cropped(blob.annotations, crop, width=width, height=height)

    async def _encode_blob(self, blob: Blob) -> EncodedImage:
        if blob.extension is not None:
            return EncodedImage(blob.data, blob.mime_type, blob.extension)
        settings = self._config.image
        if not images.needs_work(true_type(blob.data, blob.mime_type), settings):
            return images.encode(blob.data, blob.mime_type, settings)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, images.encode, blob.data, blob.mime_type, settings)

    def _origin_of(
        self, kind: Kind, labels: Labels, clock: Reading, extension: str = "", mime_type: str = ""
    ) -> Origin:
        """The origin of a capture; captures with the same origin share one object."""
        key = (kind, labels, clock, extension, mime_type)
        origin = self._origins.get(key)
        if origin is None:
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins.clear()
            origin = replace(
                self._origin,
                kind=kind,
                tags=_joined(self._origin.tags, labels.tags),
                dataset_ids=_joined(self._origin.dataset_ids, labels.dataset_ids),
                clock=clock,
                extension=extension,
                mime_type=mime_type,
            )
            self._origins[key] = origin
        return origin

    def _encode_row(self, row: Row, labels: Labels, asked: Stamp, received_us: int) -> Capture:
        if not self._logged_non_finite and readings.non_finite(row.payload):
            self._logged_non_finite = True
            self._log.warning(self._config.id, "NaN or an infinity was read, which is sent as null; logged once")
        if self._config.upload_as is UploadAs.FILE:
            line = readings.document_line(row.readings, asked.us, received_us)
            return Capture(self._origin_of(Kind.LINE, labels, asked.reading), asked.us, received_us, line)
        data = readings.sensor_data(row.payload, asked.us, received_us)
        return Capture(self._origin_of(Kind.ROW, labels, asked.reading), asked.us, received_us, data)


def _is_time(captured_us: int, asked_us: int, near_us: int) -> bool:
    """Return False for a time that a camera left unset: the epoch, Go's zero time, or far from the poll."""
    return captured_us >= _YEAR_2000_US and abs(captured_us - asked_us) <= near_us


def _parameters(source: Source) -> str:
    """The parameters of the method, and those that the source adds, in the form that an origin has."""
    method, config = method_of(source.api, source.method), source.config
    parameters = {**(method.parameter_values(config.extra) if method else {}), **config.method_parameters}
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if parameters else ""


def _joined(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
