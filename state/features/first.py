"""first: the value of a field in the earliest matching event of the window, by event time; unknown before the first.

A row of the column: the head of `state.features.panes`, then for each pane the time of its earliest event and the
value.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.features.panes import AHEAD, live_bits, pane_of
from state.features.spec import Arrays, ColumnSpec, FeatureKind, FeatureSpec, Int64s
from state.jit import kernel
from state.raw import (
    address_i32,
    address_i64,
    address_u8,
    leading_zeros,
    load_i32,
    load_i64,
    load_u8,
    prefetch,
    shift_right,
    store_i64,
    store_u8,
)
from state.zone import Transitions

_LOW32 = (1 << 32) - 1


def _columns(spec: FeatureSpec) -> list[ColumnSpec]:
    return [ColumnSpec("int64", 1 + 2 * spec.ring)]


def _fold(spec: FeatureSpec, arrays: Arrays, *columns: NDArray[Any]) -> None:
    fold_first(arrays[0], spec.ring, spec.grid, spec.pane_ms, spec.anchor_ms, spec.transitions, *columns)


@kernel
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


@kernel
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


@kernel
def fold_first(
    state: NDArray[np.int64],
    ring: int, grid: int, pane_ms: int, anchor_ms: int,
    transitions: Transitions, slots: NDArray[np.int32], rows: NDArray[np.int32], updates: NDArray[np.uint8],
    at_ms: Int64s, cells: Int64s, out: Int64s, known: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fold the rows in order (see `state.features`)."""
    stride = state.shape[1] * 8
    base = address_i64(state)
    slots_at, rows_at, updates_at = address_i32(slots), address_i32(rows), address_u8(updates)
    times_at, cells_at, out_at, known_at = address_i64(at_ms), address_i64(cells), address_i64(out), address_u8(known)
    n = rows.shape[0]
    pane, low, high = 0, 0, 0
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


KINDS = (FeatureKind("first", _columns, _fold, needs_source=True),)
