"""A decider, and its subscribers, with a clock in the hands of the test."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engine.book.compiled import compile_book
from engine.flow.decider import Decider
from rules.load import load_text
from state.batch import Row, Value, from_rows
from state.columns import Table
from state.contacts import Contacts
from state.decisions import DecisionBatch, OutcomeState, RecordKind

WHO = 8613800000001
NOON_MS = 1_226_289_600_000  # 2008-11-10 12:00 in Shanghai
SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000


class Made(NamedTuple):
    """A decision by name, and its rule."""

    position: int
    row: int
    rule: int
    name: str


class Deciding:
    """Takes rows one frame each, at a log time; remembers every record."""

    def __init__(self, book: str, contacts_max: int = 24) -> None:
        self.book = load_text({"book.toml": book})
        self.table = Table(64)
        self.contacts = Contacts(self.table.capacity, contacts_max)
        self.decider = Decider(self.table, self.contacts, 64)
        self.decider.activate(compile_book(self.book), 0)
        self.position = 0

    def reload(self, book: str) -> None:
        """Go over to another book."""
        self.position += 1
        self.book = load_text({"book.toml": book}, self.book)
        self.decider.activate(compile_book(self.book), self.position)

    def take(self, log_ms: int, *rows: Row) -> DecisionBatch | None:
        """Fold one frame of rows."""
        return self.take_at([log_ms] * len(rows), *rows)

    def take_at(self, log_ms: Sequence[int], *rows: Row) -> DecisionBatch | None:
        """Fold one frame of rows, each with a log time of its own."""
        self.position += 1
        batch = from_rows(self.decider.schema, rows)
        batch.log_ms[:] = log_ms
        slots = np.empty(batch.n, np.int32)
        self.table.lookup(batch.subscriber, slots, self.position)
        return self.decider.fold(self.position, max(log_ms), batch, np.arange(batch.n, dtype=np.int32), slots)

    def event(self, log_ms: int, kind: str = "e", at_ms: int | None = None, **values: Value) -> list[Made]:
        """Take an event; return what was decided."""
        found = self.take(log_ms, Row(kind, WHO, log_ms if at_ms is None else at_ms, values))
        return self.decided(found)

    def decided(self, found: DecisionBatch | None) -> list[Made]:
        """Return the decisions of a frame."""
        if found is None:
            return []
        return [
            Made(found.position, int(found.row[i]), int(found.rule[i]), self.book.by_stable_id[int(found.rule[i])].id)
            for i in range(found.n)
            if found.kind[i] == RecordKind.DECISION and found.outcome[i] == 0
        ]

    def withdrawn(self, found: DecisionBatch | None) -> list[tuple[int, int, int]]:
        """Return (position, row, rule) of what a frame withdrew."""
        if found is None:
            return []
        some = np.flatnonzero(found.kind == RecordKind.WITHDRAWAL)
        columns = found.of_position[some].tolist(), found.of_row[some].tolist(), found.rule[some].tolist()
        return list(zip(*columns, strict=True))

    def outcome(self, log_ms: int, of: Made, state: OutcomeState, contact_ms: int | None = None) -> None:
        """Take what became of a decision."""
        values: Mapping[str, Value] = {
            "partition": 0, "position": of.position, "row": of.row, "rule": of.rule, "state": int(state),
            **({} if contact_ms is None else {"contact_ms": contact_ms}),
        }  # fmt: skip
        self.take(log_ms, Row("outcome", WHO, log_ms, values))

    def states(self) -> list[int]:
        """Return the states of the contacts that are kept, without their marks."""
        return [one["state"] & 15 for one in self.contacts.of(int(self.table.find(WHO)))]
