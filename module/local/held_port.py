"""A port that stays one server's own while no server listens there."""

from __future__ import annotations

import random
import socket
import sys
import weakref


class HeldPort:
    """A free port of 127.0.0.1, below those of outgoing connections, so that no client's connection can take it.

    ``number`` is its number. On Linux only one server can listen there, and no other socket has it, while this lives.

    Raises OSError if none is free.
    """

    def __init__(self) -> None:
        for number in random.sample(range(20_000, 32_000), 100):
            held = socket.socket()
            try:
                held.bind(("127.0.0.1", number))
            except OSError:
                held.close()
                continue
            if sys.platform == "linux":
                # From now on a server may listen there, and only one, if it sets this option too, as servers do.
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                weakref.finalize(self, held.close)
            else:
                held.close()
            self.number = number
            return
        raise OSError("no free port from 20000 to 31999 on 127.0.0.1")
