"""A headless Chromium that is told what to do through the DevTools protocol, over two pipes.

    with Browser(width=1280, height=900) as browser:
        browser.open(path)
        browser.tell("document.title")

No network and no port: messages are JSON, each ended by a zero byte.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

# SwiftShader draws WebGL on the processor, as on a machine without a graphics card.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE_S = 120.0


class BrowserError(RuntimeError):
    """The browser is not there, died, did not answer, or an expression threw."""


def installed() -> bool:
    """Whether there is a Chromium on PATH."""
    return shutil.which("chromium") is not None


class Browser:
    """One page. `console`: what it wrote there, and what was thrown and not caught."""

    def __init__(self, width: int = 1280, height: int = 900, flags: tuple[str, ...] = ()):
        self.size, self.flags = (width, height), flags
        self.console: list[str] = []
        self._number, self._rest, self._events = 0, b"", []

    def __enter__(self) -> "Browser":
        self._folder = tempfile.mkdtemp(prefix="browser-")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = ["chromium", *FLAGS, *self.flags, f"--user-data-dir={self._folder}",
                   f"--window-size={self.size[0]},{self.size[1]}", "about:blank"]  # fmt: skip

        def as_3_and_4() -> None:
            for own, wanted in ((os.dup(theirs_in), 3), (os.dup(theirs_out), 4)):
                os.dup2(own, wanted)

        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            pass_fds=(), preexec_fn=as_3_and_4, start_new_session=True,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        pages = self.ask("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in pages if one["type"] == "page")
        attach = {"targetId": page, "flatten": True}
        self._session = self.ask("Target.attachToTarget", **attach)["sessionId"]
        for part in ("Page", "Runtime"):
            self.ask(f"{part}.enable")
        self.ask("Performance.enable", timeDomain="threadTicks")
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrowserError, OSError):
            self._session = ""
            self.ask("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        if self._process.poll() is None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._folder, ignore_errors=True)

    _session = ""

    def ask(self, method: str, **parameters: object) -> dict:
        """Send one command and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") != self._number:
                self._note(answer)
            elif "error" in answer:
                raise BrowserError(f"{method}: {answer['error'].get('message')}")
            else:
                return answer["result"]

    def wait(self, event: str) -> dict:
        """Wait for an event and return its parameters; one that came meanwhile counts."""
        while True:
            for place, (method, parameters) in enumerate(self._events):
                if method == event:
                    del self._events[: place + 1]
                    return parameters
            self._note(self._next())

    def _next(self) -> dict:
        until = time.monotonic() + PATIENCE_S
        while b"\0" not in self._rest:
            ready = select.select([self._in], [], [], max(0.0, until - time.monotonic()))[0]
            if not ready:
                raise BrowserError(f"Chromium did not answer within {PATIENCE_S:.0f} s")
            more = os.read(self._in, 1 << 20)
            if not more:
                raise BrowserError("Chromium ended; does it start with these flags?")
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, message: Mapping) -> None:
        method, parameters = message.get("method", ""), message.get("params", {})
        if method == "Runtime.consoleAPICalled":
            words = (str(one.get("value", one.get("description"))) for one in parameters["args"])
            self.console.append(" ".join(words))
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(parameters["exceptionDetails"].get("exception")))
        elif method.startswith("Page."):
            self._events.append((method, parameters))

    def open(self, path: Path) -> None:
        """Load a file and wait until its scripts ran."""
        self._events.clear()
        self.ask("Page.navigate", url=path.resolve().as_uri())
        self.wait("Page.loadEventFired")

    def tell(self, expression: str) -> object:
        """The value of a JavaScript expression; a promise is awaited."""
        told = self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in told:
            raise BrowserError(str(told["exceptionDetails"].get("exception", told)))
        return told["result"].get("value")

    def picture(self, path: Path | None = None, whole: bool = False) -> bytes:
        """The page as PNG, as it is seen or from top to bottom."""
        told = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        png = base64.b64decode(told["data"])
        if path is not None:
            path.write_bytes(png)
        return png

    def look(self, *, width: int, height: int, dark: bool = False, sharp: float = 1.0) -> None:
        """Another window, light or dark."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=sharp, mobile=False)  # fmt: skip
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=scheme)

    def mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        """kind: mousePressed, mouseReleased, mouseMoved or mouseWheel, at pixels of the window."""
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float, count: int = 1) -> None:
        for number in range(1, count + 1):
            self.mouse("mousePressed", x, y, button="left", clickCount=number)
            self.mouse("mouseReleased", x, y, button="left", clickCount=number)

    def cpu_seconds(self) -> float:
        """Seconds that the page's own thread has computed, whatever else the machine did."""
        return self._metric("TaskDuration")

    def _metric(self, name: str) -> float:
        told = self.ask("Performance.getMetrics")["metrics"]
        return next(float(one["value"]) for one in told if one["name"] == name)

    def memory(self) -> dict[str, int]:
        """Bytes: of JavaScript objects, and resident in all processes of the browser."""
        parent = psutil.Process(self._process.pid)
        resident = 0
        for one in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                resident += one.memory_info().rss
        return {"heap": int(self._metric("JSHeapUsedSize")), "resident": resident}
