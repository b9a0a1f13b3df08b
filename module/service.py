"""The Viam resource: a thin shell over Courier.

viam-server makes each change by ``close()`` and ``new()`` (the SDK never calls ``reconfigure``). ``new`` is
synchronous. If AddResource times out, its object is dropped without a ``close``. So ``new`` acquires nothing: files,
threads and tasks belong to the Courier's task, which ends with the object.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from grpclib import Status
from viam.errors import ValidationError, ViamGRPCError
from viam.proto.app.robot import ComponentConfig
from viam.proto.common import ResourceName
from viam.resource.base import ResourceBase
from viam.resource.easy_resource import EasyResource
from viam.resource.types import Model
from viam.services.generic import Generic
from viam.utils import ValueTypes

from module import UPLOADER_MODEL
from module.attributes.uploader import Config, parse
from module.commands import table
from module.courier.carried import CarriedByName
from module.courier.control import Control
from module.courier.courier import Courier
from module.errors import CommandError, CourierError, FileUnavailable, Unavailable, answer_of
from module.structs import plain_fields

_CARRIED = CarriedByName()
_LEFT_BEHIND: set[asyncio.Task[None]] = set()


class Uploader(Generic, EasyResource):  # type: ignore[misc, no-untyped-call]
    """``courier:capture:uploader``: captures, spools, uploads, answers commands."""

    MODEL: ClassVar[Model] = Model.from_string(UPLOADER_MODEL)

    _courier: Courier
    _control: Control

    @classmethod
    def validate_config(cls, config: ComponentConfig) -> tuple[Sequence[str], Sequence[str]]:
        """Return the required and the optional dependencies. Raises ConfigError, which names each path."""
        return _parse(config).dependencies()

    @classmethod
    def new(cls, config: ComponentConfig, dependencies: Mapping[ResourceName, ResourceBase]) -> Self:
        """Make the service and start its work; returns at once. Raises ConfigError."""
        self = cls(config.name)
        self._courier = Courier(_CARRIED.take(config.name, _parse(config)), dependencies, self.logger)
        self._courier.start()
        self._control = Control(self._courier)
        weakref.finalize(self, _close_later, self._courier, asyncio.get_running_loop())
        return self

    async def do_command(
        self,
        command: Mapping[str, ValueTypes],
        *,
        timeout: float | None = None,  # noqa: ASYNC109, the SDK names it
        **_: Any,
    ) -> Mapping[str, ValueTypes]:
        """Carry out one of the verbs that ``{"command": "help"}`` lists.

        Raises INVALID_ARGUMENT for a command that is refused, UNAVAILABLE while the spool is not open, and
        DEADLINE_EXCEEDED if the caller's deadline passes first.
        """
        try:
            async with asyncio.timeout(timeout):
                return await table.run(self._control, command)
        except CommandError as error:
            raise ValidationError(answer_of(error)) from error
        except (Unavailable, FileUnavailable) as error:
            raise ViamGRPCError(answer_of(error), Status.UNAVAILABLE) from error
        except CourierError as error:
            raise ViamGRPCError(answer_of(error), Status.INTERNAL) from error

    async def get_status(self, *, timeout: float | None = None, **_: Any) -> Mapping[str, ValueTypes]:  # noqa: ARG002, ASYNC109
        """Return what ``{"command": "status"}`` answers."""
        return self._control.status()

    async def close(self) -> None:
        """Stop, and sync what was captured; takes at most a few seconds. May be called more than once."""
        await self._courier.close()


def _parse(config: ComponentConfig) -> Config:
    return parse(plain_fields(config.attributes), service=config.name, environ=os.environ)


def _close_later(courier: Courier, loop: asyncio.AbstractEventLoop) -> None:
    # Whatever thread collects the service runs this. Once the loop has gone, there is nothing left to close with.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_close, courier)


def _close(courier: Courier) -> None:
    task = asyncio.create_task(courier.close(), name="courier-close")
    _LEFT_BEHIND.add(task)
    task.add_done_callback(_LEFT_BEHIND.discard)
