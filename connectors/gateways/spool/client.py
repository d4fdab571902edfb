"""A gateway that writes messages to a file: the default gateway, and the way to systems that read files.

Messages given at about the same time are written and synced together; a message is accepted when its line is on disk.
A line is written whole or taken back, also after a crash. `in.ndjson`, where there is one, is followed for receipts and
replies; how far it was read is kept beside it, so a line is handled at least once, and receipts may come twice, as they
may everywhere. Without that file no receipt is expected, and accepted messages have no id to wait for.
"""

import asyncio
import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import orjson

from connectors.contract import (
    GatewayError,
    Message,
    NowMs,
    OnMobileOriginated,
    OnReceipt,
    Outcome,
    Receipt,
    State,
)
from connectors.gateways.spool import codec
from connectors.gateways.spool.config import SpoolConfig

log = logging.getLogger(__name__)

_READ_BYTES = 1 << 20
_RECALLED_BYTES = 8 << 20
_RETRY_AFTER_MS = 5_000

_Waiting = tuple[list[bytes], list[str], asyncio.Future[list[Outcome]]]
"""Lines that were given together, the ids of their messages, and who waits for their outcomes."""


class SpoolGateway:
    """A `connectors.contract.BatchGateway` that writes lines; receipts and replies are optional."""

    def __init__(self, name: str, config: SpoolConfig, now_ms: NowMs) -> None:
        self.name = name
        self._config = config
        self._now_ms = now_ms
        self._queue: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._fd = -1
        self._size = 0
        self._files = 0
        self._written = self._bad_lines = 0
        self._batch: list[_Waiting] = []
        self._last_fault = ""
        self._answered = False

    async def start(self, on_receipt: OnReceipt, on_mo: OnMobileOriginated) -> None:
        """Open the file; see the contract."""
        try:
            self._config.folder.mkdir(parents=True, exist_ok=True)
            self._open()
            self._answered = self._in.exists()
        except OSError as fault:
            raise GatewayError(f"gateway {self.name}: folder {self._config.folder}: {fault.strerror}") from fault
        self._on_receipt, self._on_mo = on_receipt, on_mo
        self._tasks = [asyncio.create_task(self._write_batches()), asyncio.create_task(self._follow())]

    async def stop(self) -> None:
        """Write what is waiting and close the file; see the contract."""
        if not self._tasks:
            return
        writer, follower = self._tasks
        self._tasks = []
        follower.cancel()
        unanswered = [outcomes for _, _, outcomes in self._batch + self._queue]
        if unanswered:
            await asyncio.wait(unanswered)
        writer.cancel()
        await asyncio.gather(writer, follower, return_exceptions=True)
        os.close(self._fd)
        self._fd = -1

    @property
    def up(self) -> bool:
        """Whether the file is open."""
        return bool(self._tasks)

    def room(self) -> int:
        """Return the lines that the next batch can still take."""
        return self._config.batch_max - _lines(self._queue) if self.up else 0

    async def send(self, message: Message) -> Outcome:
        """Write one line; see the contract."""
        return (await self.send_all((message,)))[0]

    async def send_all(self, messages: Sequence[Message]) -> list[Outcome]:
        """Write a line for each; see the contract. They are written together: all of them, or none."""
        if not self.up:
            return [Outcome(State.LINK_DOWN, "CLOSED")] * len(messages)
        outcomes: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        now_ms = self._now_ms()
        lines = [codec.encode(message, now_ms) for message in messages]
        self._queue.append((lines, [message.decision_id for message in messages], outcomes))
        self._wake.set()
        return await outcomes

    def recall(self, decision_ids: Collection[str]) -> dict[str, Outcome]:
        """Return the outcomes of messages that were given before a restart: those whose whole line is in the file.

        The lines before the last `_RECALLED_BYTES` are not looked at; what a crash has left unanswered is not there.
        """
        wanted = set(decision_ids)
        folder = self._config.folder
        found: dict[str, Outcome] = {}
        for path in [self._out, *sorted(folder.glob("out-*.ndjson"), reverse=True)[:1]]:
            for line in _last_lines(path):
                decision_id = orjson.loads(line)["id"]
                if decision_id in wanted:
                    ids = (decision_id,) if self._in.exists() else ()
                    found[decision_id] = Outcome(State.ACCEPTED, "", ids)
        return found

    def status(self) -> dict[str, int | str]:
        """Return figures for the status table."""
        return {
            "links": 1,
            "links_up": int(self.up),
            "in_flight": _lines(self._queue) + _lines(self._batch),
            "sent": self._written,
            "bad_lines": self._bad_lines,
            "last_fault": self._last_fault,
        }

    # Out.

    @property
    def _out(self) -> Path:
        return self._config.folder / "out.ndjson"

    def _open(self) -> None:
        """Open `out.ndjson` at its end, without the half line that a crash may have left."""
        fd = os.open(self._out, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        size = _whole_lines(fd, os.fstat(fd).st_size)
        os.ftruncate(fd, size)
        self._fd, self._size = fd, size
        numbers = [int(path.stem[4:]) for path in self._config.folder.glob("out-*.ndjson") if path.stem[4:].isdigit()]
        self._files = max(numbers, default=0)

    async def _write_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = self._batch = self._next_batch()
                data = b"".join(line for lines, _, _ in batch for line in lines)
                state, code = await loop.run_in_executor(None, self._write, data)
                self._settle(batch, state, code)
                self._batch = []

    def _next_batch(self) -> list[_Waiting]:
        """Take from the queue what one batch holds: as many as there is room for, one at least."""
        count = size = 0
        for lines, _, _ in self._queue:
            size += len(lines)
            if count and size > self._config.batch_max:
                break
            count += 1
        batch, self._queue = self._queue[:count], self._queue[count:]
        return batch

    def _settle(self, batch: list[_Waiting], state: State, code: str) -> None:
        good = state is State.ACCEPTED
        self._written += _lines(batch) if good else 0
        self._last_fault = code
        alike = Outcome(state, code, (), None if good else _RETRY_AFTER_MS)
        for _, ids, outcomes in batch:
            if not outcomes.done():
                answered = good and self._answered
                outcomes.set_result([Outcome(state, code, (one,)) if answered else alike for one in ids])

    def _write(self, data: bytes) -> tuple[State, str]:
        """Write whole lines; runs on a worker thread."""
        # Nothing else writes to the file or sets `_size` meanwhile: one batch is under way at a time.
        try:
            if self._size and self._size + len(data) > self._config.file_bytes_max:
                self._rotate()
            at = 0
            while at < len(data):
                at += os.write(self._fd, data[at:])
        except OSError as fault:
            return self._take_back(fault)
        self._size += len(data)
        if self._config.sync:
            try:
                os.fdatasync(self._fd)
            except OSError as fault:
                return State.UNKNOWN, f"SYNC {fault.strerror}"
        return State.ACCEPTED, ""

    def _take_back(self, fault: OSError) -> tuple[State, str]:
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            return State.UNKNOWN, f"WRITE {fault.strerror}"
        return State.RETRY, f"WRITE {fault.strerror}"

    def _rotate(self) -> None:
        """Begin a new file; the old one is let go of when the new one is open: a fault in between loses nothing."""
        old = self._fd
        os.fdatasync(old)
        if self._out.exists():
            self._files += 1
            self._out.rename(self._config.folder / f"out-{self._files:06d}.ndjson")
        self._open()
        os.close(old)

    # In.

    @property
    def _in(self) -> Path:
        return self._config.folder / "in.ndjson"

    async def _follow(self) -> None:
        while True:
            try:
                more = await self._read_some()
            except Exception as fault:
                if self._last_fault != (text := f"in.ndjson: {fault}"):
                    self._last_fault = text
                    log.warning("gateway %s: %s; it is tried again", self.name, text, exc_info=True)
                more = False
            if not more:
                await asyncio.sleep(self._config.poll_ms / 1000)

    async def _read_some(self) -> bool:
        """Handle the next lines of `in.ndjson`; return whether there may be more at once."""
        path, mark = self._in, self._config.folder / "in.position"
        self._answered = path.exists()
        if not self._answered:
            return False
        position = int(mark.read_text() or 0) if mark.exists() else 0
        with path.open("rb") as file:
            position = position if position <= os.fstat(file.fileno()).st_size else 0
            file.seek(position)
            data = file.read(_READ_BYTES)
        lines = data[: data.rfind(b"\n") + 1]
        if len(data) == _READ_BYTES and not lines:
            lines = data  # no line of ours is that long: it is counted as bad, a piece at a time
        if not lines:
            return False
        for line in lines.splitlines():
            await self._handle(line)
        fresh = mark.with_suffix(".new")
        fresh.write_text(str(position + len(lines)))
        fresh.replace(mark)
        return True

    async def _handle(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            said = codec.decode(self.name, line, self._now_ms())
        except codec.SpoolLineError as fault:
            self._bad_lines += 1
            self._last_fault = str(fault)
            return
        if isinstance(said, Receipt):
            await self._on_receipt(said)
        else:
            await self._on_mo(said)


def _lines(waiting: Sequence[_Waiting]) -> int:
    return sum(len(lines) for lines, _, _ in waiting)


def _last_lines(path: Path) -> list[bytes]:
    """Return the whole lines at the end of a file; none where there is no file."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        begin = max(0, file.seek(0, os.SEEK_END) - _RECALLED_BYTES)
        file.seek(begin)
        lines = file.read().split(b"\n")
    return lines[1 if begin else 0 : -1]


def _whole_lines(fd: int, size: int) -> int:
    """Return the size of a file without the half line at its end."""
    while size:
        start = max(0, size - 65536)
        cut = os.pread(fd, size - start, start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        size = start
    return 0
