"""One call, as grpclib's stubs and methods use a stream of theirs (grpclib/client.py, ``Stream``)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from google.protobuf.message import DecodeError
from grpclib.const import Cardinality

from module.errors import NetworkError
from module.network.answer import Answer, Pair
from module.network.framing import Serialised, framed
from module.network.sockets import Passed
from module.network.transfer import Transfer


class Lender(Protocol):
    """Lends transfers to calls; the channel does this."""

    def take(self) -> Transfer:
        """Return a transfer that is not in use. Raises NetworkError once the channel is closed."""

    def give_back(self, transfer: Transfer) -> None:
        """End the call on a transfer, and keep the transfer for the next call."""


class Call:
    """One call of a channel; a context, in which messages are sent and received.

    - GRPCError is the server's verdict (``grpc-status``), TimeoutError means that the time is over, and NetworkError is
      every other failure on the way.
    - If the context is left early, by an error or a cancellation, the other side gets RST_STREAM.
    """

    __slots__ = (
        "_all_sent",
        "_answer",
        "_cardinality",
        "_checked",
        "_headers",
        "_lender",
        "_path",
        "_reply",
        "_timeout",
        "_timer",
        "_transfer",
    )

    def __init__(
        self,
        lender: Lender,
        path: str,
        *,
        cardinality: Cardinality,
        reply: Any,
        headers: Sequence[str],
        timeout: float | None,
    ) -> None:
        """``headers`` as libcurl takes them; ``timeout`` in seconds from when the context is entered."""
        self._lender = lender
        self._path = path
        self._cardinality = cardinality
        self._reply = reply
        self._headers = headers
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        self._transfer: Transfer | None = None
        self._all_sent = False
        self._checked = False
        self._answer: Answer | None = None

    async def __aenter__(self) -> Self:
        if self._timeout is not None:
            self._timer = asyncio.get_running_loop().call_later(self._timeout, self._time_is_up)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        transfer = self._transfer
        try:
            if kind is None and transfer is not None and self._all_sent and not self._checked:
                await self.recv_trailing_metadata()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if transfer is not None:
                self._lender.give_back(transfer)

    async def send_request(self, *, end: bool = False) -> None:
        """Begin the call before there is a message; ``end``: there will be no message."""
        self._begin(None)
        if end:
            await self.end()

    async def send_message(self, message: Any, *, end: bool = False) -> None:
        """Send a message, which must have ``SerializeToString``; ``end``: it is the last one.

        If the other side has ended the call, messages are dropped; its answer or error can be received.
        """
        frame = framed(message)
        end = end or not self._cardinality.client_streaming
        if self._transfer is None and end:
            self._all_sent = True
            self._begin(frame)
            return
        transfer = self._transfer or self._begin(None)
        await transfer.send(frame)
        if end:
            await self.end()

    async def end(self) -> None:
        """Send no more messages."""
        self._all_sent = True
        self._begun.send_no_more()

    async def recv_message(self) -> Any:
        """Return the next message of the answer; None: there is no more. Raises the error that the call ended with."""
        transfer = self._begun
        if self._cardinality.server_streaming:
            while not transfer.ended and not transfer.messages:
                await transfer.news()
        elif not transfer.ended:
            await transfer.over()
        if transfer.ended and not (self._cardinality.server_streaming and transfer.messages):
            self._check(transfer)
        if not transfer.messages:
            return None
        try:
            return self._reply.FromString(transfer.messages.popleft())
        except DecodeError as error:
            raise NetworkError(f"the answer is no {self._reply.DESCRIPTOR.full_name}: {error}") from error

    async def recv_trailing_metadata(self) -> None:
        """Wait until the call has ended. Raises the error that it ended with."""
        transfer = self._begun
        if not transfer.ended:
            await transfer.over()
        self._check(transfer)

    async def cancel(self) -> None:
        """End the call; the other side gets RST_STREAM."""
        self._checked = True
        if not self._begun.ended:
            self._begun.fail(NetworkError(f"{self._path} was cancelled"))

    async def __aiter__(self) -> Any:
        while (message := await self.recv_message()) is not None:
            yield message

    @property
    def trailing_metadata(self) -> list[Pair]:
        """The metadata after the answer, once the call has ended."""
        return [] if self._answer is None else self._answer.trailers

    @property
    def sent_bytes(self) -> int:
        """How many bytes libcurl has taken, of messages with their prefixes."""
        return 0 if self._transfer is None else self._transfer.sent_bytes

    @property
    def passed(self) -> Passed | None:
        """The bytes that the connection of this call has sent; None: there is none, or the system does not say."""
        return None if self._transfer is None else self._transfer.passed

    @property
    def throttled(self) -> bool:
        """Whether the call waits for the bandwidth cap."""
        return self._transfer is not None and self._transfer.throttled

    @property
    def all_taken(self) -> bool:
        """Whether libcurl has taken everything that is to be sent."""
        return self._all_sent and self._transfer is not None and self._transfer.all_taken

    @property
    def _begun(self) -> Transfer:
        if self._transfer is None:
            raise RuntimeError(f"{self._path}: nothing has been sent yet")
        return self._transfer

    def _begin(self, message: Serialised | None) -> Transfer:
        transfer = self._transfer = self._lender.take()
        transfer.begin(self._path, self._headers, message)
        return transfer

    def _check(self, transfer: Transfer) -> None:
        if self._checked:
            return
        self._checked = True
        self._answer = transfer.answer
        transfer.check()
        if self._cardinality.server_streaming or len(transfer.messages) == 1:
            return
        raise NetworkError(f"the answer has {len(transfer.messages) or 'no'} messages instead of one")

    def _time_is_up(self) -> None:
        if self._transfer is not None and not self._transfer.ended:
            self._transfer.fail(TimeoutError(f"{self._path} was not answered within {self._timeout:g} s"))
