"""What passes between a source, the decoder and the runtime, and what every source promises.

A source cuts its bytes into `Chunk`s of whole lines. A `Decoder` turns a chunk into a `Decoded`: a batch of rows in
line order, and one `DeadLetter` for each line that is no event. How the chunks come is the source's shape:

    Source          pushes: offers chunks to the runtime's `Intake` and acknowledges when the future is done (TCP)
    ServedSource    pushes too, but over routes of the engine's HTTP front instead of a listener of its own (HTTP)
    PulledSource    is asked for its next chunk by the pipeline, and has positions to resume from (files)
    GroupSource     is asked by a cluster's worker; a consumer group shares out its partitions (Kafka)

The runtime looks at the shape, never at the kind.

Every line that is not blank ends in exactly one of the two: `decoded.lines == decoded.batch.n + len(decoded.dead)`.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from connectors.sources.config import SourceConfig
from connectors.sources.dead_letter import DeadLetter
from state.batch import Batch
from state.raw import PADDING

if TYPE_CHECKING:
    from aiohttp.web import RouteDef  # for the annotation alone: most users of this module serve nothing

    from connectors.sources.columns.table import Table

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines from one source, and where they stand in it.

    `data[:length]` are the bytes; at least `PADDING` more bytes of the array are readable after them. The last line
    may lack its newline when nothing can follow it.

    `key` names what positions count in ("" where the source has none, as TCP and HTTP: then `dedupe` is true and an
    event's id keeps a doubled event from acting twice). `start` is the position of the first byte; `end` is the
    position to store with the frame under `key`, from which the source resumes. `done` says that the key is
    exhausted. `line` is the number of the first line, counted from 1. `header` is the line of column names, where the
    feed has one. `received_ns` is the wall clock (epoch) at which the bytes came.

    `table`: the events came as columns. Then there are no bytes, `length` is what the table takes in memory, positions
    count rows, and `line` is the number of the first one.
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
    table: "Table | None" = None


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

    def room(self, length: int, reading: int = 0) -> bool:
        """Return whether `length` more bytes may be offered now; false means back-pressure.

        `reading` bytes are held by what the source has not offered yet, and count like those that wait.
        """

    def offer(self, chunk: Chunk) -> "Future[None]":
        """Take a chunk; the future is done when its events are durable, and carries the fault if they will not be."""


class SourceError(Exception):
    """A source cannot be opened as configured; the text names it and what is wrong."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a source could not read, by name, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Opening:
    """What the runtime gives a source: where pushed chunks go, and where reading resumes.

    `positions` are those stored with the last frame, of all sources, by `Chunk.key`. With `drain` the engine ends when
    its pulled sources are exhausted, so they need not wait for more.
    """

    intake: Intake
    positions: Mapping[str, int]
    drain: bool = False


@runtime_checkable
class Source(Protocol):
    """A source of the embedded runtime.

    1. made: nothing is open
    2. `start`: events come from now on
    3. `stop`: takes in nothing more; returns when what was taken in is durable or was refused
    4. `close`: called after the pipeline has ended, as its threads may read from a pulled source until then
    """

    @property
    def config(self) -> SourceConfig:
        """The settings it was made of."""

    @property
    def faults(self) -> Sequence[Fault]:
        """What could not be read so far, each once."""

    async def start(self) -> None:
        """Open; OSError names what cannot be had."""

    async def stop(self) -> None:
        """Take in nothing more."""

    def close(self) -> None:
        """Release what is still open."""

    def status(self) -> Mapping[str, Any]:
        """Figures since the start, for the status table."""


@runtime_checkable
class PulledSource(Source, Protocol):
    """A source that the pipeline asks for its next chunk, from one thread at a time."""

    @property
    def exhausted(self) -> bool:
        """Whether everything that was there has been returned."""

    def next_chunk(self, bytes_max: int) -> Chunk | None:
        """Return the next lines, about `bytes_max` bytes of them; None when there are none just now."""

    def recycle(self, chunk: Chunk) -> None:
        """Take back a chunk whose bytes are read no more."""

    def holds(self, key: str) -> bool:
        """Return whether what a key of this source names is still there; the position of one that is not is dropped."""


@runtime_checkable
class ServedSource(Source, Protocol):
    """A source whose events come over routes of the engine's HTTP front; not opened where the front is off."""

    @property
    def body_bytes_max(self) -> int:
        """The largest request body that its routes take."""

    def routes(self) -> "Sequence[RouteDef]":
        """Return the routes to serve; SecretError names a token that is not there."""


@dataclass(frozen=True, slots=True)
class Records:
    """A chunk of a group source, with the place in its bytes and the offset of each of its records.

    `assignment` is the reader's when the records came: after another one they are read again. `dead` stands for records
    that were never lines.
    """

    chunk: Chunk
    starts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    assignment: int = 0
    dead: Sequence[DeadLetter] = ()

    def record_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the offset of the record that each byte position of the chunk lies in."""
        return self.offsets[np.searchsorted(self.starts, places, side="right") - 1]

    def place_of(self, place: int) -> tuple[int, int]:
        """Return the offset of the record at a byte position of the chunk, and the position inside the record."""
        index = int(np.searchsorted(self.starts, place, side="right")) - 1
        return int(self.offsets[index]), place - int(self.starts[index])


class GroupSource(Protocol):
    """A reader that shares its partitions with other workers, in a consumer group; used by one task.

    `assignment` grows when partitions are revoked. What was polled under an earlier one is polled again, here or by
    another member, and must not be committed any more.
    """

    @property
    def assignment(self) -> int:
        """Which assignment of partitions the group has given this member, counted."""

    async def start(self) -> None:
        """Join the group; an error of the transport when there is no answer."""

    async def stop(self) -> None:
        """Leave the group."""

    async def poll(self, wait_ms: int, received_ns: Callable[[], int]) -> list[Records]:
        """Return what came, in the order of each partition's records; nothing after `wait_ms`."""

    async def commit(self, ends: Mapping[str, int]) -> bool:
        """Store how far partitions are read, by `Chunk.key`; false when the assignment is over."""


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
