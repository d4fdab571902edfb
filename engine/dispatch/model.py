"""What dispatch handles: a decision to send, and its way to an end.

WAITING ─► FLYING ─► GONE      the gateway took it, refused it for good, or nobody knows
   ▲          │
   └─ BACKOFF ◄┘               refused for now, certainly not taken
PARKED is waiting for an earlier send to the same subscriber.

A send and the queue of its rule know each other, so both stand here; the order among them is `queue`.
"""

import heapq
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from engine.flow.steps import FOREVER_MS
from state.decisions import OutcomeState

Places = tuple[int, str, str, int]
"""What an attempt takes of quotas: day, channel, campaign, parts."""


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Decided(NamedTuple):
    """One decision that is to reach a subscriber; a tuple, because one is made for every text.

    `append_ms` is when its frame was appended to the log; the shelf life counts from there, because an event may come
    long after it happened. `shelf_life_ms` 0 keeps forever; `fields` are a desk card's. `book` is the version that
    decided, empty where it is not known here yet; `facts` what was journaled, of which words are made. `fault` says why
    it cannot be sent; empty when it can.
    """

    decision_id: str
    subscriber: int
    rule: str
    campaign: str
    channel: str
    offer: str
    text: str
    klass: str
    append_ms: int
    shelf_life_ms: int
    priority: int
    fields: Mapping[str, str] = NOTHING
    book: str = ""
    facts: Mapping[str, Any] = NOTHING
    fault: str = ""

    @property
    def expires_ms(self) -> int:
        """When it must not be sent any more."""
        return self.append_ms + self.shelf_life_ms if self.shelf_life_ms > 0 else FOREVER_MS


class Phase(IntEnum):
    """Where a send is."""

    WAITING = 0
    PARKED = 1
    BACKOFF = 2
    FLYING = 3
    GONE = 4


class RuleKey(NamedTuple):
    """What the sends of a rule queue have in common."""

    channel: str
    campaign: str
    rule: str


def rule_key_of(what: Decided) -> RuleKey:
    """Return the key of the rule queue that a decision belongs to."""
    return RuleKey(what.channel, what.campaign, what.rule)


class Send:
    """One decision on its way.

    `position` is that of the outbox record that holds it whole; `order` is its place among all sends; `parts` counts
    the messages on the air that its text needs. `due_ms` is when its back-off ends, `attempted_ms` when it was taken,
    `day` the local day whose quota its attempt counts against, `refused` the gateways that said another should send it.

    `reworded`: its words are those of a later book than the one that decided.

    `doubtful`: an attempt may have reached the subscriber, and another is made only because that does no harm. Such a
    send is never refunded.
    """

    __slots__ = (
        "attempted_ms",
        "day",
        "doubtful",
        "due_ms",
        "expires_ms",
        "gateway",
        "order",
        "parts",
        "phase",
        "position",
        "refused",
        "reworded",
        "rule_queue",
        "tries",
        "what",
    )

    def __init__(self, what: Decided, order: int, position: int) -> None:
        self.what = what
        self.order = order
        self.position = position
        self.parts = 1
        self.expires_ms = what.expires_ms
        self.phase = Phase.WAITING
        self.tries = 0
        self.due_ms = 0
        self.day = 0
        self.attempted_ms = 0
        self.gateway = ""
        self.refused: tuple[str, ...] = ()
        self.doubtful = False
        self.reworded = False
        self.rule_queue: RuleQueue | None = None


class RuleQueue:
    """The sends of one rule on one channel; those that wait also stand in `heap`, best first."""

    __slots__ = ("heap", "key", "sends")

    def __init__(self, key: RuleKey) -> None:
        self.key = key
        self.heap: list[tuple[int, int, int, Send]] = []
        self.sends: dict[Send, None] = {}

    def head(self) -> tuple[int, int] | None:
        """Return the rank of the first send that is still waiting."""
        heap = self.heap
        while heap and heap[0][3].phase is not Phase.WAITING:
            heapq.heappop(heap)
        return heap[0][:2] if heap else None


class Withdrawn(NamedTuple):
    """A decision that the fold has taken back: its subscriber was put on a list, or lost what it needs."""

    decision_id: str
    subscriber: int
    reason: str


class Report(NamedTuple):
    """An outcome for the log."""

    decision_id: str
    subscriber: int
    state: OutcomeState
    gateway: str
    error: str


class SwitchScope(StrEnum):
    """What can be paused, resumed and killed."""

    RULE = "rule"
    CAMPAIGN = "campaign"
    CHANNEL = "channel"


class Action(StrEnum):
    """What operations can do to a scope."""

    PAUSE = "pause"
    RESUME = "resume"
    KILL = "kill"
