"""Chromium without a screen, driven by the W3C WebDriver protocol of Debian's chromedriver."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
]  # fmt: skip


class Browser:
    """A session: opens pages, runs scripts in them, and tells what the console said."""

    def __init__(self, address: str, folder: Path) -> None:
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={folder}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL"}}  # fmt: skip
        self.address = address
        made = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{made['sessionId']}"
        patient = {"script": 300_000, "pageLoad": 300_000}  # of a machine with much else to do
        self._send("POST", f"{self.session}/timeouts", patient)

    def open(self, url: str) -> None:
        """Load a page, to the end of its scripts."""
        self._send("POST", f"{self.session}/url", {"url": url})

    def run(self, script: str, *args: Any) -> Any:
        """What a function's body returns in the page; a promise is waited for."""
        body = {"script": f"return (async () => {{ {script} }})()", "args": list(args)}
        return self._send("POST", f"{self.session}/execute/sync", body)

    def until(self, condition: str, seconds: float = 30) -> Any:
        """Wait until an expression in the page is true, and return it."""
        end = time.monotonic() + seconds
        while not (value := self.run(f"return {condition}")):
            assert time.monotonic() < end, f"never: {condition}"
            time.sleep(0.1)
        return value

    def console(self) -> list[str]:
        """Errors that the console showed since it was last asked."""
        found = self._send("POST", f"{self.session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in found if entry["level"] == "SEVERE"]

    def size(self, width: int, height: int) -> None:
        """The size of the window in CSS pixels, also below what a window can be."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=width < 600)  # fmt: skip

    def colours(self, scheme: str) -> None:
        """What the system prefers: `light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])

    def devtools(self, command: str, **params: Any) -> Any:
        """A command of the browser's own protocol."""
        body = {"cmd": command, "params": params}
        return self._send("POST", f"{self.session}/goog/cdp/execute", body)

    def picture(self, file: Path) -> None:
        """What the window shows, as a PNG."""
        file.write_bytes(b64decode(self._send("GET", f"{self.session}/screenshot")))

    def quit(self) -> None:
        self._send("DELETE", self.session)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=320) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with an empty profile in a folder."""
    assert DRIVER
    with subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
        try:
            port = _port(driver)
            found = Browser(f"http://127.0.0.1:{port}", folder)
            try:
                yield found
            finally:
                found.quit()
        finally:
            driver.terminate()


def _port(driver: subprocess.Popen[str]) -> int:
    assert driver.stdout
    for line in driver.stdout:
        if "started successfully on port" in line:
            return int(line.split()[-1].rstrip("."))
    raise AssertionError("chromedriver did not start")
