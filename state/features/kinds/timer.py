"""timer: the open deadlines of a rule with `after`: armed by one event, ended by another, or fired by a row `due`.

A row of the column is a few cells. A cell is open (armed at a time, for a key, logged at a time), ended (by an event at
a time) or fired (armed at a time). The deadline is not kept: it is armed + span, rounded up to the second, so nothing
is ever cancelled and a book that changes the span moves what is armed. Everything is judged by the times of events:
what is at or after a deadline neither ends it nor arms it anew, wherever the row `due` stands.

    arms     A timer that starts anew (`for`): an open deadline that the event lies before is taken back, and one is
             opened that begins with the event. Else (`within`, `delay`): where one is open, the event changes nothing.
             An event that is late, and whose deadline another event has already answered, arms nothing.
    ends     Open deadlines that begin at or before the event, and end after it, are ended.
    due      The open deadline of this time and key has fired: the value is true for this row, and for no other.

What has ended or fired keeps its cell until another needs it, so that late events find it. Where every cell is open,
one more deadline is not armed; it is counted in the hints (`state.timer_hints`).

A rule brings such a feature along: no book declares one.
"""

from state.features.rows import AHEAD, DUE_KEYS, DUE_RULES, LOGS, OTHER_CELLS, view_of
from state.features.spec import BASE, HINTS, MODE, OWN, STRIDE, WINDOW_MS, ColumnSpec, FeatureKind, FeatureSpec
from state.features.timer_cells import (
    ARMS,
    DISARMS,
    DUE,
    EMPTY,
    ENDED,
    FIRED,
    KEY_AT,
    LOGGED_AT,
    OPEN,
    STARTS_ANEW,
    deadline_of,
    key_in,
    mode_of,
    note_armed,
    note_refused,
    state_of,
    time_of,
    word_of,
    words_of_cell,
)
from state.jit import routine
from state.raw import load_i32, load_i64, load_u8, prefetch, store_i64, store_u8
from state.schema import Kind
from state.zone import Transitions


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", spec.cells * words_of_cell(keyed=spec.keyed))]


@routine
def cell_to_use(row_at: int, end: int, cell_bytes: int, than_ms: int) -> int:
    """Return the address of a cell that is free, else of the oldest that is not open; 0 where there is none.

    `than_ms`: one that is not open must be older than this.
    """
    found, oldest = 0, than_ms
    for cell in range(row_at, end, cell_bytes):
        word = load_i64(cell)
        if state_of(word) == EMPTY:
            return cell
        if state_of(word) != OPEN and time_of(word) < oldest:
            found, oldest = cell, time_of(word)
    return found


@routine
def is_answered(row_at: int, end: int, cell_bytes: int, key: int, at: int, span_ms: int, anew: bool) -> bool:
    """Tell whether another event has answered the deadline that an event at `at` would arm, or holds it already."""
    until = deadline_of(at, span_ms)
    for cell in range(row_at, end, cell_bytes):
        word = load_i64(cell)
        state, other = state_of(word), time_of(word)
        if state == EMPTY or key_in(cell, cell_bytes) != key:
            continue
        if state == ENDED or anew:
            if at <= other < until:
                return True
        elif other <= at < deadline_of(other, span_ms) or (state == FIRED and at < other < until):
            return True
    return False


@routine
def take_back(row_at: int, end: int, cell_bytes: int, key: int, at: int, span_ms: int, anew: bool) -> None:
    """Free the open cells of a key in whose place a deadline from `at` on is to come."""
    until = deadline_of(at, span_ms)
    for cell in range(row_at, end, cell_bytes):
        word = load_i64(cell)
        begun = time_of(word)
        if state_of(word) != OPEN or key_in(cell, cell_bytes) != key:
            continue
        if (anew and begun <= at < deadline_of(begun, span_ms)) or (not anew and at < begun < until):
            store_i64(cell, 0)


