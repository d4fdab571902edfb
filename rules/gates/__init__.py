"""The gates between a candidate and a decision, one a module, in the order in which they run.

A candidate is a rule whose condition held on an event. For each event the candidates pass in order of priority:

1. `pause`: operations stopped the rule, its campaign or the channel.
2. `age`: the event came too late for the rule (`max_age`, append time minus event time).
3. `eligibility`: the offer needs services that the subscriber lacks, or is held already.
4. `lists`: the subscriber is on a list that excludes the rule.
5. `holdout`: the subscriber is in the rule's, the campaign's or the overall control group.
6. arbitration: an event yields at most so many decisions; lower priorities are outranked.
7. `channel`, `caps`: the first of the rule's channels that is open and under every cap takes it; a contact is reserved
   in the same step, so no two candidates ever share the last place under a cap.

The first gate that says no is recorded with the candidate (`Gate`); where every channel was asked in vain, that of the
channel that came furthest. Its `detail` says more: the bit of the list; the level of the holdout (0 rule, 1 campaign,
2 all); for channels, the place of the channel in the rule << 8, plus the index of the cap in `table.caps_that_hold`.

`kernel.decide` runs them all in one call for a batch. Service messages (class "service") are held by their own and
their campaign's caps only, and do not use up the caps of a channel or of everything.
"""

from enum import IntEnum


class Gate(IntEnum):
    """What stopped a candidate; the numbers are written to disk and never reused."""

    NONE = 0
    PAUSED = 1
    STALE = 2
    ELIGIBILITY = 3
    LIST = 4
    HOLDOUT = 5
    OUTRANKED = 6
    CHANNEL_PAUSED = 7
    NO_VISIT = 8
    CHANNEL_FULL = 9
    CAP = 10
    CONTACTS_FULL = 11

    @property
    def word(self) -> str:
        """The gate's name in books, records and metrics."""
        return self.name.lower().replace("_", " ")
