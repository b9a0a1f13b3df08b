"""The demo's local cloud for ``viam-server.json``: says what arrives, until Ctrl-C.

    PYTHONPATH=. .venv/bin/python examples/local_cloud.py [FOLDER]

It takes its port, part and key from ``viam-server.json`` beside it. What arrives is kept in FOLDER, by default
``courier-cloud`` in the working directory.
"""  # noqa: INP001 - a script

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from module.local.calls import Arrival
from module.local.cloud import LocalCloud

CONFIG = Path(__file__).with_name("viam-server.json")


async def serve(folder: Path) -> None:
    """Serve until cancelled."""
    config = json.loads(CONFIG.read_text(encoding="utf-8"))
    credentials = config["services"][0]["attributes"]["cloud"]
    cloud = LocalCloud(
        folder,
        api_keys={credentials["api_key_id"]: credentials["api_key"]},
        part_ids={credentials["part_id"]},
        port=urlsplit(credentials["address"]).port or 0,
    )

    async def tell(arrival: Arrival) -> None:
        name = arrival.metadata.component_name or arrival.metadata.file_name
        rows = f", {len(arrival.rows)} rows" if arrival.rows else ""
        sys.stdout.write(f"{arrival.when:%H:%M:%S}  {name}: {arrival.method.value}, {arrival.size} bytes{rows}\n")
        sys.stdout.flush()

    cloud.after = tell
    sys.stdout.write(f"a cloud at {await cloud.start()}, which keeps what arrives in {folder}\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await cloud.stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(sys.argv[1] if len(sys.argv) > 1 else "courier-cloud")))
