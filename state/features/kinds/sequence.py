"""sequence: how far a subscriber has come in steps that follow each other: the step of the run that is furthest.

A *run* begins with an event that fits the first step. It takes the next event that fits its next step, and skips all
others: so `a b a c` has a..b..c. An event fits a run when it happened neither before the run's last step nor a whole
span after its first, and its comparisons with what earlier steps took along hold. One event moves a run by one step at
most; it may move several runs, and begin another. The row that ends a run has the number of all steps as its value.

Of two runs that stand at the same step, and took the same along, the one that began later goes on. Where all places are
taken, the run that began first is given up for one that begins later.

A row of the column: so many places, each of two words and one more for each cell that is taken along: when the run
began and its step, 0 for a free place; when its last step was, and which of the cells are known.

A book declares sequences in a section of their own (`rules.sequences`).
"""

from state.features.rows import AHEAD, PRESENT, TABLE, TABLE_STRIDE, view_of
from state.features.sequence_spec import (
    AT_LEAST,
    AT_MOST,
    CAPTURE_COUNT,
    CAPTURES,
    COMPARE_WORDS,
    COMPARES_AT,
    COMPARES_COUNT,
    DIFFERENT,
    EQUAL,
    FIRST_CAPTURE,
    FLOATS,
    HEAD_WORDS,
    LESS,
    PLACES,
    RUN_HEAD_WORDS,
    STEP_WORDS,
    STEPS,
)
from state.features.spec import BASE, PROGRAM, STRIDE, WINDOW_MS, ColumnSpec, FeatureKind, FeatureSpec
from state.jit import part, routine
from state.raw import float_of_bits, load_i32, load_i64, load_u8, prefetch, store_i64, store_u8
from state.schema import Kind
from state.zone import Transitions

STEPS_MAX = 8
"""A bit of one byte says which steps a row fits."""
CAPTURES_MAX = 8
_STEP_BITS, _KNOWN_BITS = 4, 8
_LAST = 8
_RUN_HEAD = 8 * RUN_HEAD_WORDS
_MS_MAX = 1 << 50
_LINE_BYTES = 64
_INFINITE = 0x7FF0000000000000
"""Bits that are all set in a float that is not finite, and therefore unknown."""


@part
def step_at(program: int, step: int) -> int:
    """Return the address of a step's words; steps count from 0."""
    return program + 8 * (HEAD_WORDS + STEP_WORDS * step)


@part
def step_of(run: int) -> int:
    """Return how many steps a run has taken, 0 where there is none."""
    return load_i64(run) & ((1 << _STEP_BITS) - 1)


@part
def begun_of(run: int) -> int:
    """Return when a run began."""
    return load_i64(run) >> _STEP_BITS


@routine
def holds(code: int, own: int, taken: int) -> bool:
    """Tell whether a comparison holds of an own cell and one that was taken along."""
    if code & FLOATS:
        if own & _INFINITE == _INFINITE or taken & _INFINITE == _INFINITE:
            return False
        left, right = float_of_bits(own), float_of_bits(taken)
        order = (1 if left > right else 0) - (1 if left < right else 0)
    else:
        order = (1 if own > taken else 0) - (1 if own < taken else 0)
    how = code & (FLOATS - 1)
    if how == EQUAL:
        return order == 0
    if how == DIFFERENT:
        return order != 0
    if how == LESS:
        return order < 0
    if how == AT_MOST:
        return order <= 0
    return order >= 0 if how == AT_LEAST else order > 0


@routine
def fits(run: int, program: int, step: int, cells: int, stride: int, present: int) -> bool:
    """Tell whether what a row says fits what a run took along; what either does not know never does."""
    words = step_at(program, step)
    known = load_i64(run + _LAST)
    at = program + load_i64(words + COMPARES_AT)
    for _ in range(load_i64(words + COMPARES_COUNT)):
        slot, capture = load_i64(at + 8), load_i64(at + 16)
        if (present >> slot) & (known >> capture) & 1 == 0:
            return False
        if not holds(load_i64(at), load_i64(cells + stride * slot), load_i64(run + _RUN_HEAD + 8 * capture)):
            return False
        at += 8 * COMPARE_WORDS
    return True


@routine
def take_step(run: int, program: int, step: int, begun: int, at: int, cells: int, stride: int, present: int) -> None:
    """Write that a run has taken a step, with what it takes along."""
    words = step_at(program, step)
    slots = program + 8 * (HEAD_WORDS + STEP_WORDS * load_i64(program + STEPS))
    known = load_i64(run + _LAST) & ((1 << _KNOWN_BITS) - 1) if step > 0 else 0
    first = load_i64(words + FIRST_CAPTURE)
    for capture in range(first, first + load_i64(words + CAPTURE_COUNT)):
        slot = load_i64(slots + 8 * capture)
        is_known = (present >> slot) & 1
        store_i64(run + _RUN_HEAD + 8 * capture, load_i64(cells + stride * slot) if is_known != 0 else 0)
        known |= is_known << capture
    store_i64(run, begun << _STEP_BITS | (step + 1))
    store_i64(run + _LAST, at << _KNOWN_BITS | known)


