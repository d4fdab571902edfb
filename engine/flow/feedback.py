"""What comes back from gateways and desk, written into the log as events: outcomes, visits, answers, list changes.

Everything that can change a decision must be in the log, so gateways and desk wait for these calls before they go on.
The rows are built under the schema of the active book; built-in event types are the same in every book.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from connectors.contract import MobileOriginated
from engine.flow.pipeline import Pipeline
from engine.metrics import Metrics
from rules.model import Book
from state.batch import Row, Value, from_rows
from state.decisions import OutcomeState, parse_decision_id
from state.hashing import rows_by_partition
from state.schema import Schema

Values = dict[str, Value]
NEVER_ENDS: Mapping[str, int] = {}
Ended = tuple[str, int, OutcomeState, str, str]
"""What became of a decision: its id, its subscriber, the state, the gateway, the error."""


class Appender(Protocol):
    """Where rows go; returns when they are durable."""

    async def append(self, rows: Sequence[Row]) -> Mapping[int, int]:
        """Append rows to the log of their subscribers' partitions.

        Returns, for each of these partitions, a position of its log that is not before the rows'.
        """

    def fields_of(self, event: str) -> frozenset[str]:
        """Return the names of the fields of a type of event; none where the schema has no such type."""


class LocalAppender:
    """Appends through the pipeline."""

    def __init__(self, pipeline: Pipeline, schema: Callable[[], Schema]) -> None:
        self._pipeline = pipeline
        self._schema = schema

    async def append(self, rows: Sequence[Row]) -> Mapping[int, int]:
        """Append rows; returns when they are durable."""
        batch = from_rows(self._schema(), rows)
        await asyncio.wrap_future(self._pipeline.append(batch))
        partitions = self._pipeline.partitions
        parts = rows_by_partition(batch.subscriber, len(partitions))
        return {
            partition.number: partition.log.next_position - 1
            for partition, some in zip(partitions, parts, strict=True)
            if some.shape[0]
        }

    def fields_of(self, event: str) -> frozenset[str]:
        """Return the names of the fields of a type of event; none where the schema has no such type."""
        return fields_of(self._schema(), event)


def fields_of(schema: Schema, event: str) -> frozenset[str]:
    """Return the names of the fields of a type of event; none where the schema has no such type."""
    code = schema.codes.get(event)
    return frozenset(field.name for field in schema.types[code].fields) if code is not None else frozenset()


class Feedback:
    """The events that the product itself makes.

    Args:
        appender: the log.
        now_ms: wall clock, for the time of the event; the decider only ever sees it as a value in the log.
        count: called with every outcome's decision, state and error, for metrics.
        count_members: called with a list, whether subscribers were put on it, and how many; likewise.
        count_answer: called with every answer's decision and word; likewise.
    """

    def __init__(
        self,
        appender: Appender,
        now_ms: Callable[[], int],
        count: Callable[[str, OutcomeState, str], None] | None = None,
        count_members: Callable[[str, bool, int], None] | None = None,
        count_answer: Callable[[str, str], None] | None = None,
    ) -> None:
        self._appender = appender
        self._now_ms = now_ms
        self._count = count
        self._count_members = count_members
        self._count_answer = count_answer

    def by(self, now_ms: Callable[[], int]) -> "Feedback":
        """Return the same by another clock."""
        return Feedback(self._appender, now_ms, self._count, self._count_members, self._count_answer)

    async def outcome(
        self, decision_id: str, subscriber: int, state: OutcomeState, gateway: str, error: str = ""
    ) -> None:
        """Record what became of a decision; returns when it is durable."""
        await self.outcomes([(decision_id, subscriber, state, gateway, error)])

    async def outcomes(
        self,
        ended: Sequence[Ended],
        contact_ms: Sequence[int | None] | None = None,
    ) -> None:
        """Record what became of several decisions: (decision id, subscriber, state, gateway, error) each.

        `contact_ms`: when each reached, or may have reached, its subscriber: the gateway's acceptance, the attempt. Now
        where it is None.
        """
        at_ms = self._now_ms()
        times = contact_ms if contact_ms is not None else [None] * len(ended)
        rows = [outcome_row(*one, at_ms, reached_ms) for one, reached_ms in zip(ended, times, strict=True)]
        await self._appender.append(rows)
        self._count_ended(ended)

    def _count_ended(self, ended: Sequence[Ended]) -> None:
        if self._count is not None:
            for decision_id, _, state, _, error in ended:
                self._count(decision_id, state, error)

    async def visit(self, subscriber: int, terminal: str, visit: str, *, opened: bool, cause: str = "") -> None:
        """Record that a subscriber came to, or left, a terminal."""
        values: Values = {"terminal": terminal, "visit": visit, "open": opened, "cause": cause}
        await self._appender.append([Row("visit", subscriber, self._now_ms(), values)])

    async def answer(
        self, decision_id: str, subscriber: int, card: str, answer: str, note: str = "", refunded_by: str = ""
    ) -> None:
        """Record how a clerk's customer answered a card; `refunded_by` gives the caps their place back at once."""
        at_ms = self._now_ms()
        values = {**_named(decision_id), "card": card, "answer": answer, "note": note}
        ended = [(decision_id, subscriber, OutcomeState.REFUNDED, refunded_by, answer)] if refunded_by else []
        rows = [Row("answer", subscriber, at_ms, values), *(outcome_row(*one, at_ms, None) for one in ended)]
        await self._appender.append(rows)
        self._count_ended(ended)
        if self._count_answer is not None:
            self._count_answer(decision_id, answer)

    async def member(self, subscriber: int, name: str, *, member: bool) -> tuple[int, int]:
        """Put a subscriber on a list, or take one off it.

        Returns its partition, and a position of that log which is not before the row's.
        """
        ((partition, position),) = (await self.members([subscriber], name, member=member)).items()
        return partition, position

    async def members(
        self, subscribers: Sequence[int], name: str, *, member: bool, ends: Mapping[str, int] = NEVER_ENDS
    ) -> Mapping[int, int]:
        """Put subscribers on a list, or take them off it; returns what `Appender.append` does.

        `ends`: when the membership ends, as `until` or `for_ms` of the events.
        """
        at_ms = self._now_ms()
        values: Values = {"list": name, "member": member, **ends}
        reached = await self._appender.append([Row("list", one, at_ms, values) for one in subscribers])
        if self._count_members is not None:
            self._count_members(name, member, len(subscribers))
        return reached

    async def erase(self, subscriber: int) -> None:
        """Have all that is kept of a subscriber end, but for the lists that exclude; returns when it is durable."""
        await self._appender.append([Row("owner", subscriber, self._now_ms(), {"erased": True})])

    async def reply(self, reply: MobileOriginated, decision_id: str) -> bool:
        """Keep what a subscriber wrote as an event `reply`, with the decision that it answers; empty: none is known.

        Returns whether the schema has such events.
        """
        fields = self._appender.fields_of("reply")
        values: Values = {"text": reply.text, "number": reply.to_address}
        values |= {"decision": decision_id} if decision_id else {}
        kept = {name: value for name, value in values.items() if name in fields}
        if kept:
            await self._appender.append([Row("reply", reply.subscriber, self._now_ms(), kept)])
        return bool(kept)


def feedback_of(
    appender: Appender, now_ms: Callable[[], int], metrics: Metrics, active_book: Callable[[], Book | None]
) -> Feedback:
    """Return the feedback of a runtime, whose metrics count what is told under the rules of the book in force."""
    metrics.active_book = active_book
    return Feedback(appender, now_ms, metrics.count_outcome, metrics.count_members, metrics.count_answer)


def _named(decision_id: str) -> Values:
    return dict(zip(("partition", "position", "row", "rule"), parse_decision_id(decision_id), strict=True))


def outcome_row(
    decision_id: str, subscriber: int, state: OutcomeState, gateway: str, error: str, at_ms: int, reached_ms: int | None
) -> Row:
    """Return the row that says what became of a decision, and when it reached, or may have reached, its subscriber."""
    values = {
        **_named(decision_id),
        "state": int(state),
        "gateway": gateway,
        "error": error,
        "contact_ms": at_ms if reached_ms is None else reached_ms,
    }
    return Row("outcome", subscriber, at_ms, values)
