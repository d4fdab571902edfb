"""list_words: 62 lists after the first 62, as a set over them in their order; beside `lists`, of which see the rest.

A row of the column: the bits of the lists that the subscriber is on, and those of them whose membership ends. The place
of a list among all that a book has ever had is its own for ever (`rules.lineage`), so its bit is too.
"""

from state.features.kinds import lists
from state.features.kinds.lists import LEAVES, has_ended, id_of, position, write_end
from state.features.rows import ENDS, LOGS, view_of
from state.features.spec import (
    BASE,
    MEMBERS,
    MEMBERS_COUNT,
    STRIDE,
    ColumnSpec,
    FeatureKind,
    FeatureSpec,
)
from state.jit import routine
from state.raw import load_i32, load_i64, load_u8, store_i64, store_u8, trailing_zeros
from state.schema import Kind
from state.zone import Transitions


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 2)]


@routine
def move(feature: int, slot: int, bit: int, leaves: bool, end_ms: int) -> None:
    """Take a subscriber off a list, or put it there until `end_ms`, 0 for ever."""
    held = load_i64(feature + BASE) + slot * load_i64(feature + STRIDE)
    on, timed = load_i64(held) & ~(1 << bit), load_i64(held + 8) & ~(1 << bit)
    write_end(feature, slot, bit, 0 if leaves else end_ms)
    if not leaves:
        on |= 1 << bit
        timed |= (1 << bit) * (end_ms != 0)
    store_i64(held, on)
    store_i64(held + 8, timed)


@routine
def keep_in_word(feature: int, slot: int, bit: int, end_ms: int) -> None:
    """Put a subscriber on a declared list until `end_ms`, unless it stays there longer."""
    held = load_i64(feature + BASE) + slot * load_i64(feature + STRIDE)
    on, timed = load_i64(held) >> bit & 1, load_i64(held + 8) >> bit & 1
    if on == 0 or (timed != 0 and has_ended(feature, slot, bit, end_ms)):
        move(feature, slot, bit, False, end_ms)


@routine
def fold_list_words(feature: int, view: int, _transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride = load_i64(feature + BASE), load_i64(feature + STRIDE)
    members, members_count = load_i64(feature + MEMBERS), load_i64(feature + MEMBERS_COUNT)
    slots_at, rows_at, n, updates_at, _, cells_at, out_at, known_at = view_of(view)
    logs_at, ends_at = load_i64(view + LOGS), load_i64(view + ENDS)
    for i in range(n):
        row = load_i32(rows_at + 4 * i)
        slot = load_i32(slots_at + 4 * row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 1)
        if slot < 0:
            continue
        now_ms = load_i64(logs_at + 8 * row)
        if load_u8(updates_at + row) != 0:
            bit = position(members, members_count, id_of(load_i64(cells_at + 8 * row)))
            end_ms = load_i64(ends_at + 8 * row)
            leaves = load_u8(updates_at + row) == LEAVES or (end_ms != 0 and end_ms <= now_ms)
            if bit >= 0:
                move(feature, slot, bit, leaves, end_ms)
        on, timed = load_i64(base + slot * stride), load_i64(base + slot * stride + 8)
        while timed != 0:
            bit = trailing_zeros(timed)
            timed &= timed - 1
            if has_ended(feature, slot, bit, now_ms):
                on &= ~(1 << bit)
        store_i64(out_at + 8 * row, on)


KIND = FeatureKind(
    "list_words",
    _columns,
    fold_list_words,
    results={Kind.STRING: Kind.SET},
    takes="the name of a list",
    example="",
    built_in=True,
)

LIST_KINDS = (lists.KIND.name, KIND.name)
"""The kinds of the features that hold lists: of the first, and of each after it."""
