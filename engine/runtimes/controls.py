"""What may be paused, resumed and killed: a request held against the book, the same in both runtimes."""

from collections.abc import Mapping
from typing import Any

from rules.model import Book

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
