"""From a decision record to what the customer or the clerk reads: facts into the rule's texts.

Only decided rows come here, about one event in a hundred, so plain Python is quick enough. Texts are filled from the
facts in the record, not from the state of now: what was decided is what is said.

A customer never reads a hash: a text that needs a value which is not kept is given up, with the reason (`fault`).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from engine.answers.records import facts_of_each
from engine.dispatch.model import Decided, Withdrawn
from engine.flow.steps import FOREVER_MS
from rules.gates import explain, word_of
from rules.model import Book, Channel, Offer, Rule
from state.decisions import DecisionBatch, Outcome, RecordKind, decision_id
from state.texts import Lookup


def decided_of(partition: int, batch: DecisionBatch, book: Book, texts: Lookup) -> Iterator[Decided]:
    """Yield the decisions among a frame's records, with their texts, in order.

    `texts` has those that records of format 1 lack.
    """
    some = ((batch.outcome == Outcome.DECIDED) & (batch.kind == RecordKind.DECISION)).nonzero()[0]
    columns = (batch.row, batch.rule, batch.channel, batch.subscriber, batch.at_ms, batch.arm)
    heads = zip(*(column[some].tolist() for column in columns), strict=True)
    for facts, (row, rule, channel, subscriber, at_ms, arm) in zip(
        facts_of_each(batch, some, book, texts), heads, strict=True
    ):
        facts |= {"at": at_ms, "logged": batch.append_ms, "subscriber": str(subscriber)}
        head = (decision_id(partition, batch.position, row, rule), subscriber, batch.append_ms)
        yield _decided(head, facts, book, (book.by_stable_id[rule], arm), book.channels_by_id[channel])


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
    head: tuple[str, int, int], facts: dict[str, Any], book: Book, of: tuple[Rule, int], channel: Channel
) -> Decided:
    """Return a decision in its words; `head` is its id, its subscriber and the append time of its frame.

    `of` is its rule, and the number of its arm.
    """
    (identity, subscriber, append_ms), (rule, arm) = head, of
    offer = book.offers[rule.offer] if rule.offer is not None else None
    values = facts if offer is None else facts | _of_offer(offer)
    zone = _zone(book.zone)
    reason = rule.reason.render(values, zone)
    text = rule.text_of(channel.name, arm)
    missing = text.missing(values) if text is not None and channel.kind == "sms" else ()
    return Decided(
        identity,
        subscriber,
        rule.id,
        rule.campaign,
        channel.name,
        rule.offer or "",
        text.render(values, zone) if text is not None else reason,
        rule.klass,
        append_ms,
        rule.shelf_life_ms,
        rule.priority_on(facts),
        _fields(rule, offer, reason),
        book.version,
        facts,
        f"NO_VALUE {missing[0]}" if missing else "",
    )


def _of_offer(offer: Offer) -> dict[str, str]:
    return {"offer.title": offer.title, "offer.script": offer.script, "offer.link": offer.link}


def _fields(rule: Rule, offer: Offer | None, reason: str) -> dict[str, str]:
    title, script = (offer.title, offer.script) if offer is not None else (rule.id, "")
    return {"title": title, "reason": reason, "script": script}


def reworded(what: Decided, book: Book) -> Decided:
    """Return a decision of an earlier book in the words of a later one; itself where these need what was not journaled.

    Whatever else the rule says (offer, class, shelf life) stays as it was decided, and so do the words of an arm.
    """
    rule = book.by_id.get(what.rule)
    if rule is None or rule.arm_texts:
        return what
    offer = book.offers.get(what.offer) if what.offer else None
    facts = what.facts if offer is None else {**what.facts, **_of_offer(offer)}
    text = rule.texts.get(what.channel, rule.reason)
    if not {*text.names, *rule.reason.names} <= facts.keys():
        return what
    zone = _zone(book.zone)
    fields = _fields(rule, offer, rule.reason.render(facts, zone))
    return what._replace(text=text.render(facts, zone), fields=fields, book=book.version)


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
