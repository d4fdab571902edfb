"""The fold of many features over one batch, in one call: a call from Python costs more than a small batch's work.

Every feature is a row of words (`words_of`): what its loop needs (`state.features.spec`), then which rows update it.
The words hold addresses of the feature's columns, so the caller that made them keeps the arrays alive, and makes the
words anew when the arrays are others.

Which loop folds a feature is found at compile time: the loops of `state.features.kinds` become one chain of questions,
each "is it this one?", which costs a nanosecond or two a feature and batch.
"""

import numpy as np
from numpy.typing import NDArray

from state.features.kinds import LOOPS
from state.features.kinds.lists import mark_leaves
from state.features.rows import (
    CELLS,
    DUE_KEYS,
    DUE_RULES,
    ENDS,
    KNOWN,
    LOGS,
    OTHER_CELLS,
    OUT,
    PRESENT,
    ROWS,
    ROWS_COUNT,
    SLOTS,
    TABLE,
    TABLE_STRIDE,
    TIMES,
    UPDATES,
    VIEW_WORDS,
)
from state.features.spec import FEATURE_WORDS, LOOP, Arrays, FeatureKind, FeatureSpec, Int64s, Loop
from state.features.stays import IN
from state.features.stays import OUT as OUTSIDE
from state.features.timer_cells import DISARMS, DUE
from state.jit import kernel, part, routine
from state.raw import address_i32, address_i64, address_u8, load_i32, load_i64, load_u8, store_i32, store_i64, store_u8
from state.zone import Transitions

SOURCE_TYPE, SOURCE_SLOT, WHERE, TYPES, MEMBER_SLOT = range(8 * FEATURE_WORDS, 8 * FEATURE_WORDS + 40, 8)
"""After a loop's own words: the event type that updates the feature; the slot that it must know and whose cell it
reads, -1 for none; the mask that narrows updates, -1 for none; which list of rows is walked; the slot that says whether
a list is joined or left, -1 where that is not asked."""
OTHER_TYPE, OTHER_SLOT, OTHER_WHERE, DUE_TYPE, DUE_SLOT = range(8 * FEATURE_WORDS + 40, 8 * FEATURE_WORDS + 80, 8)
"""And of a timer: type, slot and mask of what ends it, as above, the type -1 for nothing; the type of rows `due`, -1 of
other kinds; the slot of their key, -1 where it has none."""
STEPS_AT, STEPS_COUNT = range(8 * FEATURE_WORDS + 80, 8 * FEATURE_WORDS + 96, 8)
"""And of a sequence: the address of type and mask of each step, two words, and how many there are; 0 of others."""
SIGHTINGS, READ = 8 * FEATURE_WORDS + 96, 8 * FEATURE_WORDS + 104
"""And of an area: the address of its sightings, 0 of other kinds: how many, then type, slot and mask of each. Of a
feature that reads what an expression makes of its event: the row of `outs` that has it, -1 of all others."""
WORDS = FEATURE_WORDS + 14
NO_TIMER = (-1, -1, -1, -1, -1)
"""These words of all other kinds."""


def words_of(kind: FeatureKind, spec: FeatureSpec, arrays: Arrays, hints: int = 0) -> list[int]:
    """Return what a loop is told of a feature whose columns are `arrays`; `hints`: address of a timer's."""
    return [
        LOOPS.index(kind.fold),
        _address(arrays[0]),
        _address(arrays[1]) if len(arrays) > 1 else 0,
        arrays[0].strides[0],
        kind.mode(spec),
        spec.ring,
        spec.grid,
        spec.pane_ms,
        spec.anchor_ms,
        spec.window_ms,
        _address(spec.member_ids),
        spec.member_ids.shape[0],
        arrays[1].strides[0] if len(arrays) > 1 else 0,
        spec.own,
        hints,
        _address(spec.sequence.program),
        spec.leave_ms,
    ]


def new_view() -> Int64s:
    """Return room for what loops are told of the rows."""
    return np.zeros(VIEW_WORDS, np.int64)


def _address(array: NDArray[np.generic]) -> int:
    # A number does not keep the array alive: the caller of `words_of` does, see the module.
    return int(array.__array_interface__["data"][0])


def _first_of(loops: tuple[Loop, ...], number: int = 0) -> Loop:
    """Return a kernel that runs the one of `loops` that a feature's words name; the first of them has `number`."""
    if len(loops) == 1:
        return loops[0]
    this, rest = loops[0], _first_of(loops[1:], number + 1)

    @part
    def fold_feature(feature: int, view: int, transitions: Transitions) -> None:
        if load_i64(feature + LOOP) == number:
            this(feature, view, transitions)
        else:
            rest(feature, view, transitions)

    return fold_feature


fold_feature = _first_of(LOOPS)


