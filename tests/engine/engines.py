"""Engines for tests: a folder with book, configuration, inbox and data, and the process that runs on it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).parents[2]
WAIT_S = 60.0

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


class Nursery:
    """The process that forks engines; one a test process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.nursery"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._read() == "ready"
        self._count = 0

    def start(
        self,
        argv: Sequence[str],
        folder: Path,
        env: dict[str, str] | None = None,
        disk_bytes: int | None = None,
        disk_at: str = "data",
    ) -> "Process":
        """Start the command line with `argv` in `folder`."""
        self._count += 1
        name = f"process-{self._count}"
        order = {"argv": list(argv), "folder": str(folder), "name": name, "env": env or {}}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**order, "disk_bytes": disk_bytes, "disk_at": disk_at}) + "\n")
        self._process.stdin.flush()
        return Process(int(self._read()), folder, name)

    def close(self) -> None:
        """End it, and with it every engine it started."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(WAIT_S)
        self._process.stdout.close()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@dataclass
class Process:
    """A running command."""

    pid: int
    folder: Path
    name: str

    @property
    def exit(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        try:
            return int((self.folder / f"{self.name}.exit").read_text())
        except FileNotFoundError:
            return None

    @property
    def out(self) -> str:
        return (self.folder / f"{self.name}.out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / f"{self.name}.err").read_text()

    def wait(self, seconds: float = WAIT_S) -> int:
        """Return the exit status once it has ended."""
        wait_for(lambda: self.exit is not None, f"the end of {self.name}", seconds)
        assert self.exit is not None
        return self.exit

    def signal(self, number: int) -> None:
        if self.exit is None:
            os.kill(self.pid, number)


class Engine:
    """One data directory under one configuration, and its process while it runs.

    `config` is TOML without paths: `folder` holds `book/`, `inbox/`, `data/`, `spool/`.
    """

    def __init__(self, nursery: Nursery, folder: Path, book: str, config: str) -> None:
        self.nursery = nursery
        self.folder = folder
        self.data = folder / "data"
        self.inbox = folder / "inbox"
        self.inbox.mkdir(parents=True)
        self.write_book(book)
        (folder / "config.toml").write_text(config)
        self.process: Process | None = None
        self.env: dict[str, str] = {}

    def write_book(self, text: str) -> None:
        """Replace the book, as an editor does: the whole file at once."""
        folder = self.folder / "book"
        folder.mkdir(exist_ok=True)
        draft = folder / ".draft"
        draft.write_text(text)
        draft.rename(folder / "book.toml")

    def put(self, name: str, lines: bytes) -> None:
        """Put a whole file into the inbox."""
        draft = self.inbox / f".{name}"
        draft.write_bytes(lines)
        draft.rename(self.inbox / name)

    def start(
        self, *options: str, disk_bytes: int | None = None, disk_at: str = "data", ready: bool = True
    ) -> "Engine":
        """Start the engine; with `ready` return when it serves."""
        assert self.process is None or self.process.exit is not None
        (self.data / "http.json").unlink(missing_ok=True)
        argv = ["run", "--config", "config.toml", *options]
        self.process = self.nursery.start(argv, self.folder, self.env, disk_bytes, disk_at)
        if ready:
            wait_for(lambda: self.serves or self.process is None or self.process.exit is not None, "the engine")
            assert self.process.exit is None, self.process.err
        return self

    def drain(self) -> str:
        """Run with --drain; return the summary."""
        self.start("--drain", ready=False)
        assert self.process is not None
        assert self.process.wait() == 0, self.process.err
        return self.process.out

    def kill(self) -> None:
        """kill -9; returns when the process is gone."""
        assert self.process is not None
        self.process.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop; return the exit status."""
        assert self.process is not None
        self.process.signal(signal.SIGTERM)
        return self.process.wait()

    @property
    def url(self) -> str:
        """Where it listens; FileNotFoundError before it does."""
        record = json.loads((self.data / "http.json").read_bytes())
        return f"http://{record['host']}:{record['port']}"

    @property
    def serves(self) -> bool:
        try:
            return bool(self.get("/health")["ok"])
        except (OSError, ValueError):
            return False

    def page(self, path: str) -> bytes:
        """Return the body of a GET."""
        return fetch(self.url + path)[2]

    def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        return orjson.loads(self.page(path))

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.get("/status")
        return status

    def post(self, path: str, body: bytes, **headers: str) -> Answer:
        """Return status, headers and body of the answer to a POST; OSError when there is none."""
        return fetch(self.url + path, body, headers)

    def command(self, *argv: str, config: str = "config.toml") -> Process:
        """Run another command on the same configuration to its end."""
        words = [argv[0], "--config", config, *argv[1:]]
        process = self.nursery.start(words, self.folder, self.env)
        process.wait()
        return process

    def records(self, *options: str) -> list[dict[str, Any]]:
        """Return what `decisions` prints."""
        process = self.command("decisions", "--format", "ndjson", *options)
        assert process.exit == 0, process.err
        return [orjson.loads(line) for line in process.out.splitlines()]

    def spooled(self) -> list[dict[str, Any]]:
        """Return the messages in the spool, in the order in which they were written."""
        return [orjson.loads(line) for line in self._spool_lines()]

    def _spool_lines(self) -> Iterator[bytes]:
        spool = self.folder / "spool"
        for path in [*sorted(spool.glob("out-*.ndjson")), spool / "out.ndjson"]:
            if path.exists():
                yield from path.read_bytes().splitlines()


def fetch(
    url: str, body: bytes | None = None, headers: dict[str, str] | None = None, method: str | None = None
) -> Answer:
    """Ask once, without proxies; return status, headers, body."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with opener.open(request, timeout=WAIT_S) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as fault:
        with fault:
            return fault.code, dict(fault.headers), fault.read()


def wait_for(condition: Callable[[], object], what: str, seconds: float = WAIT_S) -> float:
    """Wait until the condition holds; return the seconds it took, fail after `seconds`."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        assert waited < seconds, f"waited {waited:.1f} s for {what}"
        time.sleep(0.01)
    return time.monotonic() - began
