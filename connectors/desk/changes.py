"""Every change that a panel can undergo: a pure function from a panel to a panel.

`panels` applies it by compare-and-set, `reporter` reports what is owed to the log and strikes it out once that is
durable. So an answer survives any crash between the two, and is reported at least once; the log drops doubles by
`Note.key`.

- A card is placed only while its own subscriber's visit is open, and ends exactly once: accepted, declined, put off
  ("later"), expired (unanswered in time) or withdrawn (its rule was killed). Later answers change nothing.
- A visit that closes leaves its unanswered cards until their own end: where the same subscriber comes back before that,
  here or at another counter, they come again. So a visit that was closed by mistake costs no card.
- A card keeps its place on the screen. Nothing displaces a live one: the key under a clerk's finger keeps its meaning.
- A terminal belongs to the session that signed in last; the one before is notified and changes nothing more.
- A subscriber has one open visit; at a second counter the visit moves there with its cards.

No clock here: every function is given the time.
"""

from collections.abc import Callable, Iterable

from connectors.desk.model import (
    ENDS,
    Card,
    CardState,
    Cause,
    Customer,
    Note,
    Panel,
    Placing,
    Reply,
    Ruling,
    Seat,
    Visit,
)

SETTLED_CARDS_MAX = 12
LEFT_MAX = 12
"""Unanswered cards of closed visits that a panel keeps; the oldest expire for newer ones."""


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
    back = _returned(card for card in panel.left if card.subscriber == visit.subscriber)
    left = tuple(card for card in panel.left if card.subscriber != visit.subscriber)
    return _changed(panel, now_ms, visit=visit, cards=back, left=left, owed=(*panel.owed, *notes))


def _returned(cards: Iterable[Card]) -> tuple[Card, ...]:
    return tuple(card.model_copy(update={"returned": True}) for card in cards)


def moved(source: Panel, target: Panel, visit: Visit, now_ms: int, *, logged: bool = False) -> tuple[Panel, Panel]:
    """Open a visit at `target` for a subscriber who stood at `source`, or has left cards there.

    Live cards go along, and the old visit closes.
    """
    stands = source.open_visit is not None and source.open_visit.subscriber == visit.subscriber
    own = source.live if stands else tuple(card for card in source.left if card.subscriber == visit.subscriber)
    cards = tuple(card for card in source.cards if card not in own)
    left = tuple(card for card in source.left if card not in own)
    rest = source.model_copy(update={"cards": cards, "left": left})
    target = opened(target, visit, now_ms, logged=logged)
    target = target.model_copy(update={"cards": (*target.cards, *_returned(own))})
    return closed(rest, Cause.MOVED, now_ms) if stands else _changed(rest, now_ms), target


def closed(panel: Panel, cause: Cause, now_ms: int) -> Panel:
    """Close the open visit; what was unanswered is left until its end. Without an open visit nothing changes."""
    visit = panel.open_visit
    if visit is None:
        return panel
    cards = tuple(card for card in panel.cards if card.state is not CardState.LIVE)
    visit = visit.model_copy(update={"cause": cause, "closed_ms": now_ms})
    note = Note(key=f"close:{visit.id}", since_ms=now_ms, visit=visit)
    left = (*panel.left, *panel.live)
    panel = _changed(panel, now_ms, visit=visit, cards=cards, left=left, owed=(*panel.owed, note))
    over = left[: max(0, len(left) - LEFT_MAX)]
    return _left_ended(panel, now_ms, CardState.EXPIRED, lambda card: card in over or card.expires_ms <= now_ms)


def _left_ended(panel: Panel, now_ms: int, state: CardState, ends: Callable[[Card], bool]) -> Panel:
    """End cards that closed visits have left."""
    ended = tuple(card for card in panel.left if ends(card))
    if not ended:
        return panel
    left = tuple(card for card in panel.left if card not in ended)
    notes = tuple(_note_card(card.ended(state, "", now_ms), now_ms) for card in ended)
    return _changed(panel, now_ms, left=left, owed=(*panel.owed, *notes))


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


def opted_out(panel: Panel, visit_id: str, now_ms: int) -> Panel:
    """Remember that the customer of a visit wants no more commercial texts: the log has it."""
    visit = panel.open_visit
    if visit is None or visit.id != visit_id or visit.opted_out:
        return panel
    return _changed(panel, now_ms, visit=visit.model_copy(update={"opted_out": True, "touched_ms": now_ms}))


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
    if any(one.returned and _same_words(one, card) for one in panel.live):
        return panel, Placing.DOUBLE
    slot = _room(panel.cards, cards_max)
    if slot is None:
        return panel, Placing.FULL
    card = card.model_copy(update={"slot": slot, "state": CardState.LIVE, "note": "", "shown_ms": 0, "ended_ms": 0})
    # The card that gives up its place stays in the panel without one: a repeated answer must still find it.
    cards = tuple(c.model_copy(update={"slot": 0}) if c.slot == slot else c for c in panel.cards)
    cards = (*_newest(cards), card)
    visit = visit.model_copy(update={"touched_ms": now_ms})
    return _changed(panel, now_ms, cards=cards, visit=visit), Placing.SHOWN


def _same_words(one: Card, other: Card) -> bool:
    return (one.rule, one.title, one.reason) == (other.rule, other.title, other.reason)


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
    if card in panel.left:
        return panel, Ruling.LATE
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
    panel = _left_ended(panel, now_ms, CardState.EXPIRED, lambda card: card.expires_ms <= now_ms)
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
    """Take back live cards, also those that were left, as when their rule is killed."""
    panel = _left_ended(panel, now_ms, CardState.WITHDRAWN, chosen)
    cards, notes = _end_cards(panel, now_ms, CardState.WITHDRAWN, chosen)
    return _changed(panel, now_ms, cards=cards, owed=(*panel.owed, *notes)) if notes else panel


def drawn(panel: Panel, decision_ids: frozenset[str], now_ms: int) -> tuple[Panel, int]:
    """Remember that these cards reached a page; return also how many did for the first time."""
    fresh = {c.decision_id for c in panel.cards if c.decision_id in decision_ids and c.shown_ms == 0}
    if not fresh:
        return panel, 0
    cards = tuple(c.model_copy(update={"shown_ms": now_ms}) if c.decision_id in fresh else c for c in panel.cards)
    return _changed(panel, now_ms, cards=cards), len(fresh)


def settled(panel: Panel, keys: frozenset[str], now_ms: int) -> Panel:
    """Strike out the notes that the log has."""
    owed = tuple(note for note in panel.owed if note.key not in keys)
    return _changed(panel, now_ms, owed=owed) if len(owed) < len(panel.owed) else panel
