"""Kinds that keep exact times: last, previous, since. Their window, and the loop that they share.

Their events are ordered by event time; of two at the same millisecond the later row counts as the later. Time 0 marks
an empty row, so an event before 1970 counts as of its first millisecond.

A kind brings a step, a `part` that takes one row in:

    known, value = step(address, now, updates, cell_at, mode, window_ms, transitions)

`address` is the subscriber's row of the column, `now` the event's time, at least 1, `updates` whether the event is
applied, `cell_at` the address of its cell, to be read only then; the rest says what the window is (see `within`).
"""

from collections.abc import Callable

from state.features.rows import AHEAD, view_of
from state.features.spec import BASE, EVER, FIXED, LOCAL, MODE, MONTH, WINDOW_MS, FeatureSpec, Loop
from state.jit import part, routine
from state.raw import load_i32, load_i64, load_u8, prefetch, store_i64, store_u8
from state.zone import Transitions, local_day, local_month

Step = Callable[[int, int, bool, int, int, int, Transitions], tuple[bool, int]]

_MODES = {"ever": EVER, "rolling": FIXED, "day": LOCAL, "month": MONTH}


def mode_of(spec: FeatureSpec) -> int:
    """Return the number by which kernels know the window of `spec`."""
    return _MODES[spec.window]


@routine
def within(at: int, now: int, mode: int, window_ms: int, transitions: Transitions) -> bool:
    """Tell whether the event at `at` lies in the window that ends at `now`."""
    if mode == EVER:
        return True
    if mode == FIXED:
        return now - at < window_ms
    if mode == LOCAL:
        return local_day(at, transitions) == local_day(now, transitions)
    return local_month(at, transitions) == local_month(now, transitions)


def fold_moments(step: Step, row_bytes: int) -> Loop:
    """Return the loop that folds rows with `step`, over a column of `row_bytes` a subscriber."""

    @part
    def fold(feature: int, view: int, transitions: Transitions) -> None:
        base, mode, window_ms = load_i64(feature + BASE), load_i64(feature + MODE), load_i64(feature + WINDOW_MS)
        slots_at, rows_at, n, updates_at, times_at, cells_at, out_at, known_at = view_of(view)
        for i in range(n):
            if i + AHEAD < n:
                prefetch(base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * row_bytes)
            row = load_i32(rows_at + 4 * i)
            slot = load_i32(slots_at + 4 * row)
            store_i64(out_at + 8 * row, 0)
            store_u8(known_at + row, 0)
            if slot < 0:
                continue
            now = max(load_i64(times_at + 8 * row), 1)
            updates = load_u8(updates_at + row) != 0
            cell_at = cells_at + 8 * row
            known, value = step(base + slot * row_bytes, now, updates, cell_at, mode, window_ms, transitions)
            if known:
                store_i64(out_at + 8 * row, value)
                store_u8(known_at + row, 1)

    return fold
