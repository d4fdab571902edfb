"""Why a rule did not fire: one subscriber's part of the log, folded again, row by row.

For each event of the rule's type it is said whether the condition held, and where not, which part of it was false or
unknown, with the values that it read; and where it held, what the gates said. The rule is that of the book in force at
the time. State begins empty at the first frame that is kept; nothing is written.

The condition is judged twice: by the kernel, as live, and by `rules.expressions.interpret`, which knows the parts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from engine.answers.records import plain
from engine.flow.fold import FoldLimits
from engine.runtimes.backtest.lane import activation_of
from engine.runtimes.backtest.lane_fold import LaneFold
from engine.runtimes.backtest.recorded import Extent, Recorded, Recording
from rules.expressions.interpret import LocalTime, Row, Value, evaluate
from rules.expressions.tree import And, Expr, Operand, operands
from rules.expressions.written import canonical
from rules.gates import explain, word_of
from rules.model import Book, Rule
from state.batch import Batch
from state.calendar import local_ms
from state.decisions import DecisionBatch, RecordKind
from state.schema import Kind
from state.texts import Chained, Lookup

SLOTS = 64
FOREVER_MS = 1 << 62
NO_ROWS = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a condition that did not hold: its text, false or (None) unknown, and what it read by name."""

    text: str
    truth: bool | None
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Judged:
    """One event of the rule's type: whether the condition held, None for unknown.

    `parts` are those that did not hold. Where it held, `gate` is what stopped the candidate, with its `detail`, or None
    and `channel` is where it was decided. `note` says what else there is to know.
    """

    at_ms: int
    book: str
    truth: bool | None
    parts: tuple[Part, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    gate: str | None = None
    detail: str = ""
    channel: str | None = None
    note: str = ""


class Refold:
    """One subscriber's part of a recording.

    Args:
        recording, extent: what is read.
        subscriber: whose rows.
        partition: where they are.
        limits: of the engine's state; of its sizes only those that change what is decided are used.
    """

    def __init__(
        self, recording: Recording, extent: Extent, subscriber: int, partition: int, limits: FoldLimits
    ) -> None:
        self._recording = recording
        self._extent = extent
        self._subscriber = subscriber
        self._partition = partition
        small = FoldLimits(
            slots=SLOTS,
            memory_subscribers=SLOTS,
            contacts_max=limits.contacts_max,
            batch_rows_max=SLOTS,
            dedupe_window_ms=limits.dedupe_window_ms,
            dedupe_ids_max=limits.dedupe_ids_max,
            events_clock=limits.events_clock,
        )
        self._fold = LaneFold(partition, small, recording.shelf.get)

    def judged(self, rule: int, from_ms: int = 0, to_ms: int = FOREVER_MS) -> Iterator[Judged]:
        """Yield every event of the type of the rule with that stable id, by event time, half open."""
        version = self._extent.books[self._partition]
        if version is not None:
            self._fold.take(self._extent.firsts[self._partition] - 1, activation_of(version, 0), None)
        frames = self._recording.frames(self._extent, [self._partition], FOREVER_MS)
        for one in frames:
            yield from (found for found in self._rows(one, rule) if from_ms <= found.at_ms < to_ms)

    def _rows(self, one: Recorded, number: int) -> Iterator[Judged]:
        """Fold the subscriber's rows of a frame one by one."""
        batch = one.frame.batch
        rows = np.flatnonzero(batch.subscriber == self._subscriber).tolist() if batch is not None else []
        if not rows or batch is None:
            self._fold.take(one.position, one.frame, None if batch is None else np.zeros(batch.n, np.bool_))
        for row in rows:
            keep = np.zeros(batch.n if batch is not None else 0, np.bool_)
            keep[row] = True
            events = self._fold.counts.events
            found = self._fold.take(one.position, one.frame, keep)
            compiled = self._fold.decider.compiled
            rule = compiled.book.rule(number) if compiled is not None else None
            if batch is None or rule is None or compiled is None:
                continue
            if batch.schema.types[batch.type[row]].name == compiled.book.schema.types[rule.on].name:
                taken = self._fold.counts.events > events
                yield self._judge(compiled.book, rule, batch, row, one, found, taken=taken)

    def _judge(
        self, book: Book, rule: Rule, batch: Batch, row: int, one: Recorded, found: DecisionBatch | None, *, taken: bool
    ) -> Judged:
        at_ms = int(batch.at_ms[row])
        if not taken:
            return Judged(at_ms, book.version, None, note="the event came twice, or repeats another; it was not judged")
        if not rule.enabled:
            return Judged(at_ms, book.version, False, note="the rule is switched off in this book")
        texts = Chained(batch.texts, self._fold.table.texts, self._recording.strings)
        values = {name: self._value(operand, batch, row, book, texts) for name, operand in _read(rule.when)}
        plain_row = Row(values, at_ms, one.frame.append_ms)
        local = partial(local_ms, table=book.transitions)
        parts, truth = tuple(_failed(rule.when, plain_row, local)), evaluate(rule.when, plain_row, local)
        record = _record_of(found, rule) if found is not None else None
        if record is None or found is None:
            note = "" if truth is not True else "the kernel says otherwise: please report it"
            return Judged(at_ms, book.version, truth, parts, values, note=note)
        gate, channel = int(found.gate[record]), int(found.channel[record])
        detail = explain(book, rule, gate, int(found.detail[record])) if gate else ""
        name = book.channel_name(channel) if channel else None
        return Judged(at_ms, book.version, True, (), values, word_of(gate), detail, name)

    def _value(self, operand: Operand, batch: Batch, row: int, book: Book, texts: Lookup) -> Value:
        """Return what a name stood for on a row, as the plain evaluator takes it."""
        if operand.source == "feature":
            # The row was folded alone, so it is the first one of the columns that gates look at.
            rows = self._fold.decider.seen(batch, NO_ROWS, NO_ROWS)
            cell = int(rows.outs[operand.index, 0]) if rows.known[operand.index, 0] else None
        else:
            kind = batch.schema.types[batch.type[row]]
            slot = kind.slots.get(book.schema.types[book.schema.code(kind.name)].fields[operand.index].name, -1)
            cell = int(batch.cells[slot, row]) if slot >= 0 and int(batch.present[row]) >> slot & 1 else None
        if cell is None:
            return None
        value: Value = plain(cell, operand.kind, operand.members, texts)
        return f"(a text that is not kept, {cell:x})" if value is None and operand.kind == Kind.STRING else value


def _read(when: Expr) -> Iterator[tuple[str, Operand]]:
    """Yield the names that a condition reads, but for the times of the event."""
    return ((operand.name, operand) for operand in operands(when) if operand.source != "builtin")


def _failed(when: Expr, row: Row, local: LocalTime) -> Iterator[Part]:
    """Yield the parts that must all hold and did not; an `or` is one part."""
    if isinstance(when, And):
        for part in when.parts:
            yield from _failed(part, row, local)
        return
    truth = evaluate(when, row, local)
    if truth is not True:
        yield Part(canonical(when), truth, {name: row.values[name] for name, _ in _read(when)})


def _record_of(found: DecisionBatch, rule: Rule) -> int | None:
    """Return the index of the rule's record among those of one row."""
    rows = np.flatnonzero((found.rule == rule.stable_id) & (found.kind == RecordKind.DECISION))
    return int(rows[0]) if rows.shape[0] else None