@kernel
def list_rows(type_: NDArray[np.uint8], wanted: NDArray[np.uint8], rows: NDArray[np.int32], counts: Int64s) -> None:
    """Write for each set of types, uint8[sets, 256], the rows that are of one of them, ascending, and how many.

    `rows` int32[sets, > n], `counts` int64[sets].
    """
    n = type_.shape[0]
    types_at = address_u8(type_)
    for number in range(wanted.shape[0]):
        wanted_at = address_u8(wanted) + 256 * number
        rows_at = address_i32(rows) + 4 * rows.shape[1] * number
        count = 0
        for row in range(n):
            store_i32(rows_at + 4 * count, row)
            count += load_u8(wanted_at + load_u8(types_at + row))
        counts[number] = count


@routine
def mark_updates(
    rows_at: int, count: int, types_at: int, source_type: int, present_at: int, slot: int, mask_at: int, updates_at: int
) -> None:
    """Write for each row whether it is of the source type, knows `slot` (-1: any) and is in the mask (0: none)."""
    for i in range(count):
        row = load_i32(rows_at + 4 * i)
        hit = 1 if load_u8(types_at + row) == source_type else 0
        if slot >= 0:
            hit &= load_i64(present_at + 8 * row) >> slot
        if mask_at != 0:
            hit &= load_u8(mask_at + row)
        store_u8(updates_at + row, hit)


@routine
def mark_more(
    rows_at: int, count: int, types_at: int, wanted: int, present_at: int, slot: int, mask_at: int, updates_at: int,
    what: int,
) -> None:  # fmt: skip
    """Add `what` to what is marked of the rows of type `wanted`; the rest is as in `mark_updates`."""
    for i in range(count):
        row = load_i32(rows_at + 4 * i)
        if load_u8(types_at + row) != wanted:
            continue
        if slot >= 0 and (load_i64(present_at + 8 * row) >> slot) & 1 == 0:
            continue
        if mask_at == 0 or load_u8(mask_at + row) != 0:
            store_u8(updates_at + row, load_u8(updates_at + row) | what)


@routine
def show_timer(
    feature: int, v: int, rows_at: int, count: int, types_at: int, present_at: int, cells_at: int, stride: int,
    masks_at: int, masks_stride: int, updates_at: int,
) -> None:  # fmt: skip
    """Mark the rows that end a timer or are due, and tell its loop where they have their keys."""
    ends, slot, where = load_i64(feature + OTHER_TYPE), load_i64(feature + OTHER_SLOT), load_i64(feature + OTHER_WHERE)
    mask_at = masks_at + where * masks_stride if where >= 0 else 0
    if ends >= 0:
        mark_more(rows_at, count, types_at, ends, present_at, slot, mask_at, updates_at, DISARMS)
    due, key = load_i64(feature + DUE_TYPE), load_i64(feature + DUE_SLOT)
    mark_more(rows_at, count, types_at, due, present_at, 0, 0, updates_at, DUE)
    store_i64(v + OTHER_CELLS, cells_at + stride * max(slot, 0))
    store_i64(v + DUE_RULES, cells_at)
    store_i64(v + DUE_KEYS, cells_at + stride * max(key, 0))


@routine
def show_steps(
    feature: int, rows_at: int, count: int, types_at: int, masks_at: int, stride: int, updates_at: int
) -> None:
    """Mark which steps of a sequence each row fits, a bit each."""
    at = load_i64(feature + STEPS_AT)
    for step in range(load_i64(feature + STEPS_COUNT)):
        where = load_i64(at + 8)
        mask_at = masks_at + where * stride if where >= 0 else 0
        mark_more(rows_at, count, types_at, load_i64(at), 0, -1, mask_at, updates_at, 1 << step)
        at += 16


@routine
def mark_sightings(
    sightings: int, rows_at: int, count: int, types_at: int, present_at: int, masks: tuple[int, int], updates_at: int
) -> None:  # fmt: skip
    """Mark the rows that say where the subscriber is: inside where the mask says so, else outside.

    `masks`: address of the first, and bytes of each.
    """
    for number in range(load_i64(sightings)):
        one = sightings + 8 + 24 * number
        mask_at = masks[0] + load_i64(one + 16) * masks[1]
        for i in range(count):
            row = load_i32(rows_at + 4 * i)
            is_told = (load_i64(present_at + 8 * row) >> load_i64(one + 8)) & 1
            if load_u8(types_at + row) != load_i64(one) or is_told == 0:
                continue
            store_u8(updates_at + row, load_u8(updates_at + row) | (IN if load_u8(mask_at + row) != 0 else OUTSIDE))


@routine
def keep_known(rows_at: int, count: int, known_at: int, updates_at: int) -> None:
    """Unmark the rows of which it is not known what a feature reads."""
    for i in range(count):
        row = load_i32(rows_at + 4 * i)
        store_u8(updates_at + row, load_u8(updates_at + row) & load_u8(known_at + row))


