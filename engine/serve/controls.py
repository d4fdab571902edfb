"""What may be paused, resumed and killed, and who may join a list: held against the book, alike in both runtimes."""

from collections.abc import Mapping
from typing import Any

from rules.diagnostics import nearest
from rules.model import Book
from state.numbers import NumberPlan

ACTIONS = ("pause", "resume", "kill")


def control_record(book: Book, body: Mapping[str, Any]) -> dict[str, str]:
    """Return the record for the log; ValueError when the request names nothing that there is, KeyError what it lacks.

    What is no longer in the book may be resumed: it may come back.
    """
    action, kind, name = body["action"], body["kind"], body["name"]
    known = {"rule": book.by_id, "campaign": book.campaigns, "channel": book.channels}
    if action not in ACTIONS:
        raise ValueError(f"action={action!r} must be pause, resume or kill")
    if kind not in known:
        raise ValueError(f"kind={kind!r} must be rule, campaign or channel")
    if name not in known[kind] and action != "resume":
        raise ValueError(f"{kind}={name!r} is not in the book")
    return {"action": action, "kind": kind, "name": name}


def list_change(book: Book, body: Mapping[str, Any], numbers: NumberPlan) -> tuple[list[int], str, bool]:
    """Return subscribers, list and membership of a request; ValueError when the book has no such list, or for a number.

    Who is on a list that is no longer in the book may be taken off it: it may come back.
    """
    name, member, subscribers = body["list"], body["member"], body["subscribers"]
    if not isinstance(name, str) or not isinstance(member, bool) or not isinstance(subscribers, list):
        raise TypeError("list must be a name, member true or false, subscribers an array of numbers")
    if member and name not in book.lists:
        near = nearest(name, book.lists)
        raise ValueError(f"list={name!r} is not in the book" + (f"; {near}" if near else ""))
    if not all(isinstance(one, int | str) for one in subscribers):
        raise TypeError("subscribers must be numbers, or texts of them")
    return [numbers.subscriber(one) for one in subscribers], name, member
