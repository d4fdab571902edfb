"""Windows as rings of panes, for kinds whose values can be combined pane by pane: count, sum, min, max.

A row of the column, in elements of 4 (count) or 8 bytes:

    head, always 8 bytes: number of the newest pane << 32 | bit j: pane `newest - j` is in use
    older, one element, only where the ring has more than one pane: the panes before the newest, combined
    panes, `ring` elements: pane p lives at p mod ring

Nothing is ever cleared: what the bits do not name is not there. The common step touches the head and one pane. Values
are combined oldest pane first, so a float total is the same however its panes were reached.
"""

from state.features.rows import AHEAD, view_of
from state.features.spec import (
    ANCHOR_MS,
    BASE,
    EVER,
    FIXED,
    GRID,
    LOCAL,
    MODE,
    PANE_MS,
    RING,
    STRIDE,
    ColumnSpec,
    FeatureSpec,
)
from state.jit import part, routine
from state.raw import (
    add_saturated,
    bits_of_float,
    float_of_bits,
    leading_zeros,
    load_i32,
    load_i64,
    load_u8,
    prefetch,
    shift_right,
    store_i32,
    store_i64,
    store_u8,
)
from state.zone import DAY_MS, Transitions, interval_at, month_of_day

COUNT, ADD_INT, ADD_FLOAT, MIN_INT, MAX_INT, MIN_FLOAT, MAX_FLOAT = range(7)
"""How two values become one."""

COUNT_MAX = (1 << 31) - 1
"""Where a count stops."""

PANE_MAX = (1 << 32) - 1
_LOW32 = (1 << 32) - 1
_FAR_PAST = -(1 << 62)
_FAR_FUTURE = 1 << 62


def narrow_columns(spec: FeatureSpec) -> list[ColumnSpec]:
    """Return the one column of a ring with elements of 4 bytes."""
    return [ColumnSpec("int32", 2 + _elements(spec))]


def wide_columns(spec: FeatureSpec) -> list[ColumnSpec]:
    """Return the one column of a ring with elements of 8 bytes."""
    return [ColumnSpec("int64", 1 + _elements(spec))]


def _elements(spec: FeatureSpec) -> int:
    return spec.ring + (1 if spec.ring > 1 else 0)


@routine
def pane_of(ms: int, grid: int, pane_ms: int, anchor_ms: int, transitions: Transitions) -> tuple[int, int, int]:
    """Return the pane of an instant, 1 or more, and bounds (from, before) of instants around it in the same pane."""
    if grid == EVER:
        return 1, _FAR_PAST, _FAR_FUTURE
    ms = min(max(ms, 0), _FAR_FUTURE)
    if grid == FIXED:
        pane = (ms + anchor_ms) // pane_ms
        low = pane * pane_ms - anchor_ms
        return min(max(pane, 1), PANE_MAX), low, low + pane_ms
    index = interval_at(ms, transitions)
    offset = transitions[index, 1]
    length = pane_ms if grid == LOCAL else DAY_MS
    pane = (ms + offset) // length
    low = pane * length - offset
    high = low + length
    if index > 0:
        low = max(low, transitions[index, 0])
    if index + 1 < transitions.shape[0]:
        high = min(high, transitions[index + 1, 0])
    if grid != LOCAL:
        pane = month_of_day(pane)
    return min(max(pane, 1), PANE_MAX), low, high


@part
def combine(operation: int, left: int, right: int) -> int:
    """Return two values as one; `left` is the older."""
    if operation <= ADD_INT:
        total = add_saturated(left, right)
        return min(total, COUNT_MAX) if operation == COUNT else total
    if operation == ADD_FLOAT:
        return bits_of_float(float_of_bits(left) + float_of_bits(right))
    if operation == MIN_INT:
        return min(left, right)
    if operation == MAX_INT:
        return max(left, right)
    if operation == MIN_FLOAT:
        return right if float_of_bits(right) < float_of_bits(left) else left
    return right if float_of_bits(right) > float_of_bits(left) else left


@part
def load(address: int, wide: bool) -> int:
    """Load one element."""
    return load_i64(address) if wide else load_i32(address)


@part
def store(address: int, value: int, wide: bool) -> None:
    """Store one element."""
    if wide:
        store_i64(address, value)
    else:
        store_i32(address, value)


@routine
def combined(address: int, bits: int, place: int, ring: int, operation: int, wide: bool) -> int:
    """Combine the panes named in `bits`, oldest first; bit j stands for the pane j places before `place`."""
    size = 8 if wide else 4
    total = 0
    empty = True
    while bits != 0:
        j = 63 - leading_zeros(bits)
        bits ^= 1 << j
        at = place - j
        value = load(address + (at if at >= 0 else at + ring) * size, wide)
        total = value if empty else combine(operation, total, value)
        empty = False
    return total


