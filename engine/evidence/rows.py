"""Records with their effects as named columns: what `opportune export` writes, a block at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.answers.records import facts_of_each
from engine.evidence.effects import End, Window
from engine.evidence.joined import Block, Joined
from engine.evidence.tally import HELD_OUT, Seat, seat_of
from rules.gates import word_of
from rules.model import Book
from state.decisions import Outcome, RecordKind, decision_id
from state.texts import Lookup

Column = Sequence[Any] | NDArray[Any]
NUMBERS = ("partition", "position", "row", "subscriber", "conversions")
TIMES = ("at", "logged", "sent", "delivered", "answered", "converted")
"""Columns of times, null for never."""
AMOUNTS = ("probability", "value")
COLUMNS = (
    "id", "kind", "of", "partition", "position", "row", "at", "logged", "subscriber", "rule", "campaign", "offer",
    "book", "outcome", "gate", "channel", "arm", "probability", "facts", "ends", "sent", "delivered", "gateway",
    "error", "answered", "answer", "note", "terminal", "hall", "city", "clerk", "goal", "goal_window", "converted",
    "conversions", "value",
)  # fmt: skip
"""In the order in which they are written."""


class Rows:
    """Makes columns of blocks.

    Args:
        joined: the join.
        texts: those of records of format 1.
        seats: who and what is at a terminal, see `tally.Keys`.
        book_of: finds a book by its version.
        facts: whether what each rule read is written.
    """

    def __init__(
        self, joined: Joined, texts: Lookup, seats: Mapping[str, Seat], book_of: Callable[[str], Book], *, facts: bool
    ) -> None:
        self._joined = joined
        self._texts = texts
        self._seats = seats
        self._book_of = book_of
        self._facts = facts

    def columns(self, block: Block) -> dict[str, Column]:
        """Return the columns of a block, in the order of `COLUMNS`; times are int64 with 0 for never."""
        found = {**self._named(block), **self._of_records(block), **self._of_effects(block)}
        return {name: found[name] for name in COLUMNS}

    def _named(self, block: Block) -> dict[str, Column]:
        rules, channels = self._joined.meanings.rules, self._joined.meanings.channels
        number = block.rule_number
        goals = ["" if one.goal < 0 else self._joined.goals[one.goal].name for one in rules]
        named = {
            what: _spelt([getattr(one, what) for one in rules], number)
            for what in ("rule", "campaign", "offer", "book")
        }
        return {
            **named,
            "channel": _spelt([one.name for one in channels], block.channel_number),
            "goal": _spelt(goals, np.where(block.made, number, -1)),
        }

    def _of_records(self, block: Block) -> dict[str, Column]:
        columns = block.columns
        meanings = self._joined.meanings
        arms = meanings.arms_of(block.rule_number, columns["arm"])
        return {
            "id": _ids(columns["partition"], columns["position"], columns["row"], columns["rule"]),
            "of": [
                name if kind != RecordKind.DECISION else None
                for name, kind in zip(
                    _ids(columns["partition"], columns["of_position"], columns["of_row"], columns["rule"]),
                    columns["kind"].tolist(),
                    strict=True,
                )
            ],
            "kind": _spelt([one.name.lower() for one in RecordKind], columns["kind"]),
            "outcome": _spelt([one.name.lower() for one in Outcome], columns["outcome"]),
            "gate": _spelt([word_of(code) or "" for code in _codes(columns["gate"])], _places(columns["gate"])),
            "arm": _spelt([*meanings.arms, HELD_OUT], np.where(block.left_out, len(meanings.arms), arms)),
            "facts": self._facts_of(block),
            "at": columns["at_ms"],
            "logged": columns["log_ms"],
            "probability": columns["probability"],
            **{name: columns[name] for name in ("partition", "position", "row", "subscriber")},
        }

    def _of_effects(self, block: Block) -> dict[str, Column]:
        effects, texts = block.effects, self._joined.words.texts
        terminals = effects["terminal"]
        seats = {code: seat_of(texts[code], self._seats) for code in np.unique(terminals).tolist()}
        return {
            **{name: _spelt(texts, effects[name]) for name in ("gateway", "error", "answer", "note", "terminal")},
            **{
                name: [getattr(seats[code], name) or None for code in terminals.tolist()]
                for name in ("hall", "city", "clerk")
            },
            **{name: effects[f"{name}_ms"] for name in ("sent", "delivered", "answered", "converted")},
            "ends": [_ends(one) for one in effects["ends"].tolist()],
            "goal_window": _spelt(["", *(one.name.lower() for one in Window if one)], effects["window"]),
            "conversions": effects["conversions"],
            "value": effects["value"],
        }

    def _facts_of(self, block: Block) -> Column:
        if not self._facts:
            return [None] * block.n
        found: list[str | None] = []
        for _, batch in block.batches:
            texts: list[str | None] = [None] * batch.n
            records = np.flatnonzero(batch.kind == RecordKind.DECISION)
            each = facts_of_each(batch, records, self._book_of(batch.book), self._texts)
            for record, facts in zip(records.tolist(), each, strict=True):
                texts[record] = orjson.dumps(facts).decode()
            found += texts
        return found


def plain_rows(columns: Mapping[str, Column]) -> Iterator[dict[str, Any]]:
    """Yield the rows of columns as plain data; times as texts in UTC."""
    ready = [_time_texts(column) if name in TIMES else _plain(column) for name, column in columns.items()]
    names = tuple(columns)
    return (dict(zip(names, row, strict=True)) for row in zip(*ready, strict=True))


def time_text(time_ms: int) -> str | None:
    """Return a time in UTC to the millisecond, None for never."""
    if not time_ms:
        return None
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time_texts(column: Column) -> Column:
    return [time_text(one) for one in np.asarray(column).tolist()]


def _plain(column: Column) -> Column:
    return column.tolist() if isinstance(column, np.ndarray) else column


def _ids(
    partition: NDArray[np.int64], position: NDArray[np.int64], row: NDArray[np.int32], rule: NDArray[np.int64]
) -> list[str]:
    parts = zip(partition.tolist(), position.tolist(), row.tolist(), rule.tolist(), strict=True)
    return [decision_id(*one) for one in parts]


def _spelt(texts: Sequence[str], codes: NDArray[Any]) -> list[str | None]:
    """Return the texts of codes; None for an empty one, and for a code below 0."""
    return [(texts[code] or None) if code >= 0 else None for code in codes.tolist()]


def _codes(column: NDArray[np.uint8]) -> list[int]:
    found: list[int] = np.unique(column).tolist()
    return found


def _places(column: NDArray[np.uint8]) -> NDArray[np.intp]:
    return np.unique(column, return_inverse=True)[1].reshape(-1)


_WORDS = {one: str(one.name).lower() for one in End}
_ENDS = tuple(one for one in End if one != End.HELD_OUT)
_SPELT_ENDS: dict[int, str | None] = {}


def _ends(bits: int) -> str | None:
    """Return the words of what was said, as sent+delivered; None for nothing."""
    if bits not in _SPELT_ENDS:
        _SPELT_ENDS[bits] = "+".join(_WORDS[one] for one in _ENDS if bits & one) or None
    return _SPELT_ENDS[bits]
