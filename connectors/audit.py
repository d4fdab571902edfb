"""The audit log: every command that somebody gave, and what it was answered, as lines of private files.

    audit/2026-11.ndjson    one file a month of UTC, mode 0600, only ever appended to

    {"at": 1796021000123, "id": "9f...", "who": "li.wei", "role": "operator", "from": "10.1.2.3", "door": "console",
     "act": "pause", "what": "rule first-call", "why": "complaints from Chengdu"}
    {"at": 1796021000160, "of": "9f...", "answer": "touched 3"}

The first line is durable before the command begins, the second once it was answered; a command without the second was
cut off by the end of the process. Lines are written whole, so several processes may append to one file, and a reader
passes over what a crash tore.

A command is not refused where its line cannot be written, as on a full disk: a kill must work then, too. The line waits
in memory, `fault` says so, and it is written before the next one.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from connectors.seldom import Seldom

log = logging.getLogger(__name__)

TEXT_CHARS_MAX = 500
"""Of each text of a line; what is longer is cut."""
WAITING_MAX = 10_000
"""Lines that wait for a disk that takes none; of more the oldest are lost, and the log says so."""
BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gives a command.

    Args:
        who: name of the user; `token` for who bears the control token, `this machine` where none is set.
        role: of a user of the console, else "".
        source: address that it came from.
        door: `console`, `http` or `command`.
    """

    who: str
    role: str
    source: str
    door: str


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done: the verb, what it is done to, and why, as who asked said it."""

    act: str
    what: str = ""
    why: str = ""


@dataclass(slots=True)
class Entry:
    """A command as the log has it; `answer` is "" where none is known, then `answered_ms` is 0."""

    at_ms: int
    caller: Caller
    act: Act
    answer: str = ""
    answered_ms: int = 0

    def record(self) -> dict[str, Any]:
        """Return it as one plain dict."""
        caller, act = self.caller, self.act
        return {
            "at_ms": self.at_ms, "who": caller.who, "role": caller.role, "from": caller.source, "door": caller.door,
            "act": act.act, "what": act.what, "why": act.why, "answer": self.answer, "answered_ms": self.answered_ms,
        }  # fmt: skip


@dataclass(slots=True)
class Answer:
    """What a command is answered; whoever runs it sets `text`."""

    text: str = field(default="done")


class AuditLog:
    """Appends to the files of a folder, which is made at the first line. Thread-safe.

    Args:
        folder: where the files are.
        now_ms: the wall clock, milliseconds of the epoch.
    """

    def __init__(self, folder: Path, now_ms: Callable[[], int]) -> None:
        self.folder = folder
        self._now_ms = now_ms
        self._waiting: list[tuple[str, bytes]] = []
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, "audit")  # its waits for the disk are nobody else's
        self._seldom = Seldom(log)
        self.fault = ""

    @asynccontextmanager
    async def of(self, caller: Caller, act: Act) -> AsyncIterator[Answer]:
        """Write a command before it is run inside, and its answer afterwards; a fault is its answer, too."""
        loop = asyncio.get_running_loop()
        number = await loop.run_in_executor(self._writer, self.asked, caller, act)
        answer = Answer()
        try:
            yield answer
        except BaseException as fault:
            answer.text = f"failed: {str(fault) or type(fault).__name__}"
            raise
        finally:
            await asyncio.shield(loop.run_in_executor(self._writer, self.answered, number, answer.text))

    def asked(self, caller: Caller, act: Act) -> str:
        """Write a command; return its number for the answer."""
        number = secrets.token_hex(8)
        self._append({
            "id": number, "who": caller.who, "role": caller.role, "from": caller.source, "door": caller.door,
            "act": act.act, "what": act.what, "why": act.why,
        })  # fmt: skip
        return number

    def answered(self, number: str, text: str) -> None:
        """Write the answer of a command."""
        self._append({"of": number, "answer": text})

    def _append(self, words: dict[str, str]) -> None:
        at_ms = self._now_ms()
        cut = {name: text[:TEXT_CHARS_MAX] for name, text in words.items()}
        line = orjson.dumps({"at": at_ms, **cut}, default=str) + b"\n"
        month = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m")
        with self._lock:
            self._waiting.append((month, line))
            try:
                self._write()
            except OSError as fault:
                self.fault = fault.strerror or str(fault)
                self._seldom.error("the audit log waits: %s", self.fault)
                lost = len(self._waiting) - WAITING_MAX
                if lost > 0:
                    del self._waiting[:lost]
                    self._seldom.error("lines of the audit log are lost: %d", lost)
            else:
                self.fault = ""

    def _write(self) -> None:
        """Write what waits; OSError leaves what is not durable waiting."""
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _give(self.folder, self.folder.parent)
        while self._waiting:
            month, line = self._waiting[0]
            descriptor = os.open(self.folder / f"{month}.ndjson", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                _give(descriptor, self.folder)
                end = os.fstat(descriptor).st_size
                torn = end and os.pread(descriptor, 1, end - 1) != b"\n"
                whole = b"\n" + line if torn else line
                if os.write(descriptor, whole) < len(whole):
                    raise OSError(28, "No space left on device")
                os.fsync(descriptor)
                if not end:
                    _sync_folder(self.folder)
            finally:
                os.close(descriptor)
            self._waiting.pop(0)


def _sync_folder(folder: Path) -> None:
    """Have the name of a new file outlive a power cut, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give(made: Path | int, like: Path) -> None:
    """Give what root made to the owner of the folder that it is in: the engine, another user, writes to it as well."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def read_entries(folder: Path) -> Iterator[Entry]:
    """Yield every command, the newest first; what was torn is passed over. OSError where it may not be read."""
    answers: dict[str, tuple[int, str]] = {}
    try:
        paths = sorted(folder.iterdir(), reverse=True)
    except FileNotFoundError:
        return
    for path in paths:
        for line in _backwards(path):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                record = orjson.loads(line)
                if "of" in record:
                    answers[str(record["of"])] = int(record["at"]), str(record["answer"])
                else:
                    yield _entry(record, answers)


def _entry(record: dict[str, Any], answers: dict[str, tuple[int, str]]) -> Entry:
    caller = Caller(*(str(record[name]) for name in ("who", "role", "from", "door")))
    act = Act(*(str(record[name]) for name in ("act", "what", "why")))
    answered_ms, answer = answers.pop(str(record["id"]), (0, ""))
    return Entry(int(record["at"]), caller, act, answer, answered_ms)


def _backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file from its end on, a block at a time."""
    with path.open("rb") as file:
        place, rest = file.seek(0, os.SEEK_END), b""
        while place:
            size = min(BLOCK_BYTES, place)
            place -= size
            file.seek(place)
            first, *lines = (file.read(size) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            rest = first
        if rest:
            yield rest
