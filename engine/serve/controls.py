"""What operations may ask over HTTP: pause, resume, kill, lists, replayed letters, trials; alike in both runtimes.

A body is read by its model; what it names is then held against the active book. Either may refuse it, with a
`RequestError` whose text goes to the caller.
"""

import re
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rules.diagnostics import nearest
from rules.model import Book
from rules.spans import duration_hint, duration_ms
from state.calendar import epoch_ms
from state.decisions import parse_decision_id
from state.hashing import partition_of
from state.numbers import NumberError, NumberPlan

VALUE_CHARS_MAX = 60
"""Of a refused value that the answer repeats."""
Name = Annotated[str, Field(max_length=64)]
"""A name of the book, which has no longer one; what it has no more may still be resumed and left."""

_SHOULD = re.compile(r"^\w+ should ")


class RequestError(Exception):
    """A request cannot be read, or names nothing that there is; the text says which value and what it must be."""


class _Body(BaseModel):
    model_config = ConfigDict(strict=True)


class ControlBody(_Body):
    """What to pause, resume or kill."""

    action: Literal["pause", "resume", "kill"]
    kind: Literal["rule", "campaign", "channel"]
    name: Name
    reason: Annotated[str, Field(max_length=200)] = ""


class ListBody(_Body):
    """Subscribers that join a list, for ever or until a time or for a duration, or leave it."""

    name: Name = Field(alias="list")
    member: bool
    subscribers: list[int | str]
    until: str = ""
    lasts: str = Field("", alias="for")


class CustomerBody(_Body):
    """One subscriber, to export or to erase."""

    subscriber: int | str


class Said(_Body):
    """What an outside channel says of one decision that it was given, by the id and the subscriber it was given."""

    id: Annotated[str, Field(max_length=80)]
    subscriber: Annotated[int, Field(gt=0, lt=10**15)]
    state: Literal["accepted", "declined", "shown", "failed"]
    note: Annotated[str, Field(max_length=200)] = ""


class OutcomesBody(_Body):
    """What became of decisions outside."""

    outcomes: Annotated[list[Said], Field(max_length=5_000)]


class ReplayedBody(_Body):
    """Numbers of dead letters that were put back."""

    numbers: list[str]


class TrialBody(_Body):
    """A text of a rule for a test number."""

    rule: Name
    channel: Name
    number: int | str
    text: Annotated[str, Field(min_length=1, max_length=2_000)]


Body = TypeVar("Body", bound=BaseModel)


def read_body(raw: bytes, model: type[Body]) -> Body:
    """Return the JSON object in `raw` as its model; RequestError names the first value that is wrong."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    if first["type"] == "missing":
        raise RequestError(f"{place} is missing")
    what = f"{place}={repr(first['input'])[:VALUE_CHARS_MAX]}" if place else "the body"
    raise RequestError(f"{what}: {_SHOULD.sub('must ', first['msg'])}")


def check_outcomes(body: OutcomesBody, partitions: int) -> None:
    """RequestError when an id is no decision's, or not one of its subscriber."""
    for said in body.outcomes:
        try:
            partition = parse_decision_id(said.id)[0]
        except ValueError as fault:
            raise RequestError(f"id={said.id!r}: {fault}") from fault
        if partition != partition_of(said.subscriber, partitions):
            raise RequestError(f"id={said.id!r} is no decision about that subscriber")


def control_record(book: Book, body: ControlBody) -> dict[str, str]:
    """Return the record for the log; RequestError when the book has nothing of that name.

    Resuming works even for what the book no longer has, because it may return.
    """
    known = {"rule": book.by_id, "campaign": book.campaigns, "channel": book.channels}
    if body.name not in known[body.kind] and body.action != "resume":
        raise RequestError(f"{body.kind}={body.name!r} is not in the book")
    return {"action": body.action, "kind": body.kind, "name": body.name}


def subscribers_of(body: ListBody, numbers: NumberPlan) -> list[int]:
    """Return the subscribers of a request; RequestError names the first that is no number."""
    try:
        return [numbers.subscriber(one) for one in body.subscribers]
    except NumberError as fault:
        raise RequestError(f"subscribers: {fault}") from fault


def ends_of(body: ListBody, zone: str) -> dict[str, int]:
    """Return what the `list` events say of the end of a membership; nothing where it has none.

    A time without an offset is one of `zone`. RequestError when there are two ends, or one that cannot be read.
    """
    given = [f"{key}={text!r}" for key, text in (("until", body.until), ("for", body.lasts)) if text]
    if len(given) > 1 or (given and not body.member):
        why = "one of the two says when a membership ends" if body.member else "who leaves a list has left it"
        raise RequestError(f"{' '.join(given)}: {why}")
    if body.lasts:
        ms = duration_ms(body.lasts)
        if not ms:
            raise RequestError(
                f'{given[0]} must be a duration > 0 such as "90d"; {duration_hint(body.lasts)}'.rstrip("; ")
            )
        return {"for_ms": ms}
    if not body.until:
        return {}
    try:
        return {"until": epoch_ms(datetime.fromisoformat(body.until), zone)}
    except (ValueError, OverflowError) as fault:
        raise RequestError(f'{given[0]} must be a time such as "2026-12-31" or "2026-12-31T18:00:00+08:00"') from fault


def customer_of(body: CustomerBody, numbers: NumberPlan) -> int:
    """Return the subscriber of a request; RequestError when it is no number."""
    try:
        return numbers.subscriber(body.subscriber)
    except NumberError as fault:
        raise RequestError(f"subscriber: {fault}") from fault


def check_list(book: Book, body: ListBody) -> None:
    """RequestError when the book has no such list.

    Removal works even for a list the book no longer has, because the list may return.
    """
    if body.member and body.name not in book.lists:
        near = nearest(body.name, book.lists)
        raise RequestError(f"list={body.name!r} is not in the book" + (f"; {near}" if near else ""))
