"""What the operations console asks of an embedded engine.

Figures and switches are answered here. What reads journals or logs (why, the list of books, reports) is run by
`Errands` in another process, so that it never stands before the fold.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import orjson

from connectors.console.contract import Live, RefusedError, Rehearsal, Report
from engine.book.shelf import BookShelf
from engine.book.versions import VersionError, changes, kept, roll_back
from engine.runtimes.errands import Errands
from engine.runtimes.ticker import Ticker
from engine.serve.controls import ControlBody, RequestError, control_record
from engine.serve.face import Runtime
from engine.settings.config import Config
from rules.diagnostics import BookErrors
from rules.load import read_folder

SAMPLE_S = 5.0
SAMPLES_MAX = 121
"""Ten minutes of rates."""

Value = TypeVar("Value")


class ConsoleAnswers:
    """An embedded engine, as its console sees it.

    Args:
        config: checked settings.
        file: where they were read, for commands that run beside the engine.
        runtime: the engine.
        shelf: its books.
    """

    def __init__(self, config: Config, file: Path, runtime: Runtime, shelf: BookShelf) -> None:
        self._config = config
        self._runtime = runtime
        self._shelf = shelf
        self._asking = Errands(file, config.console.answer_s, at_a_time=2)
        self._reporting = Errands(file, config.console.answer_s, at_a_time=1)
        self._rates: deque[tuple[float, int, int]] = deque(maxlen=SAMPLES_MAX)
        self._stopping = asyncio.Event()

    @asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Sample rates as long as this is open."""
        self._sample(self._runtime.status())
        task = asyncio.create_task(Ticker(SAMPLE_S, self._look, self._stopping).run(), name="console")
        yield
        self._stopping.set()
        await task

    async def _look(self) -> None:
        self._sample(self._runtime.status())

    def _sample(self, status: Mapping[str, Any]) -> None:
        decided = sum(gates.get("decided", 0) for gates in status["decisions"].values())
        self._rates.append((time.monotonic(), status["events"], decided))

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of the book."""
        return ZoneInfo(self._runtime.book.zone)

    def live(self) -> Live:
        """Return the figures of now."""
        status = self._runtime.status()
        now_ms = time.time_ns() // 1_000_000
        by_wall = self._config.data.clock == "wall"
        lags = [max(0, now_ms - one["clock_ms"]) if by_wall and one["clock_ms"] else None
                for one in status["partitions"]]  # fmt: skip
        return Live(status, list(self._rates), lags)

    def names(self) -> Mapping[str, Sequence[str]]:
        """Return the names in the book by kind."""
        book = self._runtime.book
        return {"rule": list(book.by_id), "campaign": sorted(book.campaigns), "channel": list(book.channels)}

    async def switch(self, action: str, kind: str, name: str) -> int:
        """Pause, resume or kill; return how many queued sends that touches."""
        body = ControlBody.model_validate({"action": action, "kind": kind, "name": name})
        try:
            record = control_record(self._runtime.book, body)
        except RequestError as refused:
            raise RefusedError(str(refused)) from refused
        return await self._runtime.control(record)

    async def why(self, number: str, rule: str) -> Sequence[Mapping[str, Any]]:
        """Return the records of a number, with a rule those of every event that it looked at."""
        words = ["--format=ndjson", *([f"--rule={rule}"] if rule else []), "--", number]
        return _records(await self._asking.run("why", *words))

    async def books(self) -> Sequence[Mapping[str, Any]]:
        """Return the versions of the book in the order in which they came into force."""
        return _records(await self._asking.run("books", "list", "--format", "ndjson"))

    async def changes(self, old: str, new: str) -> Sequence[str]:
        """Return the lines of a unified diff between two versions; "" is the folder on disk."""

        def read() -> list[str]:
            texts = [kept(self._shelf, one) if one else read_folder(self._config.book.folder) for one in (old, new)]
            return list(changes(*texts))

        return await _refusing(read)

    async def roll_back(self, version: str) -> str:
        """Write an earlier version into the book's folder; return what was done."""
        return await _refusing(roll_back, self._config.book.folder, self._shelf, version)

    async def report(self, wanted: Report) -> bytes:
        """Return a report as one HTML page."""
        by = f"--by={','.join(wanted.by)}"
        span = _span(wanted.start, wanted.end)
        return await self._reporting.run("report", by, *span, "--format=html", "--to-file=/dev/stdout")

    async def rehearsal(self, wanted: Rehearsal) -> bytes:
        """Return what the book in the folder would have done, beside the one that ran, as one HTML page."""
        with TemporaryDirectory() as folder:
            page = Path(folder) / "page.html"
            words = [f"--sample={wanted.sample}", *_span(wanted.start, wanted.end), f"--html={page}"]
            try:
                await self._reporting.run("backtest", *words, "--", str(self._config.book.folder.resolve()))
            except RefusedError:
                if not page.exists():  # where the running book disagrees with its journal the page says so
                    raise
            return await asyncio.to_thread(page.read_bytes)


async def _refusing(work: Callable[..., Value], *arguments: object) -> Value:
    """Return what work on another thread does; RefusedError where there is no such version, or no such book."""
    try:
        return await asyncio.to_thread(work, *arguments)
    except (VersionError, BookErrors, OSError) as fault:
        raise RefusedError(str(fault)) from fault


def _span(start: str, end: str) -> list[str]:
    """Return the options of a span of time."""
    return [f"--{name}={text}" for name, text in (("from", start), ("to", end)) if text]


def _records(lines: bytes) -> list[Mapping[str, Any]]:
    return [orjson.loads(line) for line in lines.splitlines()]
