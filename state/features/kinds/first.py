"""first: the value of a field in the earliest matching event of the window, by event time; unknown before the first.

A row of the column: the head of `state.features.panes`, then for each pane the time of its earliest event and the
value.
"""

from state.features.panes import live_bits, pane_of
from state.features.rows import AHEAD, view_of
from state.features.spec import (
    ANCHOR_MS,
    BASE,
    GRID,
    PANE_MS,
    RING,
    STRIDE,
    ColumnSpec,
    FeatureKind,
    FeatureSpec,
    same,
)
from state.jit import routine
from state.raw import leading_zeros, load_i32, load_i64, load_u8, prefetch, shift_right, store_i64, store_u8
from state.schema import Kind
from state.zone import Transitions

_LOW32 = (1 << 32) - 1


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 1 + 2 * spec.ring)]


@routine
def add_first(address: int, pane: int, ms: int, value: int, ring: int) -> None:
    """Let an event into its pane, if the ring reaches back to it."""
    head = load_i64(address)
    newest = shift_right(head, 32)
    bits = head & _LOW32
    if pane > newest:
        bits = live_bits(bits, pane - newest, ring)
        newest = pane
    back = newest - pane
    if back >= ring:
        return
    at = address + 8 + pane % ring * 16
    if (bits >> back) & 1 == 0 or ms < load_i64(at):
        store_i64(at, ms)
        store_i64(at + 8, value)
    store_i64(address, (newest << 32) | bits | (1 << back))


@routine
def oldest_place(address: int, pane: int, ring: int) -> int:
    """Return the address of the oldest live pane as of `pane`, or of the newest where that is later; 0 for none."""
    head = load_i64(address)
    newest = shift_right(head, 32)
    bits = head & _LOW32
    if pane > newest:
        bits = live_bits(bits, pane - newest, ring)
        newest = pane
    if bits == 0:
        return 0
    back = 63 - leading_zeros(bits)
    return address + 8 + (newest - back) % ring * 16


@routine
def fold_first(feature: int, view: int, transitions: Transitions) -> None:
    """Fold the rows in order (see `state.features`)."""
    base, stride, ring = load_i64(feature + BASE), load_i64(feature + STRIDE), load_i64(feature + RING)
    grid, pane_ms, anchor_ms = load_i64(feature + GRID), load_i64(feature + PANE_MS), load_i64(feature + ANCHOR_MS)
    pane, low, high = 0, 0, 0
    slots_at, rows_at, n, updates_at, times_at, cells_at, out_at, known_at = view_of(view)
    for i in range(n):
        if i + AHEAD < n:
            prefetch(base + load_i32(slots_at + 4 * load_i32(rows_at + 4 * (i + AHEAD))) * stride)
        row = load_i32(rows_at + 4 * i)
        ms = load_i64(times_at + 8 * row)
        if ms < low or ms >= high:
            pane, low, high = pane_of(ms, grid, pane_ms, anchor_ms, transitions)
        slot = load_i32(slots_at + 4 * row)
        store_i64(out_at + 8 * row, 0)
        store_u8(known_at + row, 0)
        if slot < 0:
            continue
        address = base + slot * stride
        if load_u8(updates_at + row) != 0:
            add_first(address, pane, ms, load_i64(cells_at + 8 * row), ring)
        place = oldest_place(address, pane, ring)
        if place != 0:
            store_i64(out_at + 8 * row, load_i64(place + 8))
            store_u8(known_at + row, 1)


KIND = FeatureKind(
    "first",
    _columns,
    fold_first,
    results={None: Kind.TIME, **same(*Kind)},
    takes="anything",
    example='first = "e.word"',
)