@routine
def add_late(
    address: int, panes: int, newest: int, bits: int, back: int, value: int, ring: int, operation: int, wide: bool
) -> None:
    """Put a value into the pane `back` panes before the newest, and combine the older ones anew."""
    size = 8 if wide else 4
    at = panes + (newest - back) % ring * size
    if (bits >> back) & 1:
        value = combine(operation, load(at, wide), value)
    store(at, value, wide)
    bits |= 1 << back
    store_i64(address, (newest << 32) | bits)
    store(address + 8, combined(panes, bits & ~1, newest % ring, ring, operation, wide), wide)


@routine
def add_next(address: int, panes: int, pane: int, place: int, value: int, ring: int, operation: int, wide: bool) -> int:
    """Put a value into a pane later than the newest, at `place`; return all panes combined."""
    head = load_i64(address)
    bits = live_bits(head & _LOW32, pane - shift_right(head, 32), ring)
    store(panes + place * (8 if wide else 4), value, wide)
    store_i64(address, (pane << 32) | bits | 1)
    if bits == 0:
        return value
    older = combined(panes, bits, place, ring, operation, wide)
    store(address + 8, older, wide)
    return combine(operation, older, value)


@part
def live_bits(bits: int, later: int, ring: int) -> int:
    """Return the bits of the panes still in a ring whose newest pane comes `later` panes after."""
    return (bits << later) & ((1 << ring) - 1) if later < ring else 0


@part
def current(address: int, panes: int, pane: int, place: int, ring: int, operation: int, wide: bool) -> tuple[int, bool]:
    """Return the panes combined as of `pane`, or of the newest where that is later, and whether there are any."""
    head = load_i64(address)
    newest = shift_right(head, 32)
    bits = head & _LOW32
    if pane > newest:
        bits = live_bits(bits, pane - newest, ring)
        return combined(panes, bits, place, ring, operation, wide), bits != 0
    value = load(panes + (place if pane == newest else newest % ring) * (8 if wide else 4), wide)
    return (value if bits == 1 else combine(operation, load(address + 8, wide), value)), True


@part
def add(address: int, panes: int, pane: int, place: int, value: int, ring: int, operation: int, wide: bool) -> int:
    """Put a value into its pane, if the ring reaches back to it; return all panes combined."""
    head = load_i64(address)
    newest = shift_right(head, 32)
    if newest == pane:
        at = panes + place * (8 if wide else 4)
        value = combine(operation, load(at, wide), value)
        store(at, value, wide)
        return value if head & _LOW32 == 1 else combine(operation, load(address + 8, wide), value)
    if pane > newest:
        return add_next(address, panes, pane, place, value, ring, operation, wide)
    if newest - pane < ring:
        add_late(address, panes, newest, head & _LOW32, newest - pane, value, ring, operation, wide)
    return current(address, panes, pane, place, ring, operation, wide)[0]


@routine
def fold_panes(feature: int, view: int, transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride, operation = load_i64(feature + BASE), load_i64(feature + STRIDE), load_i64(feature + MODE)
    ring, grid = load_i64(feature + RING), load_i64(feature + GRID)
    pane_ms, anchor_ms = load_i64(feature + PANE_MS), load_i64(feature + ANCHOR_MS)
    wide = operation != COUNT
    size = 8 if wide else 4
    first = 8 if ring == 1 else 8 + size
    pane, place, low, high = 0, 0, 0, 0
    slots_at, rows_at, n, updates_at, times_at, cells_at, out_at, known_at = view_of(view)
    for i in range(n):
        if i + AHEAD < n:
            ahead = base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * stride
            prefetch(ahead)
            prefetch(ahead + first + place * size)
        row = load_i32(rows_at + 4 * i)
        ms = load_i64(times_at + 8 * row)
        if ms < low or ms >= high:
            pane, low, high = pane_of(ms, grid, pane_ms, anchor_ms, transitions)
            place = pane % ring
        slot = load_i32(slots_at + 4 * row)
        address = base + slot * stride
        total = 0
        some = False
        if slot >= 0:
            if load_u8(updates_at + row) != 0:
                value = 1 if operation == COUNT else load_i64(cells_at + 8 * row)
                total = add(address, address + first, pane, place, value, ring, operation, wide)
                some = True
            elif load_i64(address) != 0:
                total, some = current(address, address + first, pane, place, ring, operation, wide)
        store_i64(out_at + 8 * row, total)
        store_u8(known_at + row, some or operation <= ADD_FLOAT)
