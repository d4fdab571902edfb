"""What stands on a counter's screen, and every change it can undergo.

A **panel** belongs to one terminal. It holds the **visit** (a subscriber stands there now), at most three live
**cards**, and what it still **owes** the log: visits opened and closed, cards that ended. A change is a pure function
from a panel to a panel; `panels` applies it by compare-and-set, `reporter` reports what is owed to the log and strikes
it out once that is durable. So an answer survives any crash between the two, and is reported at least once; the log
drops doubles by `Note.key`.

- A card is placed only while its own subscriber's visit is open, and ends exactly once: accepted, declined, put off
  ("later"), expired (unanswered in time, or the visit closed) or withdrawn (its rule was killed). Later answers change
  nothing.
- A card keeps its place on the screen. Nothing displaces a live one: the key under a clerk's finger keeps its meaning.
- A terminal belongs to the session that signed in last; the one before is notified and changes nothing more.
- A subscriber has one open visit; at a second counter the visit moves there with its cards.

No clock here: every function is given the time. No text is judged or escaped: see `view` for what leaves to a browser.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

SETTLED_CARDS_MAX = 12
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
    """One terminal's screen. `version` counts its changes; 0 is a terminal never heard of."""

    terminal: Name
    version: int = 0
    changed_ms: int = 0
    seat: Seat | None = None
    visit: Visit | None = None
    cards: tuple[Card, ...] = ()
    owed: tuple[Note, ...] = ()

    @property
    def open_visit(self) -> Visit | None:
        """The visit, while it is open."""
        return self.visit if self.visit is not None and self.visit.open else None

    @property
    def live(self) -> tuple[Card, ...]:
        """Cards still to be answered."""
        return tuple(card for card in self.cards if card.state is CardState.LIVE)

    def card(self, decision_id: str) -> Card | None:
        """Return the card with this id, if it stands here."""
        return next((card for card in self.cards if card.decision_id == decision_id), None)

    def due_ms(self, idle_ms: int, retry_ms: int) -> int | None:
        """Return when this panel wants to be looked at without being asked; None for never."""
        moments = [note.since_ms + retry_ms for note in self.owed]
        visit = self.open_visit
        if visit is not None:
            moments.append(visit.touched_ms + idle_ms)
            moments += [card.expires_ms for card in self.live]
        return min(moments, default=None)


def _changed(panel: Panel, now_ms: int, **update: object) -> Panel:
    # Never backwards, whatever the clock does: keepers order a terminal's panels by this moment, then by version.
    moment = max(now_ms, panel.changed_ms)
    return panel.model_copy(update={**update, "version": panel.version + 1, "changed_ms": moment})


def _note_card(card: Card, now_ms: int) -> Note:
    return Note(key=f"answer:{card.decision_id}", since_ms=now_ms, card=card)


def _end_cards(
    panel: Panel, now_ms: int, state: CardState, ends: Callable[[Card], bool]
) -> tuple[tuple[Card, ...], tuple[Note, ...]]:
    cards = tuple(
        card.ended(state, "", now_ms) if card.state is CardState.LIVE and ends(card) else card for card in panel.cards
    )
    notes = tuple(
        _note_card(after, now_ms) for before, after in zip(panel.cards, cards, strict=True) if before is not after
    )
    return cards, notes


def opened(panel: Panel, visit: Visit, now_ms: int, *, logged: bool = False) -> Panel:
    """Open a visit; the one that stood here is closed as `next`. The same visit again only counts as activity.

    `logged` says that the log has it already, as where a ticket machine's event brought it.
    """
    assert visit.terminal == panel.terminal, f"visit for {visit.terminal} opened at {panel.terminal}"
    if panel.visit is not None and panel.visit.id == visit.id:
        return touched(panel, now_ms)
    if panel.open_visit is not None:
        panel = closed(panel, Cause.NEXT, now_ms)
    visit = visit.model_copy(update={"touched_ms": now_ms})
    notes = () if logged else (Note(key=f"open:{visit.id}", since_ms=now_ms, visit=visit),)
    return _changed(panel, now_ms, visit=visit, cards=(), owed=(*panel.owed, *notes))


