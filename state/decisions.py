"""Decision records: one for every candidate, whether it was decided or stopped, and one for every decision withdrawn.

The decider emits one `DecisionBatch` a frame; the journal stores its bytes; dispatch, `opportune decisions` and
`opportune why` read them. The id of a decision is (partition, position, row, rule), the same in every replay.

A record of kind WITHDRAWAL ends a decision of an earlier row that still waits: `of_position`, `of_row` and `rule` name
that decision, in the same partition; `row` is the row of this frame that ended it (a list, a profile, an answer),
`gate` and `detail` say which gate stops it now, `channel` and `subscriber` are the decision's, its facts are none. A
reader of the journal that has come past it sends that decision no more, and reports a refund; one that has sent it
already changes nothing, and reports that. Until then its contact counts. Several decisions of a
row end with several records, so (position, row, rule) is no id of a withdrawal. A record of kind CONVERSION will name a
decision the same way.

A batch without records is that of an activation: its book became the active one at its position. What was decided
before and waits is judged by that book from then on; nobody looks for it in the fold. One without records and without
a book is a moment of a cluster on the events' own clock: all that was decided by then stands before it. It may say when
the next deadline of its partition comes, in eight bytes at the end, which an earlier release neither writes nor reads.

Columns are packed as they stand: candidates are about one event in a hundred, so simplicity wins over size. Format 1
has narrower ids and no kinds, arms, log times and texts; what it lacks reads as its default.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.formats import format_of, magic
from state.texts import NO_TEXTS, Texts, decode_texts, encode_texts, joined

_HEADER = struct.Struct("<4sqq16sii")
_TEXTS = struct.Struct("<ii")  # texts, and bytes of their part; since format 2
_NEXT = struct.Struct("<q")  # at the end of a moment
_MAGIC = b"DEC"
NEVER_MS = 1 << 62
"""When the next deadline comes, where none does."""


class Outcome(IntEnum):
    """What became of a candidate in the decider."""

    DECIDED = 0
    SUPPRESSED = 1


class RecordKind(IntEnum):
    """What a record says."""

    DECISION = 0
    WITHDRAWAL = 1
    CONVERSION = 2


class OutcomeState(IntEnum):
    """What an `outcome` event tells the decider about a decision it made earlier."""

    COMMITTED = 1  # the gateway accepted it, or the clerk saw it
    REFUNDED = 2  # it certainly did not reach anybody: the caps get their place back
    DELIVERED = 3
    UNDELIVERED = 4
    UNKNOWN = 5  # nobody can say; the caps keep their place


@dataclass(slots=True)
class DecisionBatch:
    """Records of one frame, in the order (row, priority); withdrawals stand at their row, before its decisions.

    Shapes: `kind` uint8[m]; `row`, `detail` int32[m]; `rule`, `channel` int64[m], stable ids, 0 for no channel;
    `subscriber`, `at_ms`, `log_ms` int64[m], the row's own time and the log's; `outcome`, `gate` uint8[m];
    `of_position` int64[m] and `of_row` int32[m], of a withdrawal; `arm` uint8[m] and `probability` float32[m], of an
    offer drawn among several; `fact_start` int32[m + 1]; `facts` int64 cells, `facts_known` uint8, one per fact.
    `texts`: those of the STRING facts, so that a record is read without anything else for as long as it is kept.
    `next_ms`, of a moment: the log time before which no deadline of the partition comes.
    """

    position: int
    append_ms: int
    book: str
    kind: NDArray[np.uint8]
    row: NDArray[np.int32]
    rule: NDArray[np.int64]
    channel: NDArray[np.int64]
    detail: NDArray[np.int32]
    subscriber: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    log_ms: NDArray[np.int64]
    outcome: NDArray[np.uint8]
    gate: NDArray[np.uint8]
    of_position: NDArray[np.int64]
    of_row: NDArray[np.int32]
    arm: NDArray[np.uint8]
    probability: NDArray[np.float32]
    fact_start: NDArray[np.int32]
    facts: NDArray[np.int64]
    facts_known: NDArray[np.uint8]
    texts: Texts = NO_TEXTS
    next_ms: int = NEVER_MS

    @property
    def n(self) -> int:
        """Number of records."""
        return int(self.row.shape[0])

    @property
    def activates(self) -> bool:
        """Whether it says that its book became the active one."""
        return self.n == 0 and bool(self.book)

    @property
    def is_moment(self) -> bool:
        """Whether it says that time has come to `append_ms`, and nothing else."""
        return self.n == 0 and not self.book

    def encode(self) -> bytes:
        """Return the batch as bytes; `decode` is the inverse."""
        head = _HEADER.pack(magic(_MAGIC), self.position, self.append_ms, self.book.encode(), self.n, len(self.facts))
        texts = encode_texts(self.texts)
        columns = (getattr(self, name).astype(dtype, copy=False).tobytes() for name, dtype, _ in _LAYOUT)
        last = _NEXT.pack(self.next_ms) if self.next_ms < NEVER_MS else b""
        return b"".join((head, _TEXTS.pack(self.texts.count, len(texts)), *columns, texts, last))


_LAYOUT: tuple[tuple[str, np.dtype[Any], str], ...] = (
    ("subscriber", np.dtype(np.int64), "n"),
    ("at_ms", np.dtype(np.int64), "n"),
    ("log_ms", np.dtype(np.int64), "n"),
    ("rule", np.dtype(np.int64), "n"),
    ("channel", np.dtype(np.int64), "n"),
    ("of_position", np.dtype(np.int64), "n"),
    ("facts", np.dtype(np.int64), "facts"),
    ("row", np.dtype(np.int32), "n"),
    ("of_row", np.dtype(np.int32), "n"),
    ("detail", np.dtype(np.int32), "n"),
    ("probability", np.dtype(np.float32), "n"),
    ("fact_start", np.dtype(np.int32), "n+1"),
    ("kind", np.dtype(np.uint8), "n"),
    ("arm", np.dtype(np.uint8), "n"),
    ("outcome", np.dtype(np.uint8), "n"),
    ("gate", np.dtype(np.uint8), "n"),
    ("facts_known", np.dtype(np.uint8), "facts"),
)
_FACTS = ("facts", "facts_known")
_LAYOUT_1: tuple[tuple[str, np.dtype[Any], str], ...] = (
    ("subscriber", np.dtype(np.int64), "n"),
    ("at_ms", np.dtype(np.int64), "n"),
    ("facts", np.dtype(np.int64), "facts"),
    ("row", np.dtype(np.int32), "n"),
    ("rule", np.dtype(np.int32), "n"),
    ("channel", np.dtype(np.int32), "n"),
    ("detail", np.dtype(np.int32), "n"),
    ("fact_start", np.dtype(np.int32), "n+1"),
    ("outcome", np.dtype(np.uint8), "n"),
    ("gate", np.dtype(np.uint8), "n"),
    ("facts_known", np.dtype(np.uint8), "facts"),
)


def decode(data: bytes | memoryview) -> DecisionBatch:
    """Read a batch from bytes; ValueError when they are not one, NewerFormatError when a newer release wrote them."""
    if len(data) < _HEADER.size:
        raise ValueError(f"decision batch length={len(data)} must be >= {_HEADER.size}")
    begin, position, append_ms, book, n, facts = _HEADER.unpack_from(data)
    version = format_of(_MAGIC, begin)
    if not version:
        raise ValueError(f"decision batch magic={begin!r} must be {magic(_MAGIC)!r}")
    if n < 0 or facts < 0 or position < 0:
        raise ValueError(f"decision batch position={position} records={n} facts={facts} must be >= 0")
    counts = {"n": n, "n+1": n + 1, "facts": facts}
    at = _HEADER.size
    texts_count = 0
    if version > 1:
        texts_count, _ = _TEXTS.unpack_from(data, at)
        at += _TEXTS.size
    columns: dict[str, Any] = {}
    for name, dtype, size in _LAYOUT if version > 1 else _LAYOUT_1:
        columns[name] = np.frombuffer(data, dtype, counts[size], at)
        at += counts[size] * dtype.itemsize
    starts = columns["fact_start"]
    if starts[0] != 0 or starts[-1] != facts or np.any(np.diff(starts) < 0):
        raise ValueError(f"decision batch facts={facts} must be shared out among {n} records")
    if version == 1:
        columns |= _defaults(n, append_ms)
        columns |= {name: columns[name].astype(np.int64) for name in ("rule", "channel")}
    texts = decode_texts(data[at:], texts_count) if texts_count else NO_TEXTS
    name = book.rstrip(b"\0").decode()
    tells_next = not n and not name and len(data) - at == _NEXT.size
    next_ms = _NEXT.unpack_from(data, at)[0] if tells_next else NEVER_MS
    return DecisionBatch(position=position, append_ms=append_ms, book=name, texts=texts, next_ms=next_ms, **columns)


def _defaults(n: int, append_ms: int) -> dict[str, NDArray[Any]]:
    """Return what a batch of format 1 lacks."""
    return {
        "kind": np.zeros(n, np.uint8),
        "log_ms": np.full(n, append_ms, np.int64),
        "of_position": np.zeros(n, np.int64),
        "of_row": np.zeros(n, np.int32),
        "arm": np.zeros(n, np.uint8),
        "probability": np.zeros(n, np.float32),
    }


def activation(position: int, append_ms: int, book: str) -> DecisionBatch:
    """Return the batch that says that a book became the active one."""
    shapes = {"n": 0, "n+1": 1, "facts": 0}
    columns: dict[str, Any] = {name: np.zeros(shapes[size], dtype) for name, dtype, size in _LAYOUT}
    return DecisionBatch(position=position, append_ms=append_ms, book=book, **columns)


def moment(position: int, at_ms: int) -> DecisionBatch:
    """Return the batch that says that time has come to `at_ms`."""
    return activation(position, at_ms, "")


def merged(first: DecisionBatch, second: DecisionBatch) -> DecisionBatch:
    """Return the records of both in the order of their rows, of one row those of `first` before; of one frame."""
    order = np.argsort(np.concatenate([first.row, second.row]), kind="stable")
    starts = np.concatenate([first.fact_start[:-1], second.fact_start[:-1] + len(first.facts)])
    lengths = np.concatenate([np.diff(first.fact_start), np.diff(second.fact_start)])[order]
    fact_start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    # The place of each fact in the two lists, one after the other: its record's start there, plus its index within.
    place = np.repeat(starts[order] - fact_start[:-1], lengths) + np.arange(fact_start[-1])
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])[order]
        for name, _, size in _LAYOUT
        if size == "n"
    }
    facts: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])[place] for name in _FACTS
    }
    return DecisionBatch(
        position=first.position,
        append_ms=first.append_ms,
        book=first.book,
        fact_start=fact_start,
        texts=joined([first.texts, second.texts]),
        **columns,
        **facts,
    )


ID_CHARS_MAX = 80
PARSED_MAX = 1 << 14
"""Ids that are remembered: one is read four times on its way from dispatch back into the log."""


def decision_id(partition: int, position: int, row: int, rule: int) -> str:
    """Return the id of a decision as text: partition-position-row-rule, the rule in hex."""
    return f"{partition}-{position}-{row}-{rule:x}"


@lru_cache(maxsize=PARSED_MAX)
def parse_decision_id(text: str) -> tuple[int, int, int, int]:
    """Return (partition, position, row, rule) of a decision id; ValueError when it is not one, as we write it."""
    parts = text.split("-")
    if len(parts) == 4 and len(text) <= ID_CHARS_MAX:
        numbers = int(parts[0]), int(parts[1]), int(parts[2]), int(parts[3], 16)
        if decision_id(*numbers) == text and max(numbers) < 1 << 63:
            return numbers
    raise ValueError(f"decision id={text[:ID_CHARS_MAX]!r} must be partition-position-row-rule")
