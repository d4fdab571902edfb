"""distinct: how many different values a field took in the window; exact up to 16, where it stops. 0 before the first.

A row keeps the sixteen most recently seen values, each with the newest pane it was seen in. If a window holds sixteen
values or fewer they are all among them, so the count is exact again as soon as the window holds fewer.

Columns: head (newest pane << 32 | number of values) and the values; then the low byte of each value's pane. Panes more
than `ring` apart never stand together in a row, so the byte tells them apart.
"""

from state.features.panes import pane_of
from state.features.rows import AHEAD, view_of
from state.features.spec import (
    ANCHOR_MS,
    BASE,
    GRID,
    MODE,
    PANE_MS,
    RING,
    SECOND,
    SINGLE,
    ColumnSpec,
    FeatureKind,
    FeatureSpec,
)
from state.jit import routine
from state.raw import load_i32, load_i64, load_u8, prefetch, shift_right, store_i64, store_u8
from state.schema import Kind
from state.zone import Transitions

VALUES_MAX = 16

_LOW32 = (1 << 32) - 1
_STRIDE = 8 * (1 + VALUES_MAX)
_MINUS_ZERO = -(1 << 63)  # the bits of -0.0, which is counted as 0.0


def _columns(_spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 1 + VALUES_MAX), ColumnSpec("uint8", VALUES_MAX)]


def _zero_of(spec: FeatureSpec) -> int:
    """Return the cell that is counted as 0."""
    return _MINUS_ZERO if spec.value_kind == Kind.FLOAT else 0


@routine
def count_live(ages: int, newest: int, pane: int, count: int, ring: int) -> int:
    """Return how many values were seen in the window that ends with `pane`."""
    if pane <= newest:
        return count
    later = pane - newest
    live = 0
    for i in range(count):
        if ((newest - load_u8(ages + i)) & 255) + later < ring:
            live += 1
    return live


@routine
def expire(values: int, ages: int, newest: int, pane: int, count: int, ring: int) -> int:
    """Forget the values that are out of the window that ends with `pane`; return how many stay."""
    if pane - newest >= ring:
        return 0
    stay = 0
    for i in range(count):
        age = load_u8(ages + i)
        if ((newest - age) & 255) + pane - newest < ring:
            store_u8(ages + stay, age)
            store_i64(values + 8 * stay, load_i64(values + 8 * i))
            stay += 1
    return stay


@routine
def sight(values: int, ages: int, newest: int, pane: int, count: int, value: int) -> int:
    """Note that `value` was seen in `pane`, in place of the value unseen for longest if all are taken."""
    place = 0
    while place < count and load_i64(values + 8 * place) != value:
        place += 1
    if place == VALUES_MAX:
        place = 0
        for i in range(1, VALUES_MAX):
            if ((newest - load_u8(ages + i)) & 255) > ((newest - load_u8(ages + place)) & 255):
                place = i
    if place == count or newest - pane < ((newest - load_u8(ages + place)) & 255):
        store_i64(values + 8 * place, value)
        store_u8(ages + place, pane & 255)
    return max(count, place + 1)


@routine
def fold_distinct(feature: int, view: int, transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, pane_base, as_zero = load_i64(feature + BASE), load_i64(feature + SECOND), load_i64(feature + MODE)
    ring, grid = load_i64(feature + RING), load_i64(feature + GRID)
    pane_ms, anchor_ms = load_i64(feature + PANE_MS), load_i64(feature + ANCHOR_MS)
    pane, low, high = 0, 0, 0
    slots_at, rows_at, n, updates_at, times_at, cells_at, out_at, known_at = view_of(view)
    for i in range(n):
        if i + AHEAD < n:
            ahead = load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD)))
            prefetch(base + ahead * _STRIDE)
            prefetch(pane_base + ahead * VALUES_MAX)
        row = load_i32(rows_at + 4 * i)
        ms = load_i64(times_at + 8 * row)
        if ms < low or ms >= high:
            pane, low, high = pane_of(ms, grid, pane_ms, anchor_ms, transitions)
        slot = load_i32(slots_at + 4 * row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 1)
        if slot < 0:
            continue
        address = base + slot * _STRIDE
        ages = pane_base + slot * VALUES_MAX
        head = load_i64(address)
        newest = shift_right(head, 32)
        count = head & _LOW32
        if load_u8(updates_at + row) != 0 and newest - pane < ring:
            value = load_i64(cells_at + 8 * row)
            value = value if value != as_zero else 0
            if pane > newest:
                count = expire(address + 8, ages, newest, pane, count, ring)
                newest = pane
            count = sight(address + 8, ages, newest, pane, count, value)
            store_i64(address, (newest << 32) | count)
        store_i64(out_at + 8 * row, count_live(ages, newest, pane, count, ring))


KIND = FeatureKind(
    "distinct",
    _columns,
    fold_distinct,
    results=dict.fromkeys(SINGLE, Kind.INT),
    takes="a single value",
    example='distinct = "e.word"',
    mode=_zero_of,
)
