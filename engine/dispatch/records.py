"""The records of the outbox: what happened to sends, as plain lists that go into JSON.

    queued    a decision was taken over, whole
    kept      the same again with its tries, written when the outbox is compacted
    attempt   it is about to be written to a gateway; durable before it is
    waits     that attempt is to be made again; it certainly reached nobody, or twice does no harm
    outcome   its end, for the log; with the ids under which receipts will come
    awaits    an accepted message whose receipts have not come yet, written when the outbox is compacted
    part      a receipt for one part of several
    receipt   the network's last word, for the log
    reported  the log has these outcomes
    switch    operations paused, killed or resumed something
    opted_out nothing commercial goes to a subscriber that was decided before this position of its partition
    cursors   how far the caller had read when the decisions before this record were taken over
    base      counters, switches, cursors, what was seen, opt-outs and rates, replacing everything said before

The first element is a letter; `recovery` reads the others in the order in which the functions here write them. The
letters and the order are what outboxes on disk and in topics hold: they never change, new ones are added.
"""

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any

from engine.dispatch.model import Decided, Places, Report, Send
from engine.dispatch.opted_out import OptOut
from engine.dispatch.rates import Level

Record = list[Any]

QUEUED, KEPT, ATTEMPT, WAITS, OUTCOME, AWAITS = "q", "k", "a", "w", "o", "i"
PART, RECEIPT, REPORTED, SWITCH, CURSORS, BASE = "p", "d", "t", "s", "c", "b"
OPTED_OUT = "u"


_DECISION = (str, int, str, str, str, str, str, str, int, int, int, dict, int)
SHAPES: Mapping[str, tuple[type, ...]] = {
    QUEUED: _DECISION,
    KEPT: (*_DECISION, int, int, str, int, list, bool),
    ATTEMPT: (str, str, int, str, str, int),
    WAITS: (str, int, int, int, str, str, int, list, bool),
    OUTCOME: (str, int, int, str, str, list, list, int),
    AWAITS: (str, int, str, list, int),
    PART: (str, str),
    RECEIPT: (str, int, int, str, str, list),
    REPORTED: (list,),
    SWITCH: (str, str, str),
    CURSORS: (dict,),
    BASE: (list, list, dict, list),
    OPTED_OUT: (int, str, int, int),
}
"""What follows a record's letter, by kind."""
LATER: Mapping[str, tuple[type | UnionType, ...]] = {
    QUEUED: (str, dict),
    KEPT: (int, str, dict),
    ATTEMPT: (int, str | None),
    OUTCOME: (int, int | None),
    AWAITS: (int,),
    BASE: (list, list),
}
"""What may follow that: releases before wrote less."""


def check_record(record: Any) -> None:
    """ValueError unless a value has the shape of a record of the outbox."""
    if not isinstance(record, list) or not record or record[0] not in SHAPES:
        raise ValueError("a record must be a list that begins with one of our letters")
    least, kinds = len(SHAPES[record[0]]), (*SHAPES[record[0]], *LATER.get(record[0], ()))
    if not least < len(record) <= 1 + len(kinds) or not all(map(isinstance, record[1:], kinds)):
        raise ValueError(f"record of kind {record[0]!r} must be {', '.join(map(str, kinds))}")
    positions = positions_in(record)
    if positions is not None and not all(isinstance(at, int) for at in positions.values()):
        raise ValueError("cursors must be numbers")


def _whole(what: Decided) -> Record:
    return [
        what.decision_id,
        what.subscriber,
        what.rule,
        what.campaign,
        what.channel,
        what.offer,
        what.text,
        what.klass,
        what.append_ms,
        what.shelf_life_ms,
        what.priority,
        dict(what.fields),
    ]


def decided_of(record: Record) -> Decided:
    """Return the decision in a queued or kept record."""
    after = {QUEUED: 14, KEPT: 21}[record[0]]
    return Decided(*record[1:13], *record[after : after + 2])  # earlier releases wrote neither book nor facts


def queued(what: Decided, order: int) -> Record:
    """Return the record of a decision taken over; `order` is its place among all."""
    return [QUEUED, *_whole(what), order, what.book, dict(what.facts)]


