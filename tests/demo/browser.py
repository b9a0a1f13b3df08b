"""A headless Chromium, driven through chromedriver over plain HTTP: WebDriver, and a little of DevTools."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from module.local.held_port import HeldPort

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_LIMIT_S = 30.0


def missing() -> str:
    """What this machine lacks to run a browser; empty where nothing is."""
    if not any(map(shutil.which, _NAMES)):
        return "no chromium on the PATH"
    return "" if shutil.which("chromedriver") else "no chromedriver on the PATH"


class Browser:
    """One window; a context manager. ``profile`` is a new folder that it may fill."""

    def __init__(self, profile: Path) -> None:
        self._port = HeldPort()
        self._profile = profile
        self._session = ""
        self._driver: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={self._port.number}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.until(self._is_up)
        binary = next(filter(None, map(shutil.which, _NAMES)))
        options = {"args": [*_ARGUMENTS, f"--user-data-dir={self._profile}"], "binary": binary}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{session['sessionId']}"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._session:
                self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(10)

    def window(self, width: int, height: int, colours: str) -> None:
        """Be a phone or a desktop, whose system is set to ``light`` or ``dark``."""
        phone = width < 600
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        self.devtools("Emulation.setTouchEmulationEnabled", enabled=phone)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])

    def open(self, address: str) -> None:
        """Go there."""
        self._call("POST", f"{self._session}/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script ``return``s."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def click(self, selector: str) -> None:
        """Click on the first element of these as a person would: refused where something lies over it."""
        found = self._call("POST", f"{self._session}/element", {"using": "css selector", "value": selector})
        (element,) = found.values()
        self._call("POST", f"{self._session}/element/{element}/click", {})

    def press(self, key: str) -> None:
        """Press one key, as WebDriver calls it."""
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._call("POST", f"{self._session}/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    def screenshot(self, path: Path, *, whole: bool = False) -> bytes:
        """Take a picture as PNG, of what is seen or of the whole page."""
        taken = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        if whole:
            area = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
            taken = self.devtools(
                "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip={**area, "scale": 1}
            )
        data = base64.b64decode(taken["data"])
        path.write_bytes(data)
        return data

    def complaints(self) -> list[str]:
        """What the console has said since it was last asked: all of it is a complaint."""
        return [entry["message"] for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since this was last called."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def evaluate(self, expression: str) -> Any:
        """What an expression gives, once its promise is kept. Raises AssertionError if it throws."""
        given = self.devtools("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in given, given["exceptionDetails"]
        return given["result"].get("value")

    def renderers(self) -> list[Path]:
        """The folders in /proc of the processes that draw pages; on Linux only."""
        parents: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            # What is in brackets is a name, and may be any text.
            with contextlib.suppress(OSError):
                parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(
                    int(stat.parent.name)
                )
        found, left = [], [self._driver.pid]
        while left:
            children = parents.get(left.pop(), [])
            left += children
            found += [Path(f"/proc/{pid}") for pid in children]
        drawing = []
        for one in found:
            # It may have ended by now.
            with contextlib.suppress(OSError):
                if b"--type=renderer" in (one / "cmdline").read_bytes():
                    drawing.append(one)
        return drawing

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self._call("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def until(self, holds: Callable[[], Any]) -> Any:
        """What ``holds`` gives, once that is true. Raises TimeoutError."""
        end = time.monotonic() + _LIMIT_S
        while not (given := holds()):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {_LIMIT_S} s")
            time.sleep(0.05)
        return given

    def _log(self, kind: str) -> Sequence[dict[str, Any]]:
        return list(self._call("POST", f"{self._session}/se/log", {"type": kind}))

    def _is_up(self) -> bool:
        try:
            return bool(self._call("GET", "/status")["ready"])
        except OSError:
            return False

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port.number}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        # Whatever proxy the environment names is not for this.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_LIMIT_S) as answer:
            return json.load(answer)["value"]
