"""The deadlines of a partition that have come, as rows `due` for its log.

    hints of every timer ─► what is due by now, in the order of log times ─► rows `due`, so many at a time

A row says which rule, when it was armed, and for which key; its own time is the deadline. It is a hint too: the fold
asks the cell, and a row that stands there twice, or comes too late, does nothing. So what is pending here may be lost
at any moment, and is found again from the columns.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook
from rules.model import Feature
from state.batch import Batch, empty
from state.columns import Key, Table
from state.features import FeatureSpec
from state.schema import DUE, DUE_ARMED, DUE_KEY, DUE_NUMBER, DUE_RULE, Kind
from state.sleeping_timers import SleepingTimers
from state.texts import NO_TEXTS
from state.timer_hints import Found, Int64s, TimerHints

NONE_MS = 1 << 62
"""When the first deadline is, where there is none."""
_FIELDS = 6


class Deadlines:
    """What is armed and due in one partition; belongs to the fold thread, but for `next_ms` and `refused`.

    Args:
        table: the partition's subscribers.
        lateness_ms: how long a deadline waits for events that come late.
        step_ms: 1 where rows are due when the clock has come to them; on the events' own clock, its steps.
    """

    def __init__(self, table: Table, lateness_ms: int = 0, step_ms: int = 1) -> None:
        self._table = table
        self._lateness_ms = lateness_ms
        self._step_ms = step_ms
        self._compiled: CompiledBook | None = None
        self._hints: list[TimerHints] = []
        self._keys: list[Key] = []
        self._timers: list[tuple[int, int]] = []
        self._pending: Int64s = np.empty((_FIELDS, 0), np.int64)
        self._refused_before = 0
        self.fired = 0
        """Rows `due` since the start that found their deadline open, in redo too."""
        self.sleeping: SleepingTimers | None = None
        """The deadlines of subscribers that sleep, where there is a store for them."""
        self.next_ms = NONE_MS
        """The log time before which no row `due` comes; it may be earlier than the first one."""

    def follow(
        self, compiled: CompiledBook, arrays: Sequence[Sequence[NDArray[Any]]], key_of: Callable[[Feature], Key]
    ) -> list[int]:
        """Take the timers of a book; return the addresses of their hints by feature, 0 for one that is no timer.

        `arrays` are the columns of each feature, `key_of` says their key. What is armed is noted from the columns, but
        for timers that stay as they are: their hints go on, whatever else changes, and wherever columns move.
        """
        features = compiled.book.features
        self._compiled = compiled
        specs = [(index, plan.spec) for index, plan in enumerate(compiled.plans) if plan.timer is not None]
        self._timers = [(index, _key_slot(compiled, index)) for index, _ in specs]
        keys = [key_of(features[index]) for index, _ in specs]
        self._change(keys, [(spec, arrays[index][0]) for index, spec in specs])
        if self.sleeping is not None:
            self.sleeping.lateness_ms = self._lateness_ms
            self.sleeping.follow(
                [(_number(key), spec, arrays[at][0]) for key, (at, spec) in zip(keys, specs, strict=True)]
            )
        self.moved()
        addresses = dict(zip((index for index, _ in specs), (one.address for one in self._hints), strict=True))
        return [addresses.get(index, 0) for index in range(len(compiled.plans))]

    def _change(self, keys: list[Key], columns: list[tuple[FeatureSpec, Int64s]]) -> None:
        """Take other timers, each with its key and column; those that stay keep their hints, and what is pending."""
        before = {key: number for number, key in enumerate(self._keys)}
        stay = np.full(len(self._hints), -1)
        hints = []
        for number, (key, (spec, column)) in enumerate(zip(keys, columns, strict=True)):
            known = before.get(key, -1)
            if known >= 0 and self._hints[known].goes_on(spec, column):
                stay[known] = number
                hints.append(self._hints[known])
            else:
                hints.append(self._made(spec, column))
                hints[-1].note_all(self._table.top)
        self._refused_before += sum(one.refused for one, to in zip(self._hints, stay, strict=True) if to < 0)
        whose = stay[self._pending[2]]
        self._pending = self._pending[:, whose >= 0]
        self._pending[2] = whose[whose >= 0]
        self._keys, self._hints = keys, hints

    def _made(self, spec: FeatureSpec, column: Int64s) -> TimerHints:
        return TimerHints(spec, column, self._lateness_ms, self._step_ms)

    @property
    def refused(self) -> int:
        """How many deadlines were not armed, because all places of their subscriber were taken."""
        return self._refused_before + sum(one.refused for one in self._hints)

    def folded(self, batch: Batch, known: NDArray[np.uint8]) -> None:
        """Take rows that were folded; `known` uint8[features, rows] says which deadlines have fired."""
        if self._timers:
            due = np.flatnonzero(batch.type == batch.schema.code(DUE.name))
            if due.shape[0]:
                self.fired += int(sum(known[index, due].sum() for index, _ in self._timers))
            self.moved()

    @property
    def hint_bytes(self) -> int:
        """Memory of the hints of all timers."""
        return sum(one.bytes for one in self._hints)

    def note_all(self) -> None:
        """Learn of everything that is armed in memory."""
        for one in self._hints:
            one.note_all(self._table.top)
        self.moved()

    def note(self, slots: NDArray[np.int32]) -> None:
        """Learn of what is armed for subscribers that woke up in `slots`."""
        for one in self._hints:
            one.note(slots)

    def moved(self) -> None:
        """Say when the next row is due, after rows were folded."""
        if self._hints:
            pending = int(self._pending[0, 0]) if self._pending.shape[1] else NONE_MS
            asleep = self.sleeping.next_ms if self.sleeping is not None else NONE_MS
            self.next_ms = min(pending, asleep, *(one.next_ms for one in self._hints))
        else:
            self.next_ms = NONE_MS

    def look(self, until_ms: int) -> int:
        """Find what is due by a log time; return the log time of the first row, `NONE_MS` where none is due by then."""
        if self.next_ms > until_ms:
            return NONE_MS
        pieces = [self._pending]
        for number, one in enumerate(self._hints):
            pieces += [self._rows_of(number, found) for found in one.find(until_ms)]
        if len(pieces) > 1:
            joined = np.concatenate(pieces, axis=1)
            joined = joined[:, np.lexsort(joined[::-1])]
            # Who went to sleep and woke is found again, with what is pending already.
            again = (joined[:, 1:] == joined[:, :-1]).all(axis=0)
            self._pending = joined[:, np.concatenate([[True], ~again])[: joined.shape[1]]]
        self.moved()
        first_ms = int(self._pending[0, 0]) if self._pending.shape[1] else NONE_MS
        return first_ms if first_ms <= until_ms else NONE_MS

    def _rows_of(self, number: int, found: Found) -> Int64s:
        """Return place, subscriber, timer, deadline, key and time of arming, int64[6, n]."""
        whose = np.full(found.place.shape[0], number)
        return np.stack([found.place, self._table.subs[found.slot], whose, found.deadline, found.key, found.armed])

    def take(self, until_ms: int, rows_max: int) -> Batch | None:
        """Return the first rows that are due by a log time, which is theirs; None where there is none."""
        if self.look(until_ms) > until_ms or self._compiled is None:
            return None
        count = min(int(np.searchsorted(self._pending[0], until_ms, "right")), rows_max)
        rows, self._pending = self._pending[:, :count], self._pending[:, count:]
        self.moved()
        return self._batch(self._compiled, rows)

    def _batch(self, compiled: CompiledBook, rows: Int64s) -> Batch:
        book = compiled.book
        batch = empty(book.schema, rows.shape[1])
        place, batch.subscriber[:], whose, batch.at_ms[:], keys, armed = rows
        batch.log_ms[:] = place
        batch.type[:] = book.schema.code(DUE.name)
        batch.cells[DUE_RULE] = np.array([compiled.plans[index].spec.own for index, _ in self._timers])[whose]
        batch.cells[DUE_ARMED] = armed
        batch.present[:] = 1 << DUE_RULE | 1 << DUE_ARMED
        slots = np.array([slot for _, slot in self._timers])[whose]
        for slot in (DUE_KEY, DUE_NUMBER):
            some = slots == slot
            batch.cells[slot, some] = keys[some]
            batch.present[some] |= 1 << slot
        named = np.unique(batch.cells[DUE_KEY, slots == DUE_KEY])
        batch.texts = self._table.texts.pick(named, NO_TEXTS) if named.shape[0] else NO_TEXTS
        return batch


def _number(key: Key) -> int:
    """Return the number by which marks name a timer whose column has this key."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "big")


def _key_slot(compiled: CompiledBook, index: int) -> int:
    """Return the slot in which a row `due` has the key of a timer, -1 where it has none."""
    feature = compiled.book.features[index]
    if feature.source_slot < 0:
        return -1
    kind = compiled.book.schema.types[feature.source_type].fields[feature.source_slot].kind
    return DUE_KEY if kind == Kind.STRING else DUE_NUMBER
