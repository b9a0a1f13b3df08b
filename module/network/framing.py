"""gRPC's length-prefixed messages, in pieces of any size; pure.

gRPC over HTTP/2: one byte (1: compressed), four bytes for the length (the most significant first), and the message.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from module.errors import NetworkError

_HEAD_BYTES = 5


class Serialised(NamedTuple):
    """A message that is bytes already: ``head``, then ``body``, which may be large.

    A message of two parts is joined piece by piece as it is sent, so that no copy of all of it is made.
    """

    body: bytes | memoryview
    head: bytes = b""

    def SerializeToString(self) -> bytes:  # noqa: N802, protobuf's own name
        """Return the bytes, by the name by which every codec asks for those of a message."""
        return self.head + self.body


def framed(message: Any) -> Serialised:
    """Return a message, a ``Serialised`` or one of protobuf, with its prefix in the head."""
    body, head = message if isinstance(message, Serialised) else (message.SerializeToString(), b"")
    # A flag of 0 is the first of five bytes.
    return Serialised(body, (len(head) + len(body)).to_bytes(_HEAD_BYTES, "big") + head)


class Unframer:
    """Joins pieces to messages. It never holds more than one message and the pieces that came with its end."""

    __slots__ = ("_have", "_most", "_need", "_pieces")

    def __init__(self, most_bytes: int) -> None:
        """``most_bytes``: the longest message that is accepted."""
        self._most = most_bytes
        self.clear()

    def clear(self) -> None:
        """Forget all bytes, for a new stream."""
        self._pieces: list[bytes] = []
        self._have = 0
        self._need = _HEAD_BYTES

    @property
    def within(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._have > 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Add the next bytes; returns the messages that are now complete.

        Raises NetworkError for a message that is too long, or compressed, because compression was not requested.
        """
        if not self._pieces and len(piece) > _HEAD_BYTES and len(piece) == _HEAD_BYTES + self._length(piece, 0):
            return [piece[_HEAD_BYTES:]]
        self._pieces.append(piece)
        self._have += len(piece)
        return [] if self._have < self._need else self._cut()

    def _cut(self) -> list[bytes]:
        data = b"".join(self._pieces)
        messages = []
        start = 0
        while (left := len(data) - start) >= _HEAD_BYTES:
            need = _HEAD_BYTES + self._length(data, start)
            if left < need:
                self._need = need
                break
            messages.append(data[start + _HEAD_BYTES : start + need])
            start += need
        else:
            self._need = _HEAD_BYTES
        self._have = left
        self._pieces = [data[start:]] if left else []
        return messages

    def _length(self, data: bytes, start: int) -> int:
        flag = data[start]
        if flag:
            what = "is compressed, which was not offered" if flag == 1 else f"begins with the byte {flag}"
            raise NetworkError(f"a message of the answer {what}")
        length = int.from_bytes(data[start + 1 : start + _HEAD_BYTES], "big")
        if length > self._most:
            raise NetworkError(f"a message of the answer has {length} bytes; at most {self._most} are taken")
        return length
