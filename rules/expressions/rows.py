"""Rows on the way in, hits on the way out: where columns stand, which rows are of a type, hits in log order."""

import numpy as np
from numpy.typing import NDArray

from state.jit import kernel, routine
from state.raw import address_of, equal_mask64, load_u8, store_i32, trailing_zeros

__all__ = ["addresses", "rows_of_type", "sort_hits"]

INSERTED_MAX = 96


@kernel
def addresses(
    types: NDArray[np.uint8],
    at_ms: NDArray[np.int64],
    present: NDArray[np.int64],
    cells: NDArray[np.int64],
    outs: NDArray[np.int64],
    outs_known: NDArray[np.uint8],
    to: NDArray[np.int64],
) -> None:
    """Write the addresses of six arrays: ten times as fast as asking numpy for them one by one."""
    to[0] = address_of(types)
    to[1] = address_of(at_ms)
    to[2] = address_of(present)
    to[3] = address_of(cells)
    to[4] = address_of(outs)
    to[5] = address_of(outs_known)


@routine
def rows_of_type(types: int, n: int, code: int, rows: int) -> int:
    """Write the rows whose type is `code`, ascending, as int32 at `rows`; return how many.

    `types` is the address of n bytes. Nothing is read after them; `rows` needs room for one number more.
    """
    count = 0
    whole = n - n % 64
    for first in range(0, whole, 64):
        left = equal_mask64(types + first, code)
        while left != 0:
            store_i32(rows + count * 4, first + trailing_zeros(left))
            left &= left - 1
            count += 1
    for row in range(whole, n):
        store_i32(rows + count * 4, row)
        count += 1 if load_u8(types + row) == code else 0
    return count


@kernel
def sort_hits(
    count: int,
    n: int,
    rows: NDArray[np.int32],
    exprs: NDArray[np.int32],
    starts: NDArray[np.int32],
    rows_out: NDArray[np.int32],
    exprs_out: NDArray[np.int32],
) -> None:
    """Bring hits into log order, keeping the order of hits on one row; `starts` is room for n + 1.

    Few hits are inserted one by one, more are counted by row.
    """
    if count <= INSERTED_MAX:
        for hit in range(count):
            row = rows[hit]
            to = hit
            while to > 0 and rows_out[to - 1] > row:
                rows_out[to] = rows_out[to - 1]
                exprs_out[to] = exprs_out[to - 1]
                to -= 1
            rows_out[to] = row
            exprs_out[to] = exprs[hit]
        return
    for row in range(n + 1):
        starts[row] = 0
    for hit in range(count):
        starts[rows[hit] + 1] += 1
    for row in range(n):
        starts[row + 1] += starts[row]
    for hit in range(count):
        row = rows[hit]
        to = starts[row]
        starts[row] = to + 1
        rows_out[to] = row
        exprs_out[to] = exprs[hit]
