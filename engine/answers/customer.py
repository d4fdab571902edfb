"""All that a partition keeps of one subscriber, in words: what `opportune customer export` prints first."""

from collections.abc import Mapping
from typing import Any

from engine.answers.records import plain
from engine.flow.fold import Known
from rules.gates.lists import LISTS
from rules.model import Book
from state import contacts
from state.decisions import decision_id
from state.sets import together
from state.texts import Chained, Lookup

STATES = {
    contacts.RESERVED: "reserved",
    contacts.COMMITTED: "committed",
    contacts.UNKNOWN: "unknown",
    contacts.SHADOW: "shadow",
    contacts.WITHDRAWN: "withdrawn",
}


def described(partition: int, subscriber: int, known: Known | None, book: Book, old: Lookup) -> Mapping[str, Any]:
    """Return `state` and `contacts` as plain data; a feature that is unknown is left out.

    `old` has the texts of a directory that began with format 1.
    """
    if known is None:
        nothing = {"subscriber": subscriber, "values": {}, "lists": [], "list_ends_ms": {}, "visit_since_ms": None}
        return {"state": nothing, "contacts": []}
    texts = Chained(known.texts, old)
    features = {feature.name: feature for feature in book.features}
    values = together(
        (name, plain(cell, features[name].value_kind, features[name].members, texts))
        for name, cell in known.cells.items()
    )
    lists = values.pop(LISTS, [])
    state = {
        "subscriber": subscriber,
        "values": values,
        "lists": lists,
        "list_ends_ms": known.list_ends,
        "visit_since_ms": known.visit_ms or None,
    }
    return {"state": state, "contacts": [_contact(partition, one, book) for one in known.contacts]}


def _contact(partition: int, one: Mapping[str, int], book: Book) -> dict[str, Any]:
    """Return a contact with names for numbers; a name that the book does not have is null."""
    rule = book.by_stable_id.get(one["rule"])
    channel = book.channels_by_id.get(one["channel"])
    return {
        "decision": decision_id(partition, one["position"], one["row"], one["rule"]),
        "rule": rule.id if rule is not None else None,
        "channel": channel.name if channel is not None else None,
        "state": STATES.get(one["state"] & contacts.STATES, "unknown"),
        "declined": bool(one["state"] & contacts.DECLINED),
        "at_ms": one["at_ms"],
        "expires_ms": one["expires_ms"] if one["expires_ms"] < contacts.NEVER_MS else None,
    }
