"""lists: which of the book's lists a subscriber is on, as a set over the declared lists in their order.

Rows of the event type `list`: the cell is the hash of the list's name; `updates` is JOINS or LEAVES. They act in log
order, whatever their event time. A row of the column holds the 31-bit ids of lists, 0 for none: membership does not
depend on the order in which a book declares its lists, so it survives a reload. The column is as wide as there are
declared lists, rounded up to eight, and a list no longer declared gives way to one that is: no joining is ever refused.
An event for a list that the book does not declare changes nothing, except that leaving it is obeyed.

These are the first 62 lists; each 62 more are a feature of `list_words`.

A membership may end by itself, at a time of the log: at that very time it is over. Its id is marked TIMED, and its end
stands in a second column, by the list's place among the declared ones; that column is made when the first such
membership comes (`ends_of`), so nobody else pays for it. What has ended is passed over where it is read.
"""

from state.features.rows import AHEAD, ENDS, LOGS, view_of
from state.features.spec import (
    BASE,
    MEMBERS,
    MEMBERS_COUNT,
    SECOND,
    SECOND_STRIDE,
    STRIDE,
    ColumnSpec,
    FeatureKind,
    FeatureSpec,
)
from state.jit import kernel, part, routine
from state.raw import load_i32, load_i64, load_u8, prefetch, store_i32, store_i64, store_u8
from state.schema import Kind
from state.zone import Transitions

JOINS, LEAVES = 1, 2
"""What `updates` says of a row."""

_STEP = 8
ID_MASK = 0x7FFFFFFF
_TIMED = 0x80000000
"""Mark of an id whose membership ends."""


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    ids = spec.member_ids
    if len(set(ids.tolist())) < len(spec.members):
        raise ValueError(f"lists={len(spec.members)} have {len(set(ids.tolist()))} different ids: rename one of two")
    return [ColumnSpec("int32", _rounded(spec))]


def ends_of(spec: FeatureSpec) -> ColumnSpec:
    """Return the second column, of this kind and of `list_words`: when each membership ends, by the list's place."""
    return ColumnSpec("int64", _rounded(spec))


def _rounded(spec: FeatureSpec) -> int:
    return _STEP * max(1, -(-len(spec.members) // _STEP))


@routine
def id_of(text_hash: int) -> int:
    """Return the 31-bit id of a list from the hash of its name; equals `state.hashing.stable_id`."""
    short = text_hash & ID_MASK
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
def place_of(held: int, width: int, wanted: int) -> int:
    """Return the address of a list's id in the row at the address `held`; 0 where it is not there."""
    for k in range(width):
        if load_i32(held + 4 * k) & ID_MASK == wanted:
            return held + 4 * k
    return 0


@routine
def place_for(held: int, width: int, members: int, members_count: int, wanted: int) -> int:
    """Return where a declared list's id is, or may be put."""
    room = held
    for k in range(width - 1, -1, -1):
        one = load_i32(held + 4 * k) & ID_MASK
        if one == wanted:
            return held + 4 * k
        if one == 0 or position(members, members_count, one) < 0:
            room = held + 4 * k
    return room


@part
def write_end(feature: int, slot: int, bit: int, end_ms: int) -> None:
    """Write when a membership ends, 0 for one that does not; where there is no such column none does."""
    ends = load_i64(feature + SECOND)
    if ends != 0:
        store_i64(ends + slot * load_i64(feature + SECOND_STRIDE) + 8 * bit, end_ms)


@routine
def move(feature: int, slot: int, wanted: int, leaves: bool, end_ms: int) -> None:
    """Take a subscriber off a list, or put it there until `end_ms`, 0 for ever."""
    held, width = load_i64(feature + BASE) + slot * load_i64(feature + STRIDE), load_i64(feature + STRIDE) // 4
    members, members_count = load_i64(feature + MEMBERS), load_i64(feature + MEMBERS_COUNT)
    bit = position(members, members_count, wanted)
    if bit >= 0:
        write_end(feature, slot, bit, 0 if leaves else end_ms)
    if leaves:
        place = place_of(held, width, wanted)
        while place != 0:
            store_i32(place, 0)
            place = place_of(held, width, wanted)
    elif bit >= 0:
        mark = _TIMED if end_ms != 0 else 0
        store_i32(place_for(held, width, members, members_count, wanted), wanted | mark)


@routine
def keep_on_list(feature: int, slot: int, bit: int, end_ms: int) -> None:
    """Put a subscriber on a declared list until `end_ms`, unless it stays there longer."""
    held, width = load_i64(feature + BASE) + slot * load_i64(feature + STRIDE), load_i64(feature + STRIDE) // 4
    wanted = load_i32(load_i64(feature + MEMBERS) + 4 * bit)
    place = place_of(held, width, wanted)
    if place != 0 and load_i32(place) > 0:
        return
    end = load_i64(feature + SECOND) + slot * load_i64(feature + SECOND_STRIDE) + 8 * bit
    if place == 0 or load_i64(end) < end_ms:
        move(feature, slot, wanted, False, end_ms)


@part
def has_ended(feature: int, slot: int, bit: int, now_ms: int) -> bool:
    """Return whether a membership with an end is over."""
    ends = load_i64(feature + SECOND)
    return ends != 0 and load_i64(ends + slot * load_i64(feature + SECOND_STRIDE) + 8 * bit) <= now_ms


@routine
def fold_lists(feature: int, view: int, _transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride = load_i64(feature + BASE), load_i64(feature + STRIDE)
    width = stride // 4
    members, members_count = load_i64(feature + MEMBERS), load_i64(feature + MEMBERS_COUNT)
    slots_at, rows_at, n, updates_at, _, cells_at, out_at, known_at = view_of(view)
    logs_at, ends_at = load_i64(view + LOGS), load_i64(view + ENDS)
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
        now_ms = load_i64(logs_at + 8 * row)
        if load_u8(updates_at + row) != 0:
            end_ms = load_i64(ends_at + 8 * row)
            leaves = load_u8(updates_at + row) == LEAVES or (end_ms != 0 and end_ms <= now_ms)
            move(feature, slot, id_of(load_i64(cells_at + 8 * row)), leaves, end_ms)
        bits = 0
        for k in range(width):
            one = load_i32(address + 4 * k)
            if one != 0:
                bit = position(members, members_count, one & ID_MASK)
                if bit >= 0 and not (one < 0 and has_ended(feature, slot, bit, now_ms)):
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
