"""Deadlines: each that is armed ends exactly once, at its own time, and none is overdue at rest.

What every row of the log must do to the deadlines of its subscriber is said by the model of the oracle, from the rows
alone. A record of a deadline's rule must stand where that model fires, and nowhere else. Two promises are held without
the model, too: that no deadline comes before its time, and that none fires after an event that ends it.
"""

from collections import Counter, defaultdict
from typing import Any, NamedTuple

from engine.book.compiled import CompiledBook
from rules.model import Timer
from rules.timers import feature_name
from state.batch import Batch
from state.schema import DUE, DUE_RULE
from tests.oracle.clock import Zone
from tests.oracle.deadlines import Deadlines, deadline_ms
from tests.simulation.books import TIMERS, ZONE, Fields
from tests.simulation.judges.holding import hold


class Cell(NamedTuple):
    """Whose deadlines: a subscriber's of a rule."""

    subscriber: int
    rule: str


class DeadlineJudge:
    """All deadlines of a world.

    Args:
        lateness_ms: how long each waits for late events.
    """

    def __init__(self, lateness_ms: int, counted: Counter[str]) -> None:
        self._lateness_ms = lateness_ms
        self._counted = counted
        self._cells: dict[Cell, Deadlines] = {}
        self._armed: dict[tuple[Cell, Any, int], tuple[int, int]] = {}
        """By key and time of what armed last: the number of its row in the order of the log, and the engine's life."""
        self._ended: dict[tuple[Cell, Any], list[tuple[int, int]]] = defaultdict(list)
        """By key: numbers of the rows that end, and their times."""
        self._timers: dict[str, Timer] = {}
        self._number = 0
        self.life = 0

    def fired(self, batch: Batch, row: int, fields: Fields, compiled: CompiledBook) -> set[int]:
        """Take a row of the log; return the rules whose deadlines have come with it, as stable ids."""
        self._number += 1
        kind = batch.schema.types[int(batch.type[row])]
        subscriber, at_ms = int(batch.subscriber[row]), int(batch.at_ms[row])
        found = set()
        for rule, plain in TIMERS.items():
            ends, arms = kind.name == plain.unless, kind.name == plain.after
            if not (ends or arms or kind.name == DUE.name):
                continue
            cell = Cell(subscriber, rule)
            feature = compiled.book.features[compiled.book.feature_index(feature_name(rule))]
            assert feature.timer is not None
            timer = self._timers[rule] = feature.timer
            model = self._cells.get(cell) or self._cells.setdefault(cell, Deadlines(feature, Zone(ZONE)))
            key = self._key(batch, row, plain.key) if plain.key else None
            known = not plain.key or key is not None
            if ends and known and plain.ends(fields):
                model.ends(timer, at_ms, key)
                self._ended[cell, key].append((self._number, at_ms))
            if arms and known and plain.arms(fields):
                model.arms(timer, at_ms, key)
                self._armed[cell, key, max(at_ms, 1)] = self._number, self.life
                self._counted["an event arms a deadline"] += 1
            is_due = kind.name == DUE.name and int(batch.cells[DUE_RULE, row]) == timer.number
            if is_due and self._comes(model, timer, cell, key, batch, row):
                found.add(timer.number)
        return found

    def _comes(self, model: Deadlines, timer: Timer, cell: Cell, key: Any, batch: Batch, row: int) -> bool:
        """Take a row `due`; return whether its deadline fires."""
        at_ms = int(batch.at_ms[row])
        earliest_ms = at_ms + self._lateness_ms
        hold(
            batch.log_ms[row] >= earliest_ms, "no deadline comes before its time", f"{cell} {batch.log_ms[row]} {at_ms}"
        )
        open_ms = [one.at_ms for one in model.of(key) if one.state == "open" and deadline_ms(timer, one.at_ms) == at_ms]
        if not model.fires(timer, at_ms, key):
            self._counted["a row of a deadline changed nothing"] += 1
            return False
        self._counted["a deadline fired"] += 1
        armed_ms = open_ms[0]  # a row that was found before another event armed again, for the same second, names that
        since, life = self._armed[cell, key, armed_ms]
        self._counted["a deadline fired in a later life than it was armed"] += life < self.life
        ended = [end for number, end in self._ended[cell, key] if number > since and armed_ms <= end < at_ms]
        hold(not ended, "what was ended does not fire", f"{cell} armed {armed_ms} due {at_ms} ended {ended[:3]}")
        return True

    def _key(self, batch: Batch, row: int, field: str) -> int | None:
        """Return the key in a row: that of an event, or of the deadline."""
        kind = batch.schema.types[int(batch.type[row])]
        slot = kind.slots.get("text" if kind.name == DUE.name else field)
        if slot is None or not int(batch.present[row]) >> slot & 1:
            return None
        return int(batch.cells[slot, row])

    def overdue(self, now_ms: int) -> list[str]:
        """Return the deadlines that should have come by a time."""
        found = []
        for cell, model in self._cells.items():
            due = [at_ms for at_ms, _ in model.open(self._timers[cell.rule]) if at_ms + self._lateness_ms <= now_ms]
            found += [f"{cell.rule} of {cell.subscriber} at {at_ms}" for at_ms in due]
        return found
