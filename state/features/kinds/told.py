"""told: of how many decisions the log told that they reached their subscriber, or were answered, in a window.

Rows of `outcome`, `answer` and `reply` name a decision. One that is told twice counts once, so a report that is
repeated after a crash changes nothing. Of outcomes, "it reached" and "nobody can say" count, as caps have it; a refund
takes the decision back. The window is of the log's clock, as that of a cap: a contact lies in it from the second in
which it was made, which an outcome says, else from the log's time of its row.

A row of the column: the last `KEPT` decisions in the order in which they were told, a word each: the second, and 31
bits of a hash of the decision. So the value stops at `KEPT`; it is exact below. Two decisions are taken for one where
these bits are equal, once in 2**31 pairs.

An expression brings such a feature along (`rules.told`): no book declares one.
"""

from state.features.rows import AHEAD, LOGS, PRESENT, TABLE, TABLE_STRIDE, view_of
from state.features.spec import BASE, MODE, STRIDE, WINDOW_MS, ColumnSpec, FeatureKind, FeatureSpec
from state.jit import part, routine
from state.raw import load_i32, load_i64, load_u8, prefetch, shift_right, store_i64, store_u8
from state.schema import (
    DECISION_POSITION,
    DECISION_ROW,
    DECISION_RULE,
    OUTCOME_CONTACT,
    OUTCOME_STATE,
    REPLY_DECISION,
    Kind,
)
from state.zone import Transitions

KEPT = 8
"""Decisions that are remembered of a subscriber, and where the value stops."""
OUTCOMES, ANSWERS, REPLIES = range(3)
"""Modes: which rows tell of decisions."""
# Of `state.decisions.OutcomeState`, as plain integers for the compiler; a test compares them.
REACHED, REFUNDED, UNKNOWN = 1, 2, 5

_ID_BITS = 31
_ID_MASK = (1 << _ID_BITS) - 1
_SECOND_MAX = (1 << 32) - 1
_FACTOR = -0x61C8864680B583EB


@part
def id_of(position: int, row: int, rule: int) -> int:
    """Return 31 bits that stand for a decision, never 0."""
    mixed = ((position * _FACTOR ^ row) * _FACTOR ^ rule) * _FACTOR
    return max(shift_right(mixed, 64 - _ID_BITS), 1)


@part
def second_of(ms: int) -> int:
    """Return the second of a time, at least 1: 0 is that of a decision that was taken back."""
    return min(max(ms // 1000, 1), _SECOND_MAX)


@routine
def place_of(row_at: int, number: int) -> int:
    """Return where a decision has its word, 0 where it has none."""
    for at in range(row_at, row_at + 8 * KEPT, 8):
        if load_i64(at) & _ID_MASK == number:
            return at
    return 0


@routine
def put(row_at: int, word: int) -> None:
    """Put a word after the others; where all places are taken, in place of the oldest, if that is not newer."""
    oldest, second = 0, (word >> _ID_BITS) + 1
    for at in range(row_at, row_at + 8 * KEPT, 8):
        other = load_i64(at)
        if other == 0:
            store_i64(at, word)
            return
        if other >> _ID_BITS < second:
            oldest, second = at, other >> _ID_BITS
    if oldest != 0:
        for at in range(oldest, row_at + 8 * (KEPT - 1), 8):
            store_i64(at, load_i64(at + 8))
        store_i64(row_at + 8 * (KEPT - 1), word)


@routine
def tell(row_at: int, cells: int, stride: int, present: int, log_ms: int, mode: int) -> None:
    """Take a row that tells of a decision; `cells` are its own, `stride` bytes apart."""
    if mode == REPLIES:
        number = id_of(load_i64(cells + stride * REPLY_DECISION), 0, 0)
    else:
        number = id_of(
            load_i64(cells + stride * DECISION_POSITION),
            load_i64(cells + stride * DECISION_ROW),
            load_i64(cells + stride * DECISION_RULE),
        )
    ms, state = log_ms, REACHED
    if mode == OUTCOMES:
        state = load_i64(cells + stride * OUTCOME_STATE)
        if (present >> OUTCOME_CONTACT) & 1 != 0:
            ms = load_i64(cells + stride * OUTCOME_CONTACT)
    if state not in (REACHED, REFUNDED, UNKNOWN):
        return
    at = place_of(row_at, number)
    if at == 0 and state != REFUNDED:
        put(row_at, second_of(ms) << _ID_BITS | number)
    elif at != 0 and state == REFUNDED:
        store_i64(at, number)


@routine
def told_in(row_at: int, log_ms: int, window_ms: int) -> int:
    """Return how many decisions lie in the window that ends at a time of the log; 0 is no window."""
    count = 0
    for at in range(row_at, row_at + 8 * KEPT, 8):
        second = load_i64(at) >> _ID_BITS
        if second != 0 and (window_ms == 0 or log_ms - second * 1000 < window_ms):
            count += 1
    return count


@routine
def fold_told(feature: int, view: int, _transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride = load_i64(feature + BASE), load_i64(feature + STRIDE)
    mode, window_ms = load_i64(feature + MODE), load_i64(feature + WINDOW_MS)
    slots_at, rows_at, n, updates_at, _times_at, _cells_at, out_at, known_at = view_of(view)
    logs_at, table, present_at = load_i64(view + LOGS), load_i64(view + TABLE), load_i64(view + PRESENT)
    table_stride = load_i64(view + TABLE_STRIDE)
    for i in range(n):
        if i + AHEAD < n:
            prefetch(base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * stride)
        row = load_i32(rows_at + 4 * i)
        slot = load_i32(slots_at + 4 * row)
        count = 0
        if slot >= 0:
            row_at, log_ms = base + slot * stride, load_i64(logs_at + 8 * row)
            if table != 0 and load_u8(updates_at + row) != 0:
                tell(row_at, table + 8 * row, table_stride, load_i64(present_at + 8 * row), log_ms, mode)
            count = told_in(row_at, log_ms, window_ms)
        store_i64(out_at + 8 * row, count)
        store_u8(known_at + row, 1)


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", KEPT)]


KIND = FeatureKind(
    "told",
    _columns,
    fold_told,
    results={None: Kind.INT},
    takes="the event itself",
    example="",
    mode=lambda spec: spec.tells,
    built_in=True,
)