@routine
def end_twin(row_at: int, end: int, run_bytes: int, run: int) -> None:
    """Of a run and another at the same step that took the same along, end the one that began earlier."""
    known = load_i64(run + _LAST) & ((1 << _KNOWN_BITS) - 1)
    for other in range(row_at, end, run_bytes):
        if other == run or step_of(other) != step_of(run):
            continue
        if load_i64(other + _LAST) & ((1 << _KNOWN_BITS) - 1) != known:
            continue
        same = True
        for at in range(_RUN_HEAD, run_bytes, 8):
            same = same and load_i64(other + at) == load_i64(run + at)
        if same:
            store_i64(run if begun_of(run) < begun_of(other) else other, 0)
            return


@routine
def place_for(row_at: int, end: int, run_bytes: int, at: int) -> int:
    """Return a free place, else that of the run that began first; 0 where a new run would have begun before it."""
    first, began = 0, at + 1
    for run in range(row_at, end, run_bytes):
        if load_i64(run) == 0:
            return run
        if begun_of(run) < began:
            first, began = run, begun_of(run)
    return first


@routine
def move(
    row_at: int, end: int, run_bytes: int, program: int, what: int, at: int, span_ms: int,
    cells: int, stride: int, present: int,
) -> bool:  # fmt: skip
    """Take a row that fits the steps whose bits stand in `what`; return whether a run has ended with it."""
    ended = False
    steps = load_i64(program + STEPS)
    for step in range(steps - 1, 0, -1):
        if (what >> step) & 1 == 0:
            continue
        for run in range(row_at, end, run_bytes):
            if step_of(run) != step or at < load_i64(run + _LAST) >> _KNOWN_BITS or at - begun_of(run) >= span_ms:
                continue
            if not fits(run, program, step, cells, stride, present):
                continue
            if step == steps - 1:
                store_i64(run, 0)
                ended = True
            else:
                take_step(run, program, step, begun_of(run), at, cells, stride, present)
                end_twin(row_at, end, run_bytes, run)
    if what & 1:
        run = place_for(row_at, end, run_bytes, at)
        if run != 0:
            for word in range(_RUN_HEAD, run_bytes, 8):
                store_i64(run + word, 0)
            take_step(run, program, 0, at, at, cells, stride, present)
            end_twin(row_at, end, run_bytes, run)
    return ended


@routine
def furthest(row_at: int, end: int, run_bytes: int, at: int, span_ms: int) -> int:
    """Return how many steps the open run has taken that is furthest."""
    most = 0
    for run in range(row_at, end, run_bytes):
        if at - begun_of(run) < span_ms:
            most = max(most, step_of(run))
    return most


@routine
def fold_sequence(feature: int, view: int, _transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride, span_ms = load_i64(feature + BASE), load_i64(feature + STRIDE), load_i64(feature + WINDOW_MS)
    program = load_i64(feature + PROGRAM)
    run_bytes = _RUN_HEAD + 8 * load_i64(program + CAPTURES)
    row_bytes, steps = run_bytes * load_i64(program + PLACES), load_i64(program + STEPS)
    slots_at, rows_at, n, updates_at, times_at, _cells_at, out_at, known_at = view_of(view)
    table, table_stride, present_at = load_i64(view + TABLE), load_i64(view + TABLE_STRIDE), load_i64(view + PRESENT)
    for i in range(n):
        if i + AHEAD < n:
            ahead = base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * stride
            prefetch(ahead)
            if row_bytes > _LINE_BYTES:
                prefetch(ahead + _LINE_BYTES)
        row = load_i32(rows_at + 4 * i)
        slot, what, value = load_i32(slots_at + 4 * row), load_u8(updates_at + row), 0
        if slot >= 0:
            row_at = base + slot * stride
            end = row_at + row_bytes
            at = min(max(load_i64(times_at + 8 * row), 1), _MS_MAX)
            ended = False
            if table != 0 and what != 0:
                present = load_i64(present_at + 8 * row)
                ended = move(
                    row_at, end, run_bytes, program, what, at, span_ms, table + 8 * row, table_stride, present
                )  # fmt: skip
            value = steps if ended else furthest(row_at, end, run_bytes, at, span_ms)
        store_i64(out_at + 8 * row, value)
        store_u8(known_at + row, 1)


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", max(spec.sequence.places * spec.sequence.run_words, 1))]


KIND = FeatureKind(
    "sequence",
    _columns,
    fold_sequence,
    results={None: Kind.INT},
    takes="the event itself",
    example="",
    built_in=True,
)
