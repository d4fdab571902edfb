"""Load from outside: files that keep coming, some of them growing, and a caller of the HTTP route who never gives up.

What was offered is kept, so that it can be counted against what the engine made of it. Everything is drawn from one
seed.
"""

import random
import threading
import time
from itertools import pairwise
from pathlib import Path

from tests.engine.engines import Engine
from tests.engine.world import BASE_MS, call, line

FILE_SUBSCRIBERS = 700
HTTP_SUBSCRIBERS = 300
FIRST = 8613800000000
FIRST_BY_HTTP = 8613900000000


class Lines:
    """Made-up lines: calls and charges over a day, and a few that are no events."""

    def __init__(self, seed: int, first: int, subscribers: int, broken: float) -> None:
        self._chance = random.Random(seed)
        self._first = first
        self._subscribers = subscribers
        self._broken = broken
        self._count = 0

    def some(self, count: int) -> list[bytes]:
        """Return the next `count` lines."""
        return [self._one() for _ in range(count)]

    def _one(self) -> bytes:
        chance = self._chance
        self._count += 1
        subscriber = self._first + chance.randrange(self._subscribers)
        at_ms = BASE_MS + self._count * 100 - chance.randrange(5_000)
        if chance.random() < self._broken:
            return chance.choice([b'{"type":"call","msis\n', b"\xff\xfe not utf-8\n", b'{"type":"call"}\n', b"[]\n"])
        if chance.random() < 0.3:
            return line(type="charge", msisdn=subscriber, time=at_ms, fen=chance.randrange(500), id=self._id())
        kind = chance.choice(["long", "local", "local", "local"])
        return call(subscriber, at_ms, kind, chance.randrange(300), id=self._id())

    def _id(self) -> str:
        return f"{self._first}-{self._count}"


class Files(threading.Thread):
    """Puts files into an inbox until told to stop: whole ones, and ones that grow by pieces with half lines."""

    def __init__(self, engine: Engine, lines: Lines, per_file: int, pause_s: float) -> None:
        super().__init__(daemon=True)
        self.offered: list[bytes] = []
        self._engine = engine
        self._lines = lines
        self._per_file = per_file
        self._pause_s = pause_s
        self._stopped = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._stopped.wait(self._pause_s):
            number += 1
            lines = self._lines.some(self._per_file)
            content = b"".join(lines)
            self.offered += lines
            if number % 3:
                self._engine.put(f"{number:04}.ndjson", content)
            else:
                self._grow(self._engine.inbox / f"{number:04}.ndjson", content)

    def finish(self) -> None:
        self._stopped.set()
        self.join()

    def _grow(self, path: Path, content: bytes) -> None:
        """Write a file in four pieces that end within lines."""
        cuts = [0, 4_097, len(content) // 3, len(content) - 7, len(content)]
        with path.open("ab", buffering=0) as file:
            for start, end in pairwise(cuts):
                file.write(content[start:end])
                time.sleep(0.01)


class Caller(threading.Thread):
    """Posts bodies, each until it is answered 202; now and then one again that was taken already."""

    def __init__(self, engine: Engine, lines: Lines, per_body: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.offered: list[bytes] = []
        self.tries = self.answers = self.again = 0
        self._engine = engine
        self._lines = lines
        self._per_body = per_body
        self._chance = random.Random(seed)
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            lines = self._lines.some(self._per_body)
            self.offered += lines
            self._post(b"".join(lines))
            if self._chance.random() < 0.2:
                self.again += 1
                self._post(b"".join(lines))

    def finish(self) -> None:
        self._stopped.set()
        self.join()

    def _post(self, body: bytes) -> None:
        while True:
            self.tries += 1
            try:
                status = self._engine.post("/events", body)[0]
            except (OSError, ValueError):
                status = 0
            if status == 202:
                self.answers += 1
                return
            time.sleep(0.02)