def moved(source: Panel, target: Panel, visit: Visit, now_ms: int, *, logged: bool = False) -> tuple[Panel, Panel]:
    """Open a visit at `target` for a subscriber who stood at `source`: live cards go along, the old visit closes."""
    live = source.live
    rest = source.model_copy(update={"cards": tuple(c for c in source.cards if c.state is not CardState.LIVE)})
    target = opened(target, visit, now_ms, logged=logged)
    return closed(rest, Cause.MOVED, now_ms), target.model_copy(update={"cards": live})


def closed(panel: Panel, cause: Cause, now_ms: int) -> Panel:
    """Close the open visit; what was unanswered has expired. Without an open visit nothing changes."""
    visit = panel.open_visit
    if visit is None:
        return panel
    cards, notes = _end_cards(panel, now_ms, CardState.EXPIRED, lambda _card: True)
    visit = visit.model_copy(update={"cause": cause, "closed_ms": now_ms})
    note = Note(key=f"close:{visit.id}", since_ms=now_ms, visit=visit)
    return _changed(panel, now_ms, visit=visit, cards=cards, owed=(*panel.owed, *notes, note))


def touched(panel: Panel, now_ms: int) -> Panel:
    """Count activity: the idle time starts anew."""
    visit = panel.open_visit
    if visit is None:
        return panel
    return _changed(panel, now_ms, visit=visit.model_copy(update={"touched_ms": now_ms}))


def seated(panel: Panel, session: int, where: str, now_ms: int) -> Panel:
    """Give the terminal to a session, served by `where`; a later sign-in keeps what it took over."""
    seat = panel.seat
    if seat is not None and (session < seat.session or (session, where) == (seat.session, seat.where)):
        return panel
    since_ms = seat.since_ms if seat is not None and seat.session == session else now_ms
    return _changed(panel, now_ms, seat=Seat(session=session, where=where, since_ms=since_ms))


def introduced(panel: Panel, customer: Customer, now_ms: int) -> Panel:
    """Set what is known of the customer; empty facts leave known ones alone."""
    visit = panel.open_visit
    if visit is None:
        return panel
    known = visit.customer.model_copy(update={k: v for k, v in customer.model_dump().items() if v})
    if known == visit.customer:
        return panel
    return _changed(panel, now_ms, visit=visit.model_copy(update={"customer": known}))


def _room(cards: tuple[Card, ...], cards_max: int) -> int | None:
    """Return the lowest place without a card, else the place whose card ended first, else None."""
    on_screen = {card.slot: card for card in cards if card.slot}
    for slot in range(1, cards_max + 1):
        if slot not in on_screen:
            return slot
    ended = [card for card in on_screen.values() if card.state is not CardState.LIVE]
    return min(ended, key=lambda card: card.ended_ms).slot if ended else None


def placed(panel: Panel, card: Card, cards_max: int, now_ms: int) -> tuple[Panel, Placing]:
    """Put a card before the clerk, if its subscriber stands here and there is room; the same again changes nothing."""
    known = panel.card(card.decision_id)
    if known is not None:
        return panel, Placing.SHOWN if known.state is CardState.LIVE else Placing.ENDED
    visit = panel.open_visit
    if visit is None or visit.subscriber != card.subscriber:
        return panel, Placing.NO_VISIT
    if card.expires_ms <= now_ms:
        return panel, Placing.EXPIRED
    slot = _room(panel.cards, cards_max)
    if slot is None:
        return panel, Placing.FULL
    card = card.model_copy(update={"slot": slot, "state": CardState.LIVE, "note": "", "shown_ms": 0, "ended_ms": 0})
    # The card that gives up its place stays in the panel without one: a repeated answer must still find it.
    cards = tuple(c.model_copy(update={"slot": 0}) if c.slot == slot else c for c in panel.cards)
    cards = (*_newest(cards), card)
    visit = visit.model_copy(update={"touched_ms": now_ms})
    return _changed(panel, now_ms, cards=cards, visit=visit), Placing.SHOWN


