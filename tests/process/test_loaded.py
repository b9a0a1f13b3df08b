"""What a robot without cameras does not pay for: libraries that its config does not need stay out of the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.process.rig import ROOT, CountingSensor, Starter

UNUSED = (
    "cv2",
    "numpy",
    "grpc",
    "pymongo",
    "gridfs",
    "dns",
    "PIL",
    "module.local",
    "module.demo",
)
"""OpenCV and numpy are for images; gRPC's C core for the local cloud; pymongo comes with the SDK."""
UNUSED_FIRST = tuple(f"{name}." for name in UNUSED)


async def test_a_module_that_captures_and_delivers_readings_has_loaded_no_library_of_images(start: Starter) -> None:
    rig = await start(CountingSensor("s"), sources=[{"name": "s", "capture_frequency_hz": 20}])
    await rig.until(lambda status: status["upload"]["uploaded_items"] > 0)
    mapped = Path(f"/proc/{rig.server.pid}/maps").read_text()
    assert "site-packages/google" in mapped
    assert [name for name in UNUSED if f"site-packages/{name}" in mapped] == []


def test_the_start_imports_nothing_that_only_some_configs_need() -> None:
    """Every start pays for what ``module.__main__`` imports, in time and in memory."""
    code = "import sys, module.__main__; print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = found.stdout.split()
    assert "module.service" in loaded
    assert [name for name in loaded if name.startswith(UNUSED_FIRST) or name in UNUSED] == []
