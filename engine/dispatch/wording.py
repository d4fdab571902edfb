"""From a decision record to what the customer or the clerk reads: facts into the rule's texts.

Only decided rows come here, about one event in a hundred, so plain Python is quick enough. Texts are filled from the
facts in the record, not from the state of now: what was decided is what is said.

A customer never reads a hash: a text that needs a value which is not kept is given up, with the reason (`fault`).
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.answers.records import facts_of
from engine.dispatch.model import Decided, Withdrawn
from engine.flow.steps import FOREVER_MS
from rules.gates import explain, word_of
from rules.model import Book, Channel, Rule
from state.decisions import DecisionBatch, Outcome, RecordKind, decision_id
from state.texts import Lookup


def decided_of(partition: int, batch: DecisionBatch, book: Book, texts: Lookup) -> Iterator[Decided]:
    """Yield the decisions among a frame's records, with their texts, in order.

    `texts` has those that records of format 1 lack.
    """
    for index in ((batch.outcome == Outcome.DECIDED) & (batch.kind == RecordKind.DECISION)).nonzero()[0].tolist():
        rule = book.by_stable_id[int(batch.rule[index])]
        channel = book.channels_by_id[int(batch.channel[index])]
        yield _decided(partition, batch, index, book, rule, channel, texts)


def withdrawn_of(partition: int, batch: DecisionBatch, book: Book, until_ms: int = FOREVER_MS) -> Iterator[Withdrawn]:
    """Yield what a frame's rows up to a log time take back, with the gate that stops it now as the reason."""
    for index in ((batch.kind == RecordKind.WITHDRAWAL) & (batch.log_ms <= until_ms)).nonzero()[0].tolist():
        number, gate = int(batch.rule[index]), int(batch.gate[index])
        rule = book.by_stable_id.get(number)
        detail = explain(book, rule, gate, int(batch.detail[index])) if rule is not None else ""
        name = decision_id(partition, int(batch.of_position[index]), int(batch.of_row[index]), number)
        yield Withdrawn(name, int(batch.subscriber[index]), f"WITHDRAWN {word_of(gate)} {detail}".rstrip())


def withdraws(batch: DecisionBatch) -> bool:
    """Return whether a frame's records take anything back."""
    return bool((batch.kind == RecordKind.WITHDRAWAL).any())


def _decided(
    partition: int, batch: DecisionBatch, index: int, book: Book, rule: Rule, channel: Channel, texts: Lookup
) -> Decided:
    offer = book.offers[rule.offer] if rule.offer is not None else None
    facts = facts_of(batch, index, rule, texts)
    if offer is not None:
        facts |= {"offer.title": offer.title, "offer.script": offer.script, "offer.link": offer.link}
    facts |= {"at": int(batch.at_ms[index]), "logged": batch.append_ms, "subscriber": str(batch.subscriber[index])}
    zone = _zone(book.zone)
    reason = rule.reason.render(facts, zone)
    text = rule.texts.get(channel.name)
    missing = text.missing(facts) if text is not None and channel.kind == "sms" else ()
    return Decided(
        decision_id=decision_id(partition, batch.position, int(batch.row[index]), rule.stable_id),
        subscriber=int(batch.subscriber[index]),
        rule=rule.id,
        campaign=rule.campaign,
        channel=channel.name,
        offer=rule.offer or "",
        text=text.render(facts, zone) if text is not None else reason,
        klass=rule.klass,
        append_ms=batch.append_ms,
        shelf_life_ms=rule.shelf_life_ms,
        priority=rule.priority,
        fields={
            "title": offer.title if offer is not None else rule.id,
            "reason": reason,
            "script": offer.script if offer is not None else "",
        },
        book=book.version,
        facts={name: value for name, value in facts.items() if not name.startswith("offer.")},
        fault=f"NO_VALUE {missing[0]}" if missing else "",
    )


def reworded(what: Decided, book: Book) -> Decided:
    """Return a decision of an earlier book in the words of a later one; itself where these need what was not journaled.

    Whatever else the rule says (offer, class, shelf life) stays as it was decided.
    """
    rule = book.by_id.get(what.rule)
    if rule is None:
        return what
    offer = book.offers.get(what.offer) if what.offer else None
    facts = dict(what.facts)
    if offer is not None:
        facts |= {"offer.title": offer.title, "offer.script": offer.script, "offer.link": offer.link}
    text = rule.texts.get(what.channel, rule.reason)
    if not {*text.names, *rule.reason.names} <= facts.keys():
        return what
    zone = _zone(book.zone)
    reason = rule.reason.render(facts, zone)
    title = offer.title if offer is not None else rule.id
    fields = {"title": title, "reason": reason, "script": offer.script if offer is not None else ""}
    return replace(what, text=text.render(facts, zone), fields=fields, book=book.version)


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
