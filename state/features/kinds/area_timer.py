"""area_timer: the deadlines of a rule about staying in an area, or leaving it; true on the row `due` that is one's own.

    stays    A stay that begins opens a deadline: the beginning and the span. Where the stay ends by then, it does not
             fire.
    leaves   The first sighting outside opens one: that sighting and the area's leave, which is the end of the stay. A
             sighting inside before it takes it back.

What a stay is, `state.features.stays` says; the cells are those of timers (`state.features.timer_cells`), so hints,
sleep and rows `due` are theirs too. A deadline of a stay that is over when the next one begins keeps its cell where it
came while the stay lasted, and frees it where it did not: rows `due` may come after that.
"""

from state.features.kinds.timer import cell_to_use
from state.features.rows import AHEAD, DUE_RULES, LOGS, view_of
from state.features.spec import (
    BASE,
    HINTS,
    LEAVE_MS,
    MODE,
    OWN,
    SECOND,
    SECOND_STRIDE,
    STRIDE,
    WINDOW_MS,
    ColumnSpec,
    FeatureKind,
    FeatureSpec,
)
from state.features.stays import BEGAN, CAME_BACK, FOUND, IN, OUT, OUTSIDE, STAY_WORDS, WENT, is_over, see
from state.features.timer_cells import (
    DUE,
    FIRED,
    LOGGED_AT,
    OPEN,
    deadline_of,
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

CELL_BYTES = 8 * words_of_cell(keyed=False)
LEAVES = 1
"""The mode of a deadline about leaving; that of one about staying is 0."""


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", spec.cells * words_of_cell(keyed=False)), ColumnSpec("int64", STAY_WORDS)]


def _mode_of(spec: FeatureSpec) -> int:
    return LEAVES if spec.leaves else 0


@routine
def open_cell(row_at: int, end: int, at: int, logged: int, span_ms: int, hints: int, slot: int) -> None:
    """Open a deadline that begins at a time."""
    cell = cell_to_use(row_at, end, CELL_BYTES, 1 << 61)
    if cell == 0:
        note_refused(hints)
        return
    store_i64(cell, word_of(OPEN, at))
    store_i64(cell + LOGGED_AT, logged)
    note_armed(hints, slot, deadline_of(at, span_ms), logged)


@routine
def take_back(row_at: int, end: int, begun: int) -> None:
    """Free the cell of the open deadline that began at a time, where there is one."""
    for cell in range(row_at, end, CELL_BYTES):
        if load_i64(cell) == word_of(OPEN, begun):
            store_i64(cell, 0)


@routine
def follow(
    row_at: int, end: int, stay: int, inside: bool, at: int, logged: int, span_ms: int, leave_ms: int, leaves: bool,
    hints: int, slot: int,
) -> None:  # fmt: skip
    """Take a sighting."""
    before, outside = load_i64(stay), load_i64(stay + OUTSIDE)
    seen = see(stay, inside, at, leave_ms)
    if leaves:
        if seen == WENT:
            open_cell(row_at, end, at, logged, leave_ms, hints, slot)
        elif seen == CAME_BACK:
            take_back(row_at, end, outside)
    elif seen in (BEGAN, FOUND):
        if before != 0 and is_over(outside, deadline_of(before, span_ms), leave_ms):
            take_back(row_at, end, before)
        open_cell(row_at, end, at, logged, span_ms, hints, slot)


@routine
def has_come(row_at: int, end: int, stay: int, at: int, span_ms: int, leave_ms: int, leaves: bool) -> bool:
    """Take a row `due`; return whether it is a deadline that holds."""
    for cell in range(row_at, end, CELL_BYTES):
        word = load_i64(cell)
        begun = time_of(word)
        if state_of(word) == OPEN and deadline_of(begun, span_ms) == at:
            store_i64(cell, word_of(FIRED, begun))
            return leaves or begun != load_i64(stay) or not is_over(load_i64(stay + OUTSIDE), at, leave_ms)
    return False


@routine
def fold_area_timer(feature: int, view: int, _transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride, leave_ms = load_i64(feature + BASE), load_i64(feature + STRIDE), load_i64(feature + LEAVE_MS)
    stays, stays_stride = load_i64(feature + SECOND), load_i64(feature + SECOND_STRIDE)
    span_ms, own, hints = load_i64(feature + WINDOW_MS), load_i64(feature + OWN), load_i64(feature + HINTS)
    leaves = load_i64(feature + MODE) == LEAVES
    slots_at, rows_at, n, updates_at, times_at, _, out_at, known_at = view_of(view)
    logged_at, rules_at = load_i64(view + LOGS), load_i64(view + DUE_RULES)
    for i in range(n):
        if i + AHEAD < n:
            prefetch(stays + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * stays_stride)
        row = load_i32(rows_at + 4 * i)
        slot, what = load_i32(slots_at + 4 * row), load_u8(updates_at + row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 0)
        if slot < 0 or what == 0:
            continue
        row_at, stay = base + slot * stride, stays + slot * stays_stride
        at = max(load_i64(times_at + 8 * row), 1)
        if what & (IN | OUT):
            logged = load_i64(logged_at + 8 * row)
            inside = what & IN != 0
            follow(row_at, row_at + stride, stay, inside, at, logged, span_ms, leave_ms, leaves, hints, slot)
        if (
            what & DUE
            and load_i64(rules_at + 8 * row) == own
            and has_come(row_at, row_at + stride, stay, at, span_ms, leave_ms, leaves)
        ):
            store_i64(out_at + 8 * row, 1)
            store_u8(known_at + row, 1)


KIND = FeatureKind(
    "area_timer",
    _columns,
    fold_area_timer,
    results={None: Kind.BOOL},
    takes="sightings",
    example="",
    mode=_mode_of,
    built_in=True,
)