@routine
def arm(
    row_at: int,
    end: int,
    cell_bytes: int,
    key: int,
    at: int,
    logged: int,
    span_ms: int,
    anew: bool,
    hints: int,
    slot: int,
) -> None:
    """Take an event that arms."""
    if anew:
        take_back(row_at, end, cell_bytes, key, at, span_ms, True)
    if is_answered(row_at, end, cell_bytes, key, at, span_ms, anew):
        return
    if not anew:
        take_back(row_at, end, cell_bytes, key, at, span_ms, False)
    cell = cell_to_use(row_at, end, cell_bytes, 1 << 61)
    if cell == 0:
        note_refused(hints)
        return
    store_i64(cell, word_of(OPEN, at))
    store_i64(cell + LOGGED_AT, logged)
    if cell_bytes > KEY_AT:
        store_i64(cell + KEY_AT, key)
    note_armed(hints, slot, deadline_of(at, span_ms), logged)


@routine
def end_open(row_at: int, end: int, cell_bytes: int, key: int, at: int, span_ms: int) -> None:
    """Take an event that ends, and keep it for deadlines that are armed late."""
    kept = False
    for cell in range(row_at, end, cell_bytes):
        word = load_i64(cell)
        if state_of(word) == EMPTY or key_in(cell, cell_bytes) != key:
            continue
        begun = time_of(word)
        if state_of(word) == OPEN and begun <= at < deadline_of(begun, span_ms):
            store_i64(cell, 0 if kept else word_of(ENDED, at))
            kept = True
        elif state_of(word) == ENDED and begun == at:
            kept = True
    if kept:
        return
    cell = cell_to_use(row_at, end, cell_bytes, at)
    if cell != 0:
        store_i64(cell, word_of(ENDED, at))
        if cell_bytes > KEY_AT:
            store_i64(cell + KEY_AT, key)


@routine
def fire(row_at: int, end: int, cell_bytes: int, key: int, at: int, span_ms: int) -> bool:
    """Take a row `due`; return whether the open deadline that it names has fired now."""
    for cell in range(row_at, end, cell_bytes):
        word = load_i64(cell)
        if state_of(word) == OPEN and key_in(cell, cell_bytes) == key and deadline_of(time_of(word), span_ms) == at:
            store_i64(cell, word_of(FIRED, time_of(word)))
            return True
    return False


@routine
def fold_timer(feature: int, view: int, _transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride, mode = load_i64(feature + BASE), load_i64(feature + STRIDE), load_i64(feature + MODE)
    span_ms, own, hints = load_i64(feature + WINDOW_MS), load_i64(feature + OWN), load_i64(feature + HINTS)
    anew, cell_bytes = mode & STARTS_ANEW != 0, mode >> 8
    slots_at, rows_at, n, updates_at, times_at, cells_at, out_at, known_at = view_of(view)
    logged_at, others_at = load_i64(view + LOGS), load_i64(view + OTHER_CELLS)
    rules_at, keys_at = load_i64(view + DUE_RULES), load_i64(view + DUE_KEYS)
    keyed = cell_bytes > KEY_AT
    for i in range(n):
        if i + AHEAD < n:
            prefetch(base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * stride)
        row = load_i32(rows_at + 4 * i)
        slot, what = load_i32(slots_at + 4 * row), load_u8(updates_at + row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 0)
        if slot < 0 or what == 0:
            continue
        row_at = base + slot * stride
        at = max(load_i64(times_at + 8 * row), 1)
        if what & DISARMS:
            key = load_i64(others_at + 8 * row) if keyed else 0
            end_open(row_at, row_at + stride, cell_bytes, key, at, span_ms)
        if what & ARMS:
            key = load_i64(cells_at + 8 * row) if keyed else 0
            logged = load_i64(logged_at + 8 * row)
            arm(row_at, row_at + stride, cell_bytes, key, at, logged, span_ms, anew, hints, slot)
        if what & DUE and load_i64(rules_at + 8 * row) == own:
            key = load_i64(keys_at + 8 * row) if keyed else 0
            if fire(row_at, row_at + stride, cell_bytes, key, at, span_ms):
                store_i64(out_at + 8 * row, 1)
                store_u8(known_at + row, 1)


KIND = FeatureKind(
    "timer",
    _columns,
    fold_timer,
    results={None: Kind.BOOL},
    takes="the event itself",
    example="",
    mode=mode_of,
    built_in=True,
)
