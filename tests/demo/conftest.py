from __future__ import annotations

from tests.local.conftest import channel, client, cloud

__all__ = ["channel", "client", "cloud"]
