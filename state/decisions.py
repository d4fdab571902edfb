"""Decision records: one for every candidate, whether it was decided or stopped.

The decider emits one `DecisionBatch` a frame; the journal stores its bytes; dispatch, `opportune decisions` and
`opportune why` read them. The id of a decision is (partition, position, row, rule), the same in every replay.

Columns are packed as they stand: candidates are about one event in a hundred, so simplicity wins over size.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.formats import known, magic

_HEADER = struct.Struct("<4sqq16sii")
_MAGIC = b"DEC"


class Outcome(IntEnum):
    """What became of a candidate in the decider."""

    DECIDED = 0
    SUPPRESSED = 1


class OutcomeState(IntEnum):
    """What an `outcome` event tells the decider about a decision it made earlier."""

    COMMITTED = 1  # the gateway accepted it, or the clerk saw it
    REFUNDED = 2  # it certainly did not reach anybody: the caps get their place back
    DELIVERED = 3
    UNDELIVERED = 4
    UNKNOWN = 5  # nobody can say; the caps keep their place


@dataclass(slots=True)
class DecisionBatch:
    """Records of one frame, in the order (row, priority).

    Shapes: `row`, `rule` (stable id), `channel` (stable id, 0 none), `detail` int32[m]; `subscriber`, `at_ms` int64[m];
    `outcome`, `gate` uint8[m]; `fact_start` int32[m + 1]; `facts` int64 cells, `facts_known` uint8, one per fact.
    """

    position: int
    append_ms: int
    book: str
    row: NDArray[np.int32]
    rule: NDArray[np.int32]
    channel: NDArray[np.int32]
    detail: NDArray[np.int32]
    subscriber: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    outcome: NDArray[np.uint8]
    gate: NDArray[np.uint8]
    fact_start: NDArray[np.int32]
    facts: NDArray[np.int64]
    facts_known: NDArray[np.uint8]

    @property
    def n(self) -> int:
        """Number of records."""
        return int(self.row.shape[0])

    def encode(self) -> bytes:
        """Return the batch as bytes; `decode` is the inverse."""
        head = _HEADER.pack(magic(_MAGIC), self.position, self.append_ms, self.book.encode(), self.n, len(self.facts))
        return head + b"".join(getattr(self, name).tobytes() for name, _, _ in _LAYOUT)


_LAYOUT = (
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
    if not known(_MAGIC, begin):
        raise ValueError(f"decision batch magic={begin!r} must be {magic(_MAGIC)!r}")
    if n < 0 or facts < 0 or position < 0:
        raise ValueError(f"decision batch position={position} records={n} facts={facts} must be >= 0")
    counts = {"n": n, "n+1": n + 1, "facts": facts}
    at = _HEADER.size
    columns: dict[str, NDArray[Any]] = {}
    for name, dtype, size in _LAYOUT:
        columns[name] = np.frombuffer(data, dtype, counts[size], at)
        at += counts[size] * dtype.itemsize
    starts = columns["fact_start"]
    if starts[0] != 0 or starts[-1] != facts or np.any(np.diff(starts) < 0):
        raise ValueError(f"decision batch facts={facts} must be shared out among {n} records")
    return DecisionBatch(position=position, append_ms=append_ms, book=book.decode(), **columns)


def decision_id(partition: int, position: int, row: int, rule: int) -> str:
    """Return the id of a decision as text: partition-position-row-rule, the rule in hex."""
    return f"{partition}-{position}-{row}-{rule:x}"


def parse_decision_id(text: str) -> tuple[int, int, int, int]:
    """Return (partition, position, row, rule) of a decision id; ValueError when it is not one."""
    parts = text.split("-")
    if len(parts) != 4:
        raise ValueError(f"decision id={text!r} must be partition-position-row-rule")
    return int(parts[0]), int(parts[1]), int(parts[2]), int(parts[3], 16)
