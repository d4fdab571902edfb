"""The zone of times that name none, by its name, with its summer time; the tables are `state.calendar`'s.

Local time is milliseconds since 1970 by the clock on the wall.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from state.calendar import is_zone, local_offsets

FOREVER_MS = 1 << 62
"""Later than any time that is read."""
Offset = Callable[[int], int]
"""Gives the offset of a local time, both in milliseconds."""


def check_zone(name: str) -> None:
    """Raise ValueError where the database has no zone of the name."""
    if not is_zone(name):
        raise ValueError(f"time_zone={name!r} must be a zone of the database, as Asia/Shanghai")


def offset_in(name: str) -> Offset:
    """Return what gives the offset of a local time in a zone."""
    table = local_offsets(name)

    def offset(local_ms: int) -> int:
        return int(table[np.searchsorted(table[:, 0], local_ms, side="right") - 1, 1])

    return offset


def offset_table(name: str) -> NDArray[np.int64]:
    """Return `local_offsets` of a zone with a row after the last that only ends the table: int64[k, 2]."""
    return np.concatenate([local_offsets(name), [[FOREVER_MS, 0]]])
