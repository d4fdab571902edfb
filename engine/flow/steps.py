"""The steps of the events' own clock: the moments at which new decisions fall due.

A step is the span (end - STEP_MS, end]. Its rows are folded, and what they decided is due at its end; so one frame may
hold many rows, and no row after the end is folded before what is due then has gone. What waits for a window, a quota, a
rate or a retry is due at its own moment, which may lie within a step: the fold stops there too (`engine.flow.gate`).
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

STEP_MS = 30_000
FOREVER_MS = 1 << 62
"""Later than anything."""

Times = TypeVar("Times", int, NDArray[np.int64])


def step_end(at_ms: Times) -> Times:
    """Return the end of the step that a time lies in; a time that is an end is its own."""
    return -(-at_ms // STEP_MS) * STEP_MS
