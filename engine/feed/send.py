"""Where the lines go: files in a folder, a TCP socket, HTTP posts or a Kafka topic; at full speed or at a steady rate.

`Files` writes under hidden names and renames all parts at the end, so that a watcher never sees half a file; a day is
whole when its first part shows and no hidden one is left. `Http` obeys 429 with Retry-After and gives up on any other
refusal. `paced` cuts lines into slices and waits before each until it is due.
"""

import gzip
import http.client
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from connectors.kafka import BrokerError
from connectors.kafka.config import KafkaConfig
from connectors.sources.kafka.simulator import RawProducer
from engine.feed.lines import encode

SLICE_S = 0.005
POST_LINES_MAX = 5_000
RETRIES_MAX = 100
CONNECT_S = 10.0


class FeedError(Exception):
    """The receiver could not be reached or refused."""


class Target(Protocol):
    """Takes lines in order."""

    def write(self, lines: list[str]) -> None:
        """Take some lines; returns when they are handed over."""

    def close(self) -> None:
        """Finish what is open."""


class Files:
    """Parts of `rows_max` lines in `folder`, named `NAME.partNNN.ndjson` (`.gz` when packed)."""

    def __init__(self, folder: Path, name: str, rows_max: int, packed: bool = False) -> None:
        self.folder, self.name, self.rows_max, self.packed = folder, name, rows_max, packed
        self.written: list[Path] = []
        self._buffer: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def exists(self) -> bool:
        """Tell whether this day lies there already."""
        return self.path(0).exists() and not any(self.folder.glob(f".{self.name}.part*"))

    def path(self, part: int) -> Path:
        """The path of a part."""
        return self.folder / f"{self.name}.part{part:03d}.ndjson{'.gz' if self.packed else ''}"

    def write(self, lines: list[str]) -> None:
        """Gather lines; a full part is written at once, under its hidden name."""
        self._buffer += lines
        while len(self._buffer) >= self.rows_max:
            self._flush(self._buffer[: self.rows_max])
            del self._buffer[: self.rows_max]

    def close(self) -> None:
        """Write the last part and show them all."""
        if self._buffer:
            self._flush(self._buffer)
            self._buffer = []
        for part in range(len(self.written)):
            self.written[part].replace(self.path(part))
            self.written[part] = self.path(part)

    def _flush(self, lines: list[str]) -> None:
        hidden = self.folder / f".{self.name}.part{len(self.written):03d}"
        data = encode(lines)
        hidden.write_bytes(gzip.compress(data, 6, mtime=0) if self.packed else data)
        self.written.append(hidden)


class Tcp:
    """Lines over one connection; the receiver slows us by not reading."""

    def __init__(self, address: str) -> None:
        host, separator, port = address.rpartition(":")
        if not separator or not port.isdigit():
            raise FeedError(f"tcp address={address!r} must read HOST:PORT")
        try:
            self._socket = socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S)
        except OSError as error:
            raise FeedError(f"tcp {address}: {error.strerror or error}") from error
        self._socket.settimeout(None)

    def write(self, lines: list[str]) -> None:
        """Send lines."""
        try:
            self._socket.sendall(encode(lines))
        except OSError as error:
            raise FeedError(f"tcp: {error.strerror or error}") from error

    def close(self) -> None:
        """Say that no more comes, and wait until the receiver has closed too."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(4096):
                pass
        except OSError as error:
            raise FeedError(f"tcp: {error.strerror or error}") from error
        finally:
            self._socket.close()


class Http:
    """Posts of up to POST_LINES_MAX lines over one kept connection."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FeedError(f"url={url!r} must read http://HOST:PORT/PATH")
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=60.0)
        self._path = parts.path or "/"
        self._headers = {"Content-Type": "application/x-ndjson"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def write(self, lines: list[str]) -> None:
        """Post lines; returns when the receiver has them on disk."""
        for start in range(0, len(lines), POST_LINES_MAX):
            self._post(encode(lines[start : start + POST_LINES_MAX]))

    def close(self) -> None:
        """Drop the connection."""
        self._connection.close()

    def _post(self, body: bytes) -> None:
        for _ in range(RETRIES_MAX):
            try:
                self._connection.request("POST", self._path, body, self._headers)
                response = self._connection.getresponse()
                text = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise FeedError(f"post to {self._connection.host}:{self._connection.port}: {error}") from error
            if response.status == http.HTTPStatus.TOO_MANY_REQUESTS:
                time.sleep(min(float(response.headers.get("Retry-After", "1")), 10.0))
                continue
            if response.status != http.HTTPStatus.ACCEPTED:
                raise FeedError(f"post answered {response.status}: {text[:200].decode(errors='replace')}")
            return
        raise FeedError(f"post was put off {RETRIES_MAX} times")


class Kafka:
    """One record a line on a topic, as `HOST:PORT/TOPIC`; a subscriber's lines keep their order."""

    def __init__(self, address: str) -> None:
        broker, separator, topic = address.partition("/")
        if not separator or not topic:
            raise FeedError(f"kafka address={address!r} must read HOST:PORT/TOPIC")
        try:
            self._producer = RawProducer(KafkaConfig(bootstrap=(broker,)), topic)
        except (BrokerError, ValueError) as fault:
            raise FeedError(f"kafka {address}: {fault}") from fault

    def write(self, lines: list[str]) -> None:
        """Write lines; returns when the brokers have them."""
        for start in range(0, len(lines), POST_LINES_MAX):
            try:
                self._producer.write([line.encode() for line in lines[start : start + POST_LINES_MAX]])
            except BrokerError as fault:
                raise FeedError(str(fault)) from fault

    def close(self) -> None:
        """Close the connection."""
        self._producer.close()


def paced(batches: Iterable[list[str]], rate: float) -> Iterator[list[str]]:
    """Yield slices of the batches, each when it is due at `rate` lines a second; rate 0 yields batches as they are."""
    if rate <= 0:
        yield from batches
        return
    step = max(1, int(rate * SLICE_S))
    begin, sent = time.monotonic(), 0
    for lines in batches:
        for start in range(0, len(lines), step):
            ahead_s = begin + sent / rate - time.monotonic()
            if ahead_s > 0:
                time.sleep(ahead_s)
            part = lines[start : start + step]
            yield part
            sent += len(part)
