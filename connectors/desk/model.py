"""What stands on a counter's screen.

A **panel** belongs to one terminal. It holds the **visit** (a subscriber stands there now), at most three live
**cards**, and what it still **owes** the log: visits opened and closed, cards that ended. What it can undergo is in
`changes`. No text is judged or escaped: see `view` for what leaves to a browser.
"""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

TERMINAL = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
Name = Annotated[str, StringConstraints(pattern=f"^{TERMINAL.pattern}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$")]
Msisdn = Annotated[int, Field(gt=0, lt=1 << 63)]


class Frozen(BaseModel):
    """A value that never changes; a changed one is a copy. What a newer version of this code added is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CardState(StrEnum):
    """Live, or the one way in which a card ended."""

    LIVE = "live"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    LATER = "later"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Reply(StrEnum):
    """What a clerk can say to a card."""

    ACCEPT = "accept"
    DECLINE = "decline"
    LATER = "later"


ENDS = {Reply.ACCEPT: CardState.ACCEPTED, Reply.DECLINE: CardState.DECLINED, Reply.LATER: CardState.LATER}


class DeclineReason(StrEnum):
    """Why a customer did not want it: 已有、嫌贵、不需要、稍后、客户已走."""

    HAS_IT = "has_it"
    TOO_DEAR = "too_dear"
    NO_NEED = "no_need"
    ANOTHER_TIME = "another_time"
    LEFT = "left"


class Cause(StrEnum):
    """Why a visit closed."""

    DONE = "done"
    NEXT = "next"
    LOGOUT = "logout"
    IDLE = "idle"
    MOVED = "moved"


class Placing(StrEnum):
    """What became of an offered card."""

    SHOWN = "shown"  # on the panel of the subscriber's open visit; connected pages draw it at once
    NO_VISIT = "no_visit"  # the subscriber stands at no counter now
    EXPIRED = "expired"  # its time was up before it came
    ENDED = "ended"  # it stood on a panel before and has ended; its end was reported, or will be
    FULL = "full"  # as many live cards as the screen holds
    DOUBLE = "double"  # the same words stand there already: they came back with their customer


class Ruling(StrEnum):
    """What became of an answer."""

    RECORDED = "recorded"
    REPEATED = "repeated"  # the same answer again
    LATE = "late"  # the card had ended otherwise; its state stands
    UNKNOWN = "unknown"


class Customer(Frozen):
    """What a clerk may know of the customer; empty where unknown."""

    brand: str = Field(default="", max_length=40)
    tenure: str = Field(default="", max_length=40)
    handset: str = Field(default="", max_length=60)


class Answer(Frozen):
    """How a card ended, in the log's words: a Reply, "expired" or "withdrawn", and whether a page ever drew it."""

    kind: str
    note: str
    at_ms: int
    shown: bool


class Card(Frozen):
    """One recommendation. Its id is the decision's."""

    decision_id: Id
    subscriber: Msisdn
    title: str
    reason: str
    script: str = ""
    price: str = ""
    priority: int = 0
    expires_ms: int = 0  # 0: the desk's own card life counts
    rule: str = ""
    campaign: str = ""
    slot: int = 0
    state: CardState = CardState.LIVE
    note: str = ""
    shown_ms: int = 0
    ended_ms: int = 0
    returned: bool = False  # it came along from an earlier visit, or from another counter

    def ended(self, state: CardState, note: str, now_ms: int) -> "Card":
        """Return the card as it ended."""
        return self.model_copy(update={"state": state, "note": note, "ended_ms": now_ms})

    @property
    def answer(self) -> Answer:
        """How it ended, in the log's words."""
        kinds = {CardState.ACCEPTED: "accept", CardState.DECLINED: "decline"}
        return Answer(
            kind=kinds.get(self.state, self.state.value),
            note=self.note,
            at_ms=self.ended_ms,
            shown=self.shown_ms > 0,
        )


class Visit(Frozen):
    """A subscriber at a counter."""

    id: Id
    terminal: Name
    subscriber: Msisdn
    opened_ms: int
    touched_ms: int = 0
    customer: Customer = Customer()
    closed_ms: int = 0
    cause: Cause | None = None
    opted_out: bool = False

    @property
    def open(self) -> bool:
        """Whether the customer still stands there."""
        return self.cause is None


class Seat(Frozen):
    """The session signed in at a terminal: its number, larger for a later sign-in, and the process serving its page."""

    session: int
    where: str
    since_ms: int


class Note(Frozen):
    """Something the log has yet to learn: a visit that opened or closed, or a card that ended."""

    key: str
    since_ms: int
    visit: Visit | None = None
    card: Card | None = None


class Panel(Frozen):
    """One terminal's screen. `version` counts its changes; 0 is a terminal never heard of.

    `left` are the unanswered cards of visits that have closed here; they are on no screen.
    """

    terminal: Name
    version: int = 0
    changed_ms: int = 0
    seat: Seat | None = None
    visit: Visit | None = None
    cards: tuple[Card, ...] = ()
    left: tuple[Card, ...] = ()
    owed: tuple[Note, ...] = ()

    @property
    def open_visit(self) -> Visit | None:
        """The visit, while it is open."""
        return self.visit if self.visit is not None and self.visit.open else None

    def visit_of(self, subscriber: int) -> Visit | None:
        """Return the open visit, where it is that of the subscriber."""
        visit = self.open_visit
        return visit if visit is not None and visit.subscriber == subscriber else None

    @property
    def live(self) -> tuple[Card, ...]:
        """Cards still to be answered."""
        return tuple(card for card in self.cards if card.state is CardState.LIVE)

    def card(self, decision_id: str) -> Card | None:
        """Return the card with this id, if it stands here."""
        return next((card for card in (*self.cards, *self.left) if card.decision_id == decision_id), None)

    @property
    def subscribers(self) -> tuple[int, ...]:
        """Who stands here, or has left cards here."""
        visit = self.open_visit
        return (*(card.subscriber for card in self.left), *((visit.subscriber,) if visit is not None else ()))

    def due_ms(self, idle_ms: int, retry_ms: int) -> int | None:
        """Return when this panel wants to be looked at without being asked; None for never."""
        moments = [note.since_ms + retry_ms for note in self.owed]
        moments += [card.expires_ms for card in self.left]
        visit = self.open_visit
        if visit is not None:
            moments.append(visit.touched_ms + idle_ms)
            moments += [card.expires_ms for card in self.live]
        return min(moments, default=None)
