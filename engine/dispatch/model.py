"""What dispatch handles: a decision to send, and its way to an end.

WAITING ─► FLYING ─► gone      the gateway took it, refused it for good, or nobody knows
   ▲          │
   └─ BACKOFF ◄┘               refused for now, certainly not taken
PARKED is waiting behind an earlier send to the same subscriber.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

from state.decisions import OutcomeState

if TYPE_CHECKING:
    from engine.dispatch.queue import Lane

FOR_EVER_MS = 1 << 62

Places = tuple[int, str, str, int]
"""What an attempt takes of quotas: day, channel, campaign, parts."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision that is to reach somebody. `shelf_life_ms` 0 keeps for ever; `fields` are a desk card's.

    `fault` says why it cannot be sent; empty when it can.
    """

    decision_id: str
    subscriber: int
    rule: str
    campaign: str
    channel: str
    offer: str
    text: str
    klass: str
    at_ms: int
    shelf_life_ms: int
    priority: int
    fields: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def expires_ms(self) -> int:
        """When it must not be sent any more."""
        return self.at_ms + self.shelf_life_ms if self.shelf_life_ms > 0 else FOR_EVER_MS


class Phase(IntEnum):
    """Where a send is."""

    WAITING = 0
    PARKED = 1
    BACKOFF = 2
    FLYING = 3
    GONE = 4


class Send:
    """One decision on its way. `position` is that of the outbox record that holds it whole; `parts` counts the messages
    on the air that its text needs.

    `doubtful`: an attempt may have reached somebody, and another is made only because that does no harm. Such a send is
    never refunded.
    """

    __slots__ = (
        "day",
        "doubtful",
        "due_ms",
        "expires_ms",
        "gateway",
        "lane",
        "order",
        "parts",
        "phase",
        "position",
        "refused",
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
        self.gateway = ""
        self.refused: tuple[str, ...] = ()
        self.doubtful = False
        self.lane: Lane | None = None


class Report(NamedTuple):
    """An outcome that the log is to be told."""

    decision_id: str
    subscriber: int
    state: OutcomeState
    gateway: str
    error: str


class Scope(StrEnum):
    """What can be paused, resumed and killed."""

    RULE = "rule"
    CAMPAIGN = "campaign"
    CHANNEL = "channel"


class Action(StrEnum):
    """What operations can do to a scope."""

    PAUSE = "pause"
    RESUME = "resume"
    KILL = "kill"
