"""The order in which the gates run: the one list that a new gate is put into.

The place in a list is no number on disk: gates may be moved, and a new one stands where it belongs.
"""

from rules.gates import (
    age,
    arbitration,
    arm,
    caps,
    contacts,
    desk,
    eligibility,
    holdout,
    lists,
    offer,
    owner,
    pause,
    per_event,
    shadow,
    text,
)
from rules.gates.spec import Gate

RULE_GATES: tuple[Gate, ...] = (
    pause.RULE_GATE,  # operations stopped the rule or its campaign
    age.GATE,  # the event came too late for the rule
    arm.GATE,  # the subscriber is in another arm of the campaign than the rule
    eligibility.GATE,  # the offer needs services that the subscriber lacks, or is held already
    lists.GATE,  # the subscriber is on a list that excludes the rule
    offer.GATE,  # the offer was made already, or was declined
    arbitration.GATE,  # the event has its decisions; after all that look at the rule alone: a loser takes no place
)
"""Asked of a candidate, before any of its channels; the first that stops it is recorded."""

GATES_OF_KEEPING = RULE_GATES[: RULE_GATES.index(lists.GATE)]
"""Those that a candidate passes to be kept in an audience (`keeping`), whatever stops it afterwards."""

CHANNEL_GATES: tuple[Gate, ...] = (
    pause.CHANNEL_GATE,  # operations stopped the channel
    desk.GATE,  # nobody is at the desk
    per_event.GATE,  # the event has its decisions on the channel
    text.GATE,  # the text has a gap that nothing is known for
    caps.GATE,  # one contact more would break a cap
    contacts.GATE,  # no place for one contact more; last, because it may give up an old one
)
"""Asked of each of the rule's channels in turn, until one passes them all; else that of the channel that came furthest
is recorded."""

LAST_GATES: tuple[Gate, ...] = (
    shadow.GATE,  # the rule only rehearses
    holdout.GATE,  # the subscriber is in a control group
)
"""Asked when a channel was found. What stops here has all the same taken its places: of its event, its channel, its
offer and under every cap, where its contact counts as one that was made at the decision."""

ROW_GATES: tuple[Gate, ...] = (
    owner.GATE,  # the number has a new owner
)
"""Asked of no candidate: a row of the log ends what waits, whatever the book says."""
