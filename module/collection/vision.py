"""A vision service that opens a gate. It is asked about each frame of the source, or about a camera."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grpclib import GRPCError
from viam.components.camera import Camera
from viam.proto.service.vision import (
    GetClassificationsFromCameraRequest,
    GetClassificationsRequest,
    GetDetectionsFromCameraRequest,
    GetDetectionsRequest,
)
from viam.services.vision.client import VisionClient

from module.attributes.gate import Find, GateConfig
from module.attributes.resource_names import missing
from module.collection.annotations import annotations_of
from module.collection.condition_watch import Watch
from module.collection.image_header import dimensions
from module.collection.sources import Blob, passed
from module.errors import NetworkError, PollError
from module.supervised import said_of

_TIMEOUT_S = 10.0
_CLASSES = 20
"""How many classifications of an image are asked for; those with the highest confidence come first."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a vision service found in one frame."""

    found: bool
    annotations: bytes


class Eye:
    """One vision service, and the label that it must find."""

    def __init__(self, gate: GateConfig, dependencies: Mapping[Any, Any]) -> None:
        self.name = gate.vision or ""
        """Its name in the config."""
        self._gate = gate
        known = passed(self.name, dependencies)
        found = [resource for resource in known.values() if isinstance(resource, VisionClient)]
        self._service: Any = found[0] if len(found) == 1 else None
        self.problem = None if self._service is not None else missing(self.name, "rename one")
        cameras = passed(gate.camera or "", dependencies)
        known_as = [each.name for each in cameras if each.subtype == Camera.API.resource_subtype]
        self._camera = known_as[0] if known_as else gate.camera or ""

    async def look(self, frame: Blob) -> Sighting:
        """Ask about one frame. Raises PollError with the service's error."""
        width, height = dimensions(frame.data, frame.mime_type) or (0, 0)
        if self._gate.find is Find.DETECTIONS:
            request = GetDetectionsRequest(image=frame.data, width=width, height=height, mime_type=frame.mime_type)
            hits = self._sure((await self._ask("GetDetections", request)).detections)
            return Sighting(bool(hits), annotations_of(hits, (), width=width, height=height) if hits else b"")
        classify = GetClassificationsRequest(
            image=frame.data, width=width, height=height, mime_type=frame.mime_type, n=_CLASSES
        )
        hits = self._sure((await self._ask("GetClassifications", classify)).classifications)
        return Sighting(bool(hits), annotations_of((), hits, width=width, height=height) if hits else b"")

    async def look_through(self) -> bool:
        """Ask about a new image of the gate's camera. Raises PollError."""
        if self._gate.find is Find.DETECTIONS:
            request = GetDetectionsFromCameraRequest(camera_name=self._camera)
            return bool(self._sure((await self._ask("GetDetectionsFromCamera", request)).detections))
        classify = GetClassificationsFromCameraRequest(camera_name=self._camera, n=_CLASSES)
        return bool(self._sure((await self._ask("GetClassificationsFromCamera", classify)).classifications))

    async def _ask(self, method: str, request: Any) -> Any:
        if self.problem is not None:
            raise PollError(self.problem)
        request.name = self._service.name
        try:
            # Not the client's own methods: they scan the frame for its size, and fail on broken ones.
            async with asyncio.timeout(_TIMEOUT_S):
                return await getattr(self._service.client, method)(request, timeout=_TIMEOUT_S)
        except GRPCError as error:
            raise PollError(f"{self.name}: {method} failed with {error.status.name}: {error.message}") from error
        except NetworkError as error:
            raise PollError(f"{self.name}: {method} failed: {error}") from error
        except (TimeoutError, OSError) as error:
            raise PollError(f"{self.name}: no answer to {method} within {_TIMEOUT_S:g} s") from error
        except Exception as error:
            # A stream that is reset, a connection that ends: grpclib has errors beside those of gRPC.
            raise PollError(f"{self.name}: {method} failed: {said_of(error)}") from error

    def _sure(self, seen: Sequence[Any]) -> list[Any]:
        gate = self._gate
        return [one for one in seen if one.confidence >= gate.min_confidence and gate.label in ("*", one.class_name)]


class EyeWatch(Watch):
    """Asks an Eye about a camera, regularly."""

    def __init__(
        self, eye: Eye, camera: str, logger: logging.Logger, *, poll_hz: float, on_answer: Callable[[bool], None]
    ) -> None:
        super().__init__(f"{eye.name} on {camera}", eye.problem, logger, poll_hz=poll_hz, on_answer=on_answer)
        self._eye = eye

    async def ask(self) -> bool:
        """Return whether the camera sees now what the gate looks for. Raises PollError."""
        return await self._eye.look_through()
