"""lists: which of the book's lists a subscriber is on, as a set over the declared lists in their order.

Rows of the event type `list`: the cell is the hash of the list's name; `updates` is JOINS or LEAVES. They act in log
order, whatever their event time. A row of the column holds the 31-bit ids of lists, 0 for none: membership does not
depend on the order in which a book declares its lists, so it survives a reload. The column is as wide as there are
declared lists, rounded up to eight, and a list no longer declared gives way to one that is: no joining is ever refused.
An event for a list that the book does not declare changes nothing, except that leaving it is obeyed.
"""

from state.features.rows import AHEAD, view_of
from state.features.spec import (
    BASE,
    MEMBERS,
    MEMBERS_COUNT,
    STRIDE,
    ColumnSpec,
    FeatureKind,
    FeatureSpec,
)
from state.jit import kernel, routine
from state.raw import load_i32, load_i64, load_u8, prefetch, store_i32, store_i64, store_u8
from state.schema import Kind
from state.zone import Transitions

JOINS, LEAVES = 1, 2
"""What `updates` says of a row."""

_STEP = 8
_ID_MASK = 0x7FFFFFFF


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    ids = spec.member_ids
    if len(set(ids.tolist())) < len(spec.members):
        raise ValueError(f"lists={len(spec.members)} have {len(set(ids.tolist()))} different ids: rename one of two")
    return [ColumnSpec("int32", _STEP * max(1, -(-len(spec.members) // _STEP)))]


@routine
def id_of(text_hash: int) -> int:
    """Return the 31-bit id of a list from the hash of its name; equals `state.hashing.stable_id`."""
    short = text_hash & _ID_MASK
    return short if short != 0 else 1


@kernel
def mark_leaves(rows_at: int, count: int, members_at: int, updates_at: int) -> None:
    """Turn JOINS into LEAVES for those of the rows whose cell in the column at `members_at` is false."""
    for i in range(count):
        row = load_i32(rows_at + 4 * i)
        if load_u8(updates_at + row) != 0 and load_i64(members_at + 8 * row) == 0:
            store_u8(updates_at + row, LEAVES)


@routine
def position(ids: int, count: int, wanted: int) -> int:
    """Return the index of an id among `count` at the address `ids`, or -1."""
    for i in range(count):
        if load_i32(ids + 4 * i) == wanted:
            return i
    return -1


@routine
def join(held: int, width: int, members: int, members_count: int, wanted: int) -> None:
    """Put a declared list into the row at the address `held`, unless it is there."""
    room = held
    for k in range(width - 1, -1, -1):
        one = load_i32(held + 4 * k)
        if one == wanted:
            return
        if one == 0 or position(members, members_count, one) < 0:
            room = held + 4 * k
    store_i32(room, wanted)


@routine
def fold_lists(feature: int, view: int, _transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride = load_i64(feature + BASE), load_i64(feature + STRIDE)
    width = stride // 4
    members, members_count = load_i64(feature + MEMBERS), load_i64(feature + MEMBERS_COUNT)
    slots_at, rows_at, n, updates_at, _, cells_at, out_at, known_at = view_of(view)
    for i in range(n):
        if i + AHEAD < n:
            prefetch(base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * stride)
        row = load_i32(rows_at + 4 * i)
        slot = load_i32(slots_at + 4 * row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 1)
        if slot < 0:
            continue
        address = base + slot * stride
        if load_u8(updates_at + row) != 0:
            wanted = id_of(load_i64(cells_at + 8 * row))
            if load_u8(updates_at + row) == LEAVES:
                for k in range(width):
                    if load_i32(address + 4 * k) == wanted:
                        store_i32(address + 4 * k, 0)
            elif position(members, members_count, wanted) >= 0:
                join(address, width, members, members_count, wanted)
        bits = 0
        for k in range(width):
            one = load_i32(address + 4 * k)
            if one != 0:
                bit = position(members, members_count, one)
                if bit >= 0:
                    bits |= 1 << bit
        store_i64(out_at + 8 * row, bits)


KIND = FeatureKind(
    "lists",
    _columns,
    fold_lists,
    results={Kind.STRING: Kind.SET},
    takes="the name of a list",
    example="",
    built_in=True,
)