@routine
def mark_others(
    feature: int, v: int, rows_at: int, count: int, types_at: int, present_at: int, cells: tuple[int, int],
    masks: tuple[int, int], knowns: tuple[int, int], updates_at: int,
) -> None:  # fmt: skip
    """Mark the rows of a timer, a sequence and an area; unmark those of which it is not known what a feature reads.

    `cells`, `masks`, `knowns`: address of the first, and bytes of each.
    """
    if load_i64(feature + DUE_TYPE) >= 0:
        show_timer(
            feature, v, rows_at, count, types_at, present_at, cells[0], cells[1], masks[0], masks[1], updates_at
        )  # fmt: skip
    if load_i64(feature + STEPS_COUNT) != 0:
        show_steps(feature, rows_at, count, types_at, masks[0], masks[1], updates_at)
    sightings = load_i64(feature + SIGHTINGS)
    if sightings != 0:
        mark_sightings(sightings, rows_at, count, types_at, present_at, masks, updates_at)
    read = load_i64(feature + READ)
    if read >= 0:
        keep_known(rows_at, count, knowns[0] + knowns[1] * read, updates_at)


@kernel
def fold_features(
    features: Int64s, first: int, last: int, transitions: Transitions, view: Int64s,
    slots: NDArray[np.int32], type_: NDArray[np.uint8], present: Int64s, at_ms: Int64s, log_ms: Int64s, cells: Int64s,
    ends: Int64s, rows: NDArray[np.int32], counts: Int64s, masks: NDArray[np.uint8], updates: NDArray[np.uint8],
    outs: Int64s, knowns: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fold the features `first` to `last - 1`, each over its rows; `outs`, `knowns` get a row for each feature.

    `features` int64[k, WORDS], `cells` int64[width, n], `ends` int64[m], when the membership ends that a row of a list
    tells of (0: never), `rows` and `counts` of `list_rows`, `masks` uint8[wheres, m], `updates` uint8[m] to work in,
    `outs` int64[k, m], `knowns` uint8[k, m], each m >= n; `view` of `new_view`.
    """
    v, masks_of = address_i64(view), (address_u8(masks), masks.shape[1])
    known_of = address_u8(knowns), knowns.shape[1]
    types_at, present_at, updates_at = address_u8(type_), address_i64(present), address_u8(updates)
    cells_at, cells_stride = address_i64(cells), cells.shape[1] * 8
    store_i64(v + SLOTS, address_i32(slots))
    store_i64(v + UPDATES, updates_at)
    store_i64(v + TIMES, address_i64(at_ms))
    store_i64(v + LOGS, address_i64(log_ms))
    store_i64(v + ENDS, address_i64(ends))
    store_i64(v + TABLE, cells_at)
    store_i64(v + TABLE_STRIDE, cells_stride)
    store_i64(v + PRESENT, present_at)
    for index in range(first, last):
        feature = address_i64(features) + index * WORDS * 8
        number = load_i64(feature + TYPES)
        count = counts[number]
        if count == 0:
            continue
        rows_at = address_i32(rows) + 4 * rows.shape[1] * number
        slot, where = load_i64(feature + SOURCE_SLOT), load_i64(feature + WHERE)
        mask_at = masks_of[0] + where * masks_of[1] if where >= 0 else 0
        mark_updates(rows_at, count, types_at, load_i64(feature + SOURCE_TYPE), present_at, slot, mask_at, updates_at)
        member = load_i64(feature + MEMBER_SLOT)
        if member >= 0:
            mark_leaves(rows_at, count, cells_at + cells_stride * member, updates_at)
        mark_others(
            feature, v, rows_at, count, types_at, present_at, (cells_at, cells_stride), masks_of, known_of, updates_at
        )  # fmt: skip
        read = load_i64(feature + READ)
        store_i64(v + ROWS, rows_at)
        store_i64(v + ROWS_COUNT, count)
        field_at = cells_at + cells_stride * slot if slot >= 0 else address_i64(at_ms)
        store_i64(v + CELLS, address_i64(outs) + 8 * outs.shape[1] * read if read >= 0 else field_at)
        store_i64(v + OUT, address_i64(outs) + 8 * outs.shape[1] * index)
        store_i64(v + KNOWN, known_of[0] + known_of[1] * index)
        fold_feature(feature, v, transitions)


@kernel
def fold_rows(
    feature: Int64s, transitions: Transitions, view: Int64s, slots: NDArray[np.int32], rows: NDArray[np.int32],
    updates: NDArray[np.uint8], at_ms: Int64s, cells: Int64s, ends: Int64s, out: Int64s, known: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fold one feature over given rows and updates, logged when they happened."""
    v = address_i64(view)
    store_i64(v + SLOTS, address_i32(slots))
    store_i64(v + ROWS, address_i32(rows))
    store_i64(v + ROWS_COUNT, rows.shape[0])
    store_i64(v + UPDATES, address_u8(updates))
    store_i64(v + TIMES, address_i64(at_ms))
    store_i64(v + LOGS, address_i64(at_ms))
    store_i64(v + ENDS, address_i64(ends))
    store_i64(v + TABLE, 0)
    store_i64(v + CELLS, address_i64(cells))
    store_i64(v + OUT, address_i64(out))
    store_i64(v + KNOWN, address_u8(known))
    fold_feature(address_i64(feature), v, transitions)
