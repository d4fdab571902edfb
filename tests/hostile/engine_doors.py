"""The doors of a live engine under a flood: files, TCP, events over HTTP, and requests to every route that writes."""

import http.client
import random
import socket
import time
from urllib.parse import urlsplit

from tests.engine.engines import Engine
from tests.hostile.drawn import Lines, request
from tests.hostile.report import Report, memory_of

QUIET_S = 900.0
DOORS = ("http", "tcp", "files")


class EngineDoors:
    """Sends to an engine that listens on `tcp_port` and counts what it makes of it."""

    def __init__(self, engine: Engine, tcp_port: int, draw: random.Random, lines: Lines, report: Report) -> None:
        self._engine = engine
        self._draw, self._lines, self._report = draw, lines, report
        self._tcp = socket.create_connection(("127.0.0.1", tcp_port))
        self._front = http.client.HTTPConnection(str(urlsplit(engine.url).netloc), timeout=60)
        self._files = 0

    def close(self) -> None:
        """Hang up."""
        self._tcp.close()
        self._front.close()

    def send(self, door: str, count: int) -> None:
        """Send so many lines through one of `DOORS`."""
        body = self._lines.body(count)
        if door == "http":
            while (status := self._post("/events", body)) == 429:
                time.sleep(0.05)
            assert status == 202, status
        elif door == "tcp":
            self._tcp.sendall(body)
        else:
            self._files += 1
            self._engine.put(f"{self._files:06}.ndjson", body)
        self._report.sent["lines"] += count

    def requests(self, count: int) -> None:
        """Ask for so many things that there are not; each is answered, none with 5xx."""
        for _ in range(count):
            status = self._post(*request(self._draw))
            self._report.sent["requests"] += 1
            self._report.counted["requests"] += 200 <= status < 500

    def settle(self) -> None:
        """Wait until every line is counted; after `QUIET_S` the difference is told by the report."""
        wanted, end_s = self._report.sent["lines"], time.monotonic() + QUIET_S
        while time.monotonic() < end_s:
            status = self._engine.status()
            counted = status["events"] + status["dead_letters"]
            self._report.counted["lines"] = counted
            if counted >= wanted:
                return
            time.sleep(0.1)

    def memory(self) -> dict[str, int]:
        """Return the memory of the engine."""
        assert self._engine.process is not None
        return {"engine": memory_of(self._engine.process.pid)}

    def _post(self, path: str, body: bytes) -> int:
        self._front.request("POST", path, body, {"Content-Type": "application/json"})
        answer = self._front.getresponse()
        answer.read()
        return answer.status
