"""A real headless Chromium, driven over its own protocol by websocket: keys, sizes, colour scheme, screenshots."""

import asyncio
import base64
import contextlib
import itertools
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from tests.parts.need import program

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--mute-audio",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
    "--lang=zh-CN",
]


def screenshots_folder() -> Path:
    """Return where screenshots go: $OPPORTUNE_SCREENSHOTS, else a folder of this user in the system's temporary one."""
    named = os.environ.get("OPPORTUNE_SCREENSHOTS")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"opportune-screenshots-{os.geteuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


READS_MAX = 10


class NavigatedError(AssertionError):
    """The page went to another while it was asked."""


class Chromium:
    """One browser process with a fresh profile."""

    def __init__(self, profile: Path) -> None:
        self._program = program("chromium", "chromium-browser", "google-chrome", package="chromium")
        self._profile = profile
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        """Start it and wait until it says where to drive it."""
        words = [self._program, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        place = self._profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if place.exists() and (lines := place.read_text().splitlines()):
                self.port = int(lines[0])
                return
            time.sleep(0.05)
        raise AssertionError("chromium did not open its debugging port within 60 s")

    def stop(self) -> None:
        """End the browser."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Tab:
    """One page of the browser. Whatever it throws, or logs as an error that is not `expected`, is kept in `faults`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.faults: list[str] = []
        self.expected = ""

    async def __aenter__(self) -> "Tab":
        self._http = aiohttp.ClientSession()
        async with self._http.put(f"http://127.0.0.1:{self._port}/json/new?about:blank") as reply:
            target = await reply.json()
        self._id = target["id"]
        self._socket = await self._http.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=1 << 26)
        self._listener = asyncio.create_task(self._listen())
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        return self

    async def __aexit__(self, *_fault: object) -> None:
        with contextlib.suppress(aiohttp.ClientError):
            async with self._http.get(f"http://127.0.0.1:{self._port}/json/close/{self._id}"):
                pass
        self._listener.cancel()
        await asyncio.gather(self._listener, return_exceptions=True)
        await self._socket.close()
        await self._http.close()

    async def _listen(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            body = message.json()
            if "id" in body:
                self._waiting.pop(body["id"]).set_result(body)
            elif body["method"] == "Runtime.exceptionThrown":
                self.faults.append(str(body["params"]["exceptionDetails"]))
            elif body["method"] == "Log.entryAdded" and body["params"]["entry"]["level"] == "error":
                text = body["params"]["entry"]["text"]
                if not self.expected or self.expected not in text:
                    self.faults.append(text)

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call the browser."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        body = await asyncio.wait_for(answer, 20)
        if "navigated" in body.get("error", {}).get("message", ""):
            raise NavigatedError(f"{method}: {body['error']}")
        assert "error" not in body, f"{method}: {body['error']}"
        return dict(body["result"])

    async def look(self, expression: str) -> Any:
        """Evaluate an expression in the page and return its value."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    async def read(self, expression: str) -> Any:
        """Evaluate an expression that changes nothing; anew, where the page went to another meanwhile."""
        for _ in range(READS_MAX):
            try:
                return await self.look(expression)
            except NavigatedError:
                await asyncio.sleep(0.02)
        return await self.look(expression)

    async def until(self, expression: str, seconds: float = 10) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await self.read(f"(() => {{ try {{ return !!({expression}) }} catch {{ return false }} }})()"):
                return
            await asyncio.sleep(0.02)
        text = await self.look("document.body.innerText")
        raise AssertionError(f"not within {seconds} s: {expression}; the page says:\n{text}")

    async def open(self, address: str) -> None:
        """Go to an address."""
        await self.call("Page.navigate", url=address)

    async def press(self, key: str) -> None:
        """Press and release a key."""
        named = {"Escape": 27, "Enter": 13, "Tab": 9}
        code = named.get(key, ord(key[0].upper()))
        text = {} if key in {"Escape", "Tab"} else {"text": "\r" if key == "Enter" else key}
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def write(self, text: str) -> None:
        """Type text where the focus is."""
        for letter in text:
            await self.press(letter)

    async def resize(self, width: int, height: int, scale: float = 1) -> None:
        """Set the size of the page in CSS pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    async def prefer(self, **features: str) -> None:
        """Set media features, such as prefers_color_scheme."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=listed)

    async def picture(self, name: str) -> Path:
        """Take a screenshot."""
        await asyncio.sleep(0.3)  # transitions end
        shot = await self.call("Page.captureScreenshot", format="png")
        path = screenshots_folder() / f"{name}.png"
        path.write_bytes(base64.b64decode(shot["data"]))
        return path
