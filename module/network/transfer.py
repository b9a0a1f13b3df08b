"""libcurl's side of a call: one easy handle, which many calls use in turn, and the state of its present call.

- libcurl calls ``_read``, ``_write``, ``_head`` and ``_rewind`` in the middle of its work. They never raise and never
  call libcurl. If they find an error, they set ``_fault`` and end the transfer.
- A call is made once. If a connection breaks before any answer, libcurl would repeat the call, although the other side
  may have carried it out. So ``_rewind`` always refuses. This file begins a call again only if the other side cannot
  have carried it out: it refused to look at it (GOAWAY and REFUSED_STREAM, RFC 9113, 8.7), or the call never left.
- At most one message waits, beside the one that is being sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import pycurl

from module.errors import NetworkError
from module.network.address import Address
from module.network.answer import Answer, answer_of
from module.network.driver import Driver
from module.network.faults import fault
from module.network.framing import Serialised, Unframer
from module.network.sockets import Passed, passed
from module.network.throttle import Throttle

_ABORT = 0
_UNKNOWN = -1
MOST_PIECE_BYTES = 128 * 1024
"""How much libcurl takes at once; most images are one piece then."""
_LEAST_PIECE_BYTES = 16 * 1024
"""For short messages. libcurl makes a buffer of this size for each call; a large one costs more than the call does."""
_FIRST_WINDOW_BYTES = 65_535
"""RFC 9113, 6.9.2: so much of a call is out before any answer comes."""
_MOST_REPEATS = 5
_LEFT_OUT = "reset by curl (error 0xb ENHANCE_YOUR_CALM)"
"""The end of libcurl's text if a GOAWAY with this error leaves the call out. libcurl repeats only after one without an
error. It says "by server" if the call was reset, and other words if nghttp2 has ended the connection."""


class Transfer:
    """One easy handle; ``reset`` makes it ready for the next call."""

    def __init__(
        self,
        curl: pycurl.Curl,
        driver: Driver,
        address: Address,
        *,
        most_answer_bytes: int,
        throttle: Throttle | None = None,
    ) -> None:
        """``curl`` has all options that are the same for each call, except those that are set here."""
        self.curl = curl
        self._throttle = throttle
        self._driver = driver
        self._address = address
        self._path = ""
        self._headers: Sequence[str] = ()
        self._watched: bool | None = None
        self._size: int | None = None
        self._piece_bytes = 0
        self._unframer = Unframer(most_answer_bytes)
        # One object, as the throttle knows who waits by it.
        self._turn = self._have_turn
        self._lines: list[bytes] = []
        self._number = 0
        self._clear()
        curl.setopt(pycurl.READFUNCTION, self._read)
        curl.setopt(pycurl.WRITEFUNCTION, self._write)
        curl.setopt(pycurl.SEEKFUNCTION, self._rewind)

    def _clear(self) -> None:
        self.messages: deque[bytes] = deque()
        """Messages of the answer that nobody has taken yet."""
        self.sent_bytes = 0
        """How many bytes libcurl has taken to send."""
        self.ended = False
        self._number += 1
        self._lines.clear()
        self._answer: Answer | None = None
        self._fault: Exception | None = None
        self._code, self._words = 0, ""
        self._whole: Serialised | None = None
        self._read_in = 0
        self._repeats = 0
        self._unsent_head = b""
        self._unsent: memoryview | bytes = b""
        self._next: Serialised | None = None
        self._all_given = False
        self._paused = self.throttled = False
        self._room: asyncio.Future[None] | None = None
        self._news: asyncio.Future[None] | None = None
        self._over: asyncio.Future[None] | None = None

    def begin(self, path: str, headers: Sequence[str], message: Serialised | None) -> None:
        """Begin a call with one framed message and no others; None: messages follow."""
        curl = self.curl
        if path != self._path:
            self._path = path
            curl.setopt(pycurl.URL, self._address.origin + path)
        if headers is not self._headers:
            self._headers = headers
            curl.setopt(pycurl.HTTPHEADER, headers)
        # With its size known the body ends with its last byte; otherwise an empty frame ends it.
        size = _UNKNOWN
        if message is not None:
            self._whole = message
            self._load(message)
            self._all_given = True
            size = len(message.head) + len(message.body)
        watched = message is None or size > _FIRST_WINDOW_BYTES
        if watched is not self._watched:
            self._watched = watched
            curl.setopt(pycurl.HEADERFUNCTION, self._head if watched else self._lines.append)
        if size != self._size:
            self._size = size
            curl.setopt(pycurl.POSTFIELDSIZE_LARGE, size)
        piece_bytes = _LEAST_PIECE_BYTES if 0 < size <= _LEAST_PIECE_BYTES // 2 else MOST_PIECE_BYTES
        if piece_bytes != self._piece_bytes:
            self._piece_bytes = piece_bytes
            curl.setopt(pycurl.UPLOAD_BUFFERSIZE, piece_bytes)
        self._driver.add(curl, self._end)

    async def send(self, message: Serialised) -> None:
        """Add the next framed message; returns at once if the one before it is being sent, otherwise waits.

        If the other side has ended the call, the message is dropped, and the answer or error of the call is valid.
        """
        while self._next is not None and not self.ended:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        if self.ended:
            return
        if self._unsent_head or self._unsent:
            self._next = message
        else:
            self._load(message)
            self._go_on()

    def send_no_more(self) -> None:
        """Note that there are no more messages."""
        if not self.ended:
            self._all_given = True
            self._go_on()

    def _load(self, message: Serialised) -> None:
        self._unsent, self._unsent_head = message

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self.curl.pause(pycurl.PAUSE_CONT)

    def _have_turn(self) -> None:
        self.throttled = False
        self.curl.pause(pycurl.PAUSE_CONT)

    def _leave_queue(self) -> None:
        self.throttled = False
        if self._throttle is not None:
            self._throttle.leave(self._turn)

    @property
    def all_taken(self) -> bool:
        """Whether libcurl has taken all messages."""
        return not self._unsent_head and not self._unsent and self._next is None

    @property
    def passed(self) -> Passed | None:
        """The bytes that the connection of the call has sent; None: there is none, or the system does not say."""
        return None if self.ended else passed(self.curl.getinfo(pycurl.ACTIVESOCKET))

    async def news(self) -> None:
        """Return once new messages have come, or the call has ended; for one waiter."""
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    async def over(self) -> None:
        """Wait for the end of a call that has not ended; for one waiter."""
        self._over = asyncio.get_running_loop().create_future()
        await self._over

    def fail(self, error: Exception) -> None:
        """End a call that has not ended, for this reason."""
        self._fault = error
        self._driver.remove(self.curl)
        self._ended()

    def reset(self) -> None:
        """Forget the call. If it has not ended, it is ended, and the other side gets RST_STREAM."""
        self._leave_queue()
        if not self.ended:
            self._driver.remove(self.curl)
        self._unframer.clear()
        self._clear()

    @property
    def answer(self) -> Answer:
        """Headers and trailers, once the call has ended."""
        if self._answer is None:
            self._answer = answer_of(tuple(self._lines))
        return self._answer

    def check(self) -> None:
        """Return if the call, which must have ended, succeeded; otherwise raises its error."""
        answer = self.answer
        if answer.is_grpc or not answer.http_status:
            if self._fault is not None:
                raise self._fault
            # A status of the other side is valid, whatever happened to the connection afterwards.
            if self._code and not answer.has_status:
                raise fault(self._address, self._code, self._words)
        answer.check()
        if self._unframer.within:
            raise NetworkError("the answer ended within a message")

    # What libcurl calls.

    def _read(self, size: int) -> bytes | int:
        if not self._unsent_head and not self._unsent:
            if self._next is None:
                if self._all_given:
                    return b""
                self._paused = True
                return int(pycurl.READFUNC_PAUSE)
            self._load(self._next)
            self._next = None
            _wake(self._room)
        head, unsent = self._unsent_head, self._unsent
        left = len(head) + len(unsent)
        if self._throttle is not None:
            size = self._throttle.take(min(size, left), self._turn)
            if not size:
                self.throttled = True
                return int(pycurl.READFUNC_PAUSE)
        # The two parts are joined here, because this copies the bytes anyway.
        if left <= size:
            piece = head + unsent
            self._unsent_head = self._unsent = b""
        else:
            view, cut = memoryview(unsent), max(0, size - len(head))
            piece = head[:size] + view[:cut]
            self._unsent_head, self._unsent = head[size:], view[cut:]
        if self._throttle is not None and self.all_taken:
            self._throttle.leave(self._turn)
        self.sent_bytes += len(piece)
        self._read_in = self._driver.turn
        return piece

    def _write(self, piece: bytes) -> int | None:
        try:
            messages = self._unframer.feed(piece)
        except NetworkError as error:
            self._fault = error
            return _ABORT
        if messages:
            self.messages.extend(messages)
            _wake(self._news)
        return None

    def _head(self, line: bytes) -> None:
        # A server that has refused a call need not reset it, and libcurl would go on to send: for ever, if no more is
        # taken. Only an answer of trailers only can be seen so early.
        self._lines.append(line)
        if line.isspace() and answer_of(tuple(self._lines)).has_status:
            asyncio.get_running_loop().call_soon(self._hang_up, self._number)

    def _hang_up(self, number: int) -> None:
        if number == self._number and not self.ended:
            self._driver.remove(self.curl)
            self._ended()

    def _rewind(self, _offset: int, _origin: int) -> int:
        return int(pycurl.SEEKFUNC_FAIL)

    def _end(self, code: int, words: str) -> None:
        message = self._whole
        if message is not None and self._repeats < _MOST_REPEATS and self._unseen(code, words):
            self._repeats += 1
            self._number += 1
            self._lines.clear()
            self._load(message)
            self.sent_bytes = 0
            # Without a connection it could not use its turn.
            self._leave_queue()
            self._driver.add(self.curl, self._end)
            return
        self._code, self._words = code, words
        self._ended()

    def _unseen(self, code: int, words: str) -> bool:
        """Whether the other side certainly has not carried out this call."""
        if words.endswith(_LEFT_OUT):
            return True
        if code != pycurl.E_SEND_FAIL_REWIND:
            return False
        # If the connection had broken, libcurl's text would begin with that.
        refused = words.startswith("seek callback")
        never_left = words.startswith(("Send failure", "OpenSSL SSL_write")) and self._read_in == self._driver.turn
        return refused or never_left

    def _ended(self) -> None:
        self.ended = True
        self._leave_queue()
        _wake(self._room)
        _wake(self._news)
        _wake(self._over)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
