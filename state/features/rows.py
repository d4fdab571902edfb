"""What the loops of all kinds are told of the rows they walk, as words at an address."""

from state.jit import part
from state.raw import load_i64

SLOTS, ROWS, ROWS_COUNT, UPDATES, TIMES, CELLS, OUT, KNOWN, LOGS, ENDS = range(0, 80, 8)
"""What a loop is told of the rows, as offsets in bytes: addresses of columns, and the number of rows. LOGS are the
log's times of the rows, ENDS when a membership ends that a row tells of, 0 for never; both by row."""
OTHER_CELLS, DUE_RULES, DUE_KEYS = range(80, 104, 8)
"""And a timer: keys of the event that ends it; of rows `due`, whose they are, and their keys."""
TABLE, TABLE_STRIDE, PRESENT = range(104, 128, 8)
"""And kinds that read several fields of a row: the address of the first cells, 0 where rows are given without their
fields; the bytes from slot to slot; which slots each row knows."""
VIEW_WORDS = 16

AHEAD = 24
"""Rows between a prefetch and its use."""


@part
def view_of(view: int) -> tuple[int, int, int, int, int, int, int, int]:
    """Return what a loop is told of the rows: see `state.features.spec`."""
    return (
        load_i64(view + SLOTS), load_i64(view + ROWS), load_i64(view + ROWS_COUNT), load_i64(view + UPDATES),
        load_i64(view + TIMES), load_i64(view + CELLS), load_i64(view + OUT), load_i64(view + KNOWN),
    )  # fmt: skip
