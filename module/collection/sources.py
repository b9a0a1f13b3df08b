"""One resource and one method → a poll, and what its answer means.

The table ``METHODS`` has a row for each method that can be captured, with the payload shapes and method names that
viam-server's data manager gives (rdk, ``components/*/collectors.go``).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grpclib import GRPCError, Status
from viam.components.camera.client import CameraClient
from viam.errors import NoCaptureToStoreError
from viam.proto.common import ResourceName
from viam.proto.component.camera import GetImagesRequest
from viam.resource.base import ResourceBase
from viam.resource.types import API
from viam.utils import dict_to_struct

from module.config import SourceConfig
from module.errors import NothingToCapture, PollError

CAMERA = "rdk:component:camera"
_NOTHING = NoCaptureToStoreError().message  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of readings: the struct that travels, e.g. ``{"readings": {…}}``."""

    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Blob:
    """One binary payload."""

    data: bytes
    mime_type: str
    captured_us: int | None = None
    """When the camera says that it was taken."""


Answer = Row | Blob


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table."""

    name: str
    fits: Callable[[Any], bool]
    """Whether a resource has it."""
    call: Callable[[Any, SourceConfig, dict[str, Any]], Awaitable[Sequence[Answer]]]
    """(resource, config, extra) → answers."""


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source and the resource that it polls."""

    config: SourceConfig
    api: str
    """Of the resource where it is there, else as configured, else empty."""
    method: str
    resource: Any = None
    problem: str | None = None
    """Why there is nothing to poll."""

    async def poll(self) -> tuple[int, int, Sequence[Answer]]:
        """Ask the resource once: when that was, when the answer came (µs since the epoch), and the answers.

        Raises NothingToCapture when a filter module holds this poll back, and PollError, with what the resource said,
        when it gives no answer within ``timeout_s``.
        """
        if self.problem is not None:
            raise PollError(self.problem)
        config = self.config
        extra = {**config.extra, "fromDataManagement": True}
        requested_us = time.time_ns() // 1000
        try:
            answers = await METHODS[self.method].call(self.resource, config, extra)
        except GRPCError as error:
            text = error.message or error.status.name
            if error.status is Status.FAILED_PRECONDITION and _NOTHING in text:
                raise NothingToCapture(text) from error
            raise PollError(f"{config.name}: {self.method} failed with {error.status.name}: {text}") from error
        except TimeoutError as error:
            raise PollError(f"{config.name}: no answer to {self.method} within {config.timeout_s:g} s") from error
        except PollError:
            raise
        except Exception as error:
            # The SDK's clients raise whatever their conversions raise.
            raise PollError(f"{config.name}: {self.method} failed: {type(error).__name__}: {error}") from error
        return requested_us, time.time_ns() // 1000, answers


async def _readings(resource: Any, config: SourceConfig, extra: dict[str, Any]) -> list[Answer]:
    return [Row({"readings": await resource.get_readings(extra=extra, timeout=config.timeout_s)})]


async def _images(resource: CameraClient, config: SourceConfig, extra: dict[str, Any]) -> list[Answer]:
    # Not get_images: it scans each JPEG for its size, and raises IndexError where the scan runs off the end.
    names = list(config.image.names)
    request = GetImagesRequest(name=resource.name, extra=dict_to_struct(extra), filter_source_names=names)
    response = await resource.client.GetImages(  # type: ignore[attr-defined]
        request, timeout=config.timeout_s
    )
    captured_us = None
    if response.response_metadata.HasField("captured_at"):
        captured_us = response.response_metadata.captured_at.ToMicroseconds()
    blobs: list[Answer] = [
        Blob(image.image, image.mime_type, captured_us)
        for image in response.images
        if not names or image.source_name in names
    ]
    if not blobs:
        had = ", ".join(image.source_name for image in response.images) or "none"
        raise PollError(f"{config.name}: GetImages gave none of the images that image.names allows; it gave {had}")
    return blobs


async def _point_cloud(resource: Any, config: SourceConfig, extra: dict[str, Any]) -> list[Answer]:
    data, mime_type = await resource.get_point_cloud(extra=extra, timeout=config.timeout_s)
    return [Blob(data, mime_type or "pointcloud/pcd")]


def _is_camera(resource: Any) -> bool:
    return isinstance(resource, CameraClient)


METHODS = {
    method.name: method
    for method in (
        Method("Readings", lambda resource: hasattr(resource, "get_readings"), _readings),
        Method("GetImages", _is_camera, _images),
        Method("NextPointCloud", _is_camera, _point_cloud),
    )
}


def find(config: SourceConfig, dependencies: Mapping[ResourceName, ResourceBase]) -> Source:
    """The source with its resource, out of those that viam-server handed over; never raises."""
    found = {
        str(API.from_resource_name(name)): resource
        for name, resource in dependencies.items()
        if _is_named(name, config)
    }
    if config.api is not None:
        found = {api: resource for api, resource in found.items() if api == config.api}
    if len(found) > 1 and config.method is not None:
        found = {api: resource for api, resource in found.items() if METHODS[config.method].fits(resource)}
    if len(found) > 1:
        problem = f"two resources are named {config.name}: give its api, one of {', '.join(sorted(found))}"
        return Source(config, "", config.method or "", problem=problem)
    if not found:
        api, method = config.api or "", config.method or _default_method(config.api)
        return Source(config, api, method, problem=f"this machine has no {config.name}, or it is not ready")
    ((api, resource),) = found.items()
    method = config.method or _default_method(api)
    if not METHODS[method].fits(resource):
        return Source(config, api, method, problem=f"{config.name} is a {api}, which has no {method}")
    return Source(config, api, method, resource)


def _is_named(name: ResourceName, config: SourceConfig) -> bool:
    # viam-server resolves a remote's resource by its short name where that is unique.
    return name.name == config.name or name.name.rpartition(":")[2] == config.name


def _default_method(api: str | None) -> str:
    return "GetImages" if api == CAMERA else "Readings"