def kept(send: Send, *, flying: bool) -> Record:
    """Return the record of a send as it stands: its gateway is named when it is on its way."""
    gateway = send.gateway if flying else ""
    state = [send.tries, send.due_ms, gateway, send.day, list(send.refused), send.doubtful, send.attempted_ms]
    return [KEPT, *_whole(send.what), send.order, *state, send.what.book, dict(send.what.facts)]


def attempt(send: Send) -> Record:
    """Return the record of an attempt that is about to be made."""
    what = send.what
    head = [ATTEMPT, what.decision_id, send.gateway, send.day, what.channel, what.campaign, send.parts]
    return [*head, send.attempted_ms, what.text if send.reworded else None]


def words_in(record: Record) -> tuple[str, str] | None:
    """Return (decision id, words) where a record says with which words a decision goes."""
    if record[0] in {QUEUED, KEPT}:
        return record[1], record[7]
    return (record[1], record[8]) if record[0] == ATTEMPT and record[8:] and record[8] is not None else None


def waits(send: Send) -> Record:
    """Return the record of an attempt that is to be made again."""
    what = send.what
    head = [WAITS, what.decision_id, send.tries, send.due_ms, send.day, what.channel, what.campaign, send.parts]
    return [*head, list(send.refused), send.doubtful]


def outcome(
    report: Report,
    given_back: Places | None,
    ids: tuple[str, ...],
    ended_ms: int,
    doubtful_parts: int = 0,
    contact_ms: int | None = None,
) -> Record:
    """Return the record of an end; `given_back` are the places of an attempt that reached nobody.

    `doubtful_parts` are those of a text whose outcome is unknown and may be learnt later. `contact_ms` is when it
    reached, or may have reached, somebody; None where it did not.
    """
    head = [OUTCOME, report.decision_id, report.subscriber, int(report.state), report.gateway, report.error]
    return [*head, list(given_back or ()), list(ids), ended_ms, doubtful_parts, contact_ms]


def awaits(
    decision_id: str, subscriber: int, gateway: str, ids: Iterable[str], accepted_ms: int, doubtful_parts: int = 0
) -> Record:
    """Return the record of a message whose receipts have not come; `doubtful_parts` as of `outcome`."""
    doubt = [doubtful_parts] if doubtful_parts else []
    return [AWAITS, decision_id, subscriber, gateway, list(ids), accepted_ms, *doubt]


def part(gateway: str, message_id: str, decision_id: str) -> Record:
    """Return the record of one part's receipt."""
    return [PART, gateway, message_id, decision_id]


def receipt(report: Report, ids: Iterable[str]) -> Record:
    """Return the record of a last word; `ids` are those that nothing more is expected for."""
    head = [RECEIPT, report.decision_id, report.subscriber, int(report.state), report.gateway, report.error]
    return [*head, list(ids)]


def reported(reports: Iterable[Report]) -> Record:
    """Return the record of outcomes that the log has."""
    return [REPORTED, [[report.decision_id, int(report.state)] for report in reports]]


def switch(scope: str, name: str, action: str) -> Record:
    """Return the record of a switch."""
    return [SWITCH, scope, name, action]


def cursors(positions: Mapping[str, int]) -> Record:
    """Return the record of how far the caller has read."""
    return [CURSORS, dict(positions)]


def opted_out(opt_out: OptOut) -> Record:
    """Return the record of an opt-out that stands in the log."""
    return [OPTED_OUT, *opt_out]


def base(
    quotas: list[Any],
    switches: list[Any],
    positions: Mapping[str, int],
    seen: list[Any],
    opt_outs: Iterable[OptOut],
    rates: Iterable[Level],
) -> Record:
    """Return the record that replaces what earlier ones said of these six."""
    return [
        BASE,
        quotas,
        switches,
        dict(positions),
        seen,
        [list(one) for one in opt_outs],
        [list(one) for one in rates],
    ]


def positions_in(record: Record) -> Mapping[str, int] | None:
    """Return how far the caller had read, where a record says so."""
    at = {CURSORS: 1, BASE: 3}.get(record[0])
    return record[at] if at is not None else None
