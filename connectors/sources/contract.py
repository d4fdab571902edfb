"""What passes between a source, the decoder and the runtime.

A source cuts its bytes into `Chunk`s of whole lines. A `Decoder` turns a chunk into a `Decoded`: a batch of rows in
line order, and one `DeadLetter` for each line that is no event. A source that is pushed to (TCP, HTTP) offers its
chunks to the runtime's `Intake` and acknowledges when the future is done; a source that is pulled (files) is asked
for its next chunk.

Every line that is not blank ends in exactly one of the two: `decoded.lines == decoded.batch.n + len(decoded.dead)`.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from connectors.sources.dead_letter import DeadLetter
from state.batch import Batch
from state.raw import PADDING

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines from one source, and where they stand in it.

    `data[:length]` are the bytes; at least `PADDING` more bytes of the array are readable behind them. The last line
    may lack its newline when nothing can follow it.

    `key` names what positions count in ("" where the source has none, as TCP and HTTP: then `dedupe` is true and an
    event's id keeps a doubled event from acting twice). `start` is the position of the first byte; `end` is the
    position to store with the frame under `key`, from which the source resumes. `done` says that the key is
    exhausted. `line` is the number of the first line, counted from 1. `header` is the line of column names, where the
    feed has one. `received_ns` is the wall clock (epoch) at which the bytes came.
    """

    source: str
    key: str
    data: Bytes
    length: int
    start: int
    end: int
    dedupe: bool
    done: bool
    received_ns: int
    line: int = 1
    header: bytes = b""


@dataclass(slots=True)
class Decoded:
    """The events of a chunk.

    `offsets[i]` is the position in the source (`chunk.start` included) of the line that became row i. `lines` counts
    the lines that are not blank. `slow` counts those that the strict path had to judge.
    """

    batch: Batch
    offsets: NDArray[np.int64]
    dead: list[DeadLetter] = field(default_factory=list)
    lines: int = 0
    slow: int = 0


class Intake(Protocol):
    """Where pushed chunks go: the runtime."""

    def room(self, length: int) -> bool:
        """Tell whether `length` more bytes may be offered now; false means back-pressure."""

    def offer(self, chunk: Chunk) -> "Future[None]":
        """Take a chunk; the future is done when its events are durable, and carries the fault if they will not be."""


def reached(position: int) -> int:
    """Return how far a stored position goes; one that says "read to the end" is stored as `~position`."""
    return position if position >= 0 else ~position


def later(one: int, other: int) -> int:
    """Return the stored position that goes further; of equals the one that says "read to the end"."""
    return max(one, other, key=lambda position: (reached(position), position < 0))


def earlier(one: int, other: int) -> int:
    """Return the stored position that goes less far; of equals the one that does not say "read to the end"."""
    return min(one, other, key=lambda position: (reached(position), position < 0))


def padded(text: bytes | bytearray | memoryview) -> Bytes:
    """Copy `text` into an array that a kernel may read `PADDING` bytes beyond."""
    data = np.empty(len(text) + PADDING, np.uint8)
    data[: len(text)] = np.frombuffer(text, np.uint8)
    data[len(text) :] = 0
    return data


def chunk_of(text: bytes, source: str = "test", *, received_ns: int = 0, line: int = 1, header: bytes = b"") -> Chunk:
    """Make a chunk of bytes that belong to no position."""
    return Chunk(source, "", padded(text), len(text), 0, len(text), True, False, received_ns, line, header)
