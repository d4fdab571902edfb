"""Memory holds as many subscribers as it is for, and the fold follows columns that move."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import orjson

from engine.book.compiled import compile_book
from engine.flow.fold import Fold, FoldLimits, FoldParts
from rules.load import load_text
from state.batch import Row, from_rows
from state.features import ColumnSpec
from state.frame import Frame, FrameKind
from tests.engine.world import BASE_MS, BOOK
from tests.fakes.store import MemoryStore

COMPILED = compile_book(load_text({"book.toml": BOOK}))
MEMORY, ROWS = 600, 100


class Life:
    """A partition's state alone: frames in, records out."""

    def __init__(self) -> None:
        limits = FoldLimits(
            slots=MEMORY + 2 * ROWS, memory_subscribers=MEMORY, contacts_max=16, batch_rows_max=ROWS,
            dedupe_window_ms=1000, dedupe_ids_max=1000,
        )  # fmt: skip
        parts = FoldParts(0, limits, MemoryStore(), {COMPILED.book.version: COMPILED}.__getitem__)
        self.fold = Fold(parts, cast("Any", None), SimpleNamespace(reached=-1))
        self.table = self.fold.table
        self.position = -1
        self._apply(Frame(FrameKind.ACTIVATION, BASE_MS, payload=orjson.dumps({"version": COMPILED.book.version})))

    def calls(self, subscribers: range) -> list[int]:
        """Fold a frame with a long call of each; return what `long_calls` was for each candidate."""
        rows = [Row("call", one, BASE_MS, {"kind": "long", "seconds": 1}) for one in subscribers]
        decisions = self._apply(Frame(FrameKind.EVENTS, BASE_MS, from_rows(COMPILED.book.schema, rows)))
        rule = next(one for one in COMPILED.book.rules if one.id == "long-care")
        fact = [operand.name for operand in rule.facts].index("long_calls")
        chosen = np.flatnonzero(decisions.rule == rule.stable_id)
        return [int(decisions.facts[decisions.fact_start[i] + fact]) for i in chosen.tolist()]

    def _apply(self, frame: Frame) -> Any:
        self.position += 1
        return self.fold.apply(self.position, frame)


def test_nobody_is_put_to_sleep_while_all_fit_into_memory() -> None:
    life = Life()
    for _ in range(3):
        for start in range(1, MEMORY, ROWS):
            life.calls(range(start, start + ROWS))

    assert life.table.count == MEMORY
    assert life.fold.flusher.sleeping == 0


def test_with_ever_new_subscribers_memory_stays_within_a_frame_of_its_bound_and_nothing_is_forgotten() -> None:
    life = Life()
    for start in range(1, 4 * MEMORY, ROWS):
        life.calls(range(start, start + ROWS))
        assert life.table.count <= MEMORY + ROWS

    assert life.table.count + life.fold.flusher.sleeping == 4 * MEMORY
    assert life.calls(range(1, ROWS + 1)) == [2] * ROWS


def test_a_column_that_is_widened_while_it_serves_is_counted_on() -> None:
    life = Life()
    life.calls(range(1, ROWS + 1))
    feature = next(one for one in COMPILED.book.features if one.name == "long_calls")
    key = next(key for key in life.table.keys() if key[0] == feature.fingerprint)  # noqa: SIM118 a method of Table
    (before,) = life.table.columns(key)
    life.table.ensure(key, [ColumnSpec(before.dtype.str, before.shape[1] + 2)])
    before[:] = 77

    (after,) = life.table.columns(key)
    assert after.shape[1] == before.shape[1] + 2
    assert life.calls(range(1, ROWS + 1)) == [2] * ROWS