def _newest(cards: tuple[Card, ...]) -> tuple[Card, ...]:
    off_screen = [card.decision_id for card in cards if card.slot == 0]
    dropped = set(off_screen[: max(0, len(off_screen) - SETTLED_CARDS_MAX)])
    return tuple(card for card in cards if card.decision_id not in dropped)


def ruled(card: Card, reply: Reply, note: str) -> Ruling:
    """Return what an answer to a card that has ended is: the same again, or too late."""
    return Ruling.REPEATED if (card.state, card.note) == (ENDS[reply], note) else Ruling.LATE


def answered(panel: Panel, decision_id: str, reply: Reply, note: str, now_ms: int) -> tuple[Panel, Ruling]:
    """Record a clerk's answer, once. An answer to what has ended is late and changes nothing."""
    card = panel.card(decision_id)
    if card is None:
        return panel, Ruling.UNKNOWN
    if card.state is not CardState.LIVE:
        return panel, ruled(card, reply, note)
    visit = panel.open_visit
    if visit is None or card.expires_ms <= now_ms:
        return lapsed(panel, 0, now_ms, cards_only=True), Ruling.LATE
    # A clerk who answers has seen the card, even where the page's report of that was lost with the keeper.
    ended = card.model_copy(update={"shown_ms": card.shown_ms or now_ms}).ended(ENDS[reply], note, now_ms)
    cards = tuple(ended if c is card else c for c in panel.cards)
    visit = visit.model_copy(update={"touched_ms": now_ms})
    owed = (*panel.owed, _note_card(ended, now_ms))
    return _changed(panel, now_ms, cards=cards, visit=visit, owed=owed), Ruling.RECORDED


def lapsed(panel: Panel, idle_ms: int, now_ms: int, *, cards_only: bool = False) -> Panel:
    """Let time pass: cards past their end expire, a visit idle too long closes.

    A visit touched at 0 was opened before a clock had begun that is not the wall's: it is touched when it begins.
    """
    visit = panel.open_visit
    if visit is None:
        return panel
    if visit.touched_ms == 0 and not cards_only:
        return touched(panel, now_ms) if now_ms > 0 else panel
    if not cards_only and visit.touched_ms + idle_ms <= now_ms:
        return closed(panel, Cause.IDLE, now_ms)
    cards, notes = _end_cards(panel, now_ms, CardState.EXPIRED, lambda card: card.expires_ms <= now_ms)
    return _changed(panel, now_ms, cards=cards, owed=(*panel.owed, *notes)) if notes else panel


def withdrawn(panel: Panel, chosen: Callable[[Card], bool], now_ms: int) -> Panel:
    """Take back live cards, as when their rule is killed."""
    cards, notes = _end_cards(panel, now_ms, CardState.WITHDRAWN, chosen)
    return _changed(panel, now_ms, cards=cards, owed=(*panel.owed, *notes)) if notes else panel


def drawn(panel: Panel, decision_ids: frozenset[str], now_ms: int) -> Panel:
    """Remember that these cards reached a page."""
    fresh = {c.decision_id for c in panel.cards if c.decision_id in decision_ids and c.shown_ms == 0}
    if not fresh:
        return panel
    cards = tuple(c.model_copy(update={"shown_ms": now_ms}) if c.decision_id in fresh else c for c in panel.cards)
    return _changed(panel, now_ms, cards=cards)


def settled(panel: Panel, keys: frozenset[str], now_ms: int) -> Panel:
    """Strike out the notes that the log has."""
    owed = tuple(note for note in panel.owed if note.key not in keys)
    return _changed(panel, now_ms, owed=owed) if len(owed) < len(panel.owed) else panel
