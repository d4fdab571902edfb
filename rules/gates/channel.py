"""Channel: a card for the front desk needs a customer at the desk.

A visit is open from its `visit` event until the closing one that names it, and for `VISIT_MS_MAX` at the most. A close
that comes late, after the subscriber's next visit has opened, names another visit and changes nothing; one without a
name closes a visit without a name.
"""

from state.jit import part

VISIT_MS_MAX = 30 * 60_000
"""A visit that nobody closed ends after this long, in event time."""


@part
def at_desk(visit_ms: int, at_ms: int) -> bool:
    """Return whether the visit opened at `visit_ms` (0: none) is open for an event of `at_ms`.

    An event from before the visit that comes in while it is open counts: the customer is there.
    """
    return visit_ms > 0 and at_ms - visit_ms < VISIT_MS_MAX
