"""Age: a moment that has passed is no longer opportune.

The age of an event is the time it was appended to the log minus the time it happened; both are in the log, so a replay
judges alike.
"""

from state.jit import part


@part
def too_old(at_ms: int, append_ms: int, max_age_ms: int) -> bool:
    """Return whether the event is older than the rule allows; 0 allows any age."""
    return max_age_ms > 0 and append_ms - at_ms > max_age_ms
