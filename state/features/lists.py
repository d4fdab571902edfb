"""lists: which of the book's lists a subscriber is on, as a set over the declared lists in their order.

Rows of the event type `list`: the cell is the hash of the list's name; `updates` is JOINS or LEAVES. They act in log
order, whatever their event time. A row of the column holds the 31-bit ids of lists, 0 for none: membership does not
depend on the order in which a book declares its lists, so it survives a reload. The column is as wide as there are
declared lists, rounded up to eight, and a list no longer declared gives way to one that is: no joining is ever refused.
An event for a list that the book does not declare changes nothing, except that leaving it is obeyed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.features.panes import AHEAD
from state.features.spec import Arrays, ColumnSpec, FeatureKind, FeatureSpec, Int64s
from state.jit import kernel
from state.raw import (
    address_i32,
    address_i64,
    address_u8,
    load_i32,
    load_i64,
    load_u8,
    prefetch,
    store_i64,
    store_u8,
)

JOINS, LEAVES = 1, 2
"""What `updates` says of a row."""

_STEP = 8
_ID_MASK = 0x7FFFFFFF


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    ids = member_ids(spec)
    if len(set(ids.tolist())) < len(spec.members):
        raise ValueError(f"lists={len(spec.members)} have {len(set(ids.tolist()))} different ids: rename one of two")
    return [ColumnSpec("int32", _STEP * max(1, -(-len(spec.members) // _STEP)))]


def member_ids(spec: FeatureSpec) -> NDArray[np.int32]:
    """Return the ids of the declared lists, in their order."""
    return np.array([id_of(member) for member in spec.members], dtype=np.int32)


@kernel
def id_of(text_hash: int) -> int:
    """Return the 31-bit id of a list from the hash of its name; equals `state.hashing.stable_id`."""
    short = text_hash & _ID_MASK
    return short if short != 0 else 1


def _fold(spec: FeatureSpec, arrays: Arrays, *columns: NDArray[Any]) -> None:
    slots, rows, updates, _at_ms, cells, out, known = columns
    fold_lists(arrays[0], member_ids(spec), slots, rows, updates, cells, out, known)


@kernel
def mark_leaves(rows: NDArray[np.int32], member: Int64s, updates: NDArray[np.uint8]) -> None:
    """Turn JOINS into LEAVES for those of `rows` whose cell of the field `member` is false."""
    for i in range(rows.shape[0]):
        row = rows[i]
        if updates[row] != 0 and member[row] == 0:
            updates[row] = LEAVES


@kernel
def position(ids: NDArray[np.int32], wanted: int) -> int:
    """Return the index of an id, or -1."""
    for i in range(ids.shape[0]):
        if ids[i] == wanted:
            return i
    return -1


@kernel
def join(state: NDArray[np.int32], slot: int, members: NDArray[np.int32], wanted: int) -> None:
    """Put a declared list into the row, unless it is there."""
    room = -1
    for k in range(state.shape[1]):
        held = state[slot, k]
        if held == wanted:
            return
        if room < 0 and (held == 0 or position(members, held) < 0):
            room = k
    state[slot, room] = wanted


@kernel
def fold_lists(
    state: NDArray[np.int32], members: NDArray[np.int32], slots: NDArray[np.int32], rows: NDArray[np.int32],
    updates: NDArray[np.uint8], cells: Int64s, out: Int64s, known: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fold the rows in order."""
    width = state.shape[1]
    base = address_i32(state)
    slots_at, rows_at, updates_at = address_i32(slots), address_i32(rows), address_u8(updates)
    cells_at, out_at, known_at = address_i64(cells), address_i64(out), address_u8(known)
    n = rows.shape[0]
    for i in range(n):
        if i + AHEAD < n:
            prefetch(base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * width * 4)
        row = load_i32(rows_at + 4 * i)
        slot = load_i32(slots_at + 4 * row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 1)
        if slot < 0:
            continue
        if load_u8(updates_at + row) != 0:
            wanted = id_of(load_i64(cells_at + 8 * row))
            if load_u8(updates_at + row) == LEAVES:
                for k in range(width):
                    if state[slot, k] == wanted:
                        state[slot, k] = 0
            elif position(members, wanted) >= 0:
                join(state, slot, members, wanted)
        held = 0
        for k in range(width):
            if state[slot, k] != 0:
                bit = position(members, state[slot, k])
                if bit >= 0:
                    held |= 1 << bit
        store_i64(out_at + 8 * row, held)


KINDS = (FeatureKind("lists", _columns, _fold, needs_source=True),)
