"""How often the machine's stand-in, which is in this process, has read what the module sent: its wake-ups."""

from __future__ import annotations

from grpclib.protocol import H2Protocol

count = 0
_read = H2Protocol.data_received


def _counted(self: H2Protocol, data: bytes) -> None:
    global count  # noqa: PLW0603 - one process, one count
    count += 1
    _read(self, data)


H2Protocol.data_received = _counted  # type: ignore[method-assign]
