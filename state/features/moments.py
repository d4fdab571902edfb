"""Windows for kinds that keep exact times: last, previous, since.

Their events are ordered by event time; of two at the same millisecond the later row counts as the later. Time 0 marks
an empty row, so an event before 1970 counts as of its first millisecond.
"""

from state.features.spec import EVER, FIXED, LOCAL, MONTH, FeatureSpec
from state.jit import kernel
from state.zone import Transitions, local_day, local_month

_MODES = {"ever": EVER, "rolling": FIXED, "day": LOCAL, "month": MONTH}


def mode_of(spec: FeatureSpec) -> int:
    """Return the number by which kernels know the window of `spec`."""
    return _MODES[spec.window]


@kernel
def within(at: int, now: int, mode: int, window_ms: int, transitions: Transitions) -> bool:
    """Tell whether the event at `at` lies in the window that ends at `now`."""
    if mode == EVER:
        return True
    if mode == FIXED:
        return now - at < window_ms
    if mode == LOCAL:
        return local_day(at, transitions) == local_day(now, transitions)
    return local_month(at, transitions) == local_month(now, transitions)
