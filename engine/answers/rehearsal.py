"""Run the tests that stand beside the rules: each scenario through the real decider, alone, in memory.

A scenario's subscribers begin as `given`; then each event is a frame of its own, appended at the moment it happens.
What is decided reaches its subscriber at that moment: there is no dispatch here that could make it wait. Every decision
must be expected, and every expectation must come; an expected gate must be the one that stopped the rule then.
Suppressed candidates that a test does not mention are ignored.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.book.compiled import CompiledBook, compile_book
from engine.flow.decider import Decider
from rules.gates import word_of
from rules.model import Book, Expectation, Scenario
from state.batch import Row, from_rows
from state.columns import Table
from state.contacts import COMMITTED, Contacts, settle
from state.decisions import DecisionBatch, Outcome, RecordKind

SLOTS = 64
CONTACTS_MAX = 64


@dataclass(frozen=True, slots=True)
class ScenarioRecord:
    """One decision record of a scenario's run; `at_ms` is its event's time."""

    at_ms: int
    subscriber: int
    rule: str
    channel: str | None
    gate: str | None

    def meets(self, wanted: Expectation) -> bool:
        """Return whether this is what was expected."""
        same = (self.at_ms, self.subscriber, self.rule) == (wanted.at_ms, wanted.subscriber, wanted.rule)
        if wanted.gate is not None:
            return same and self.gate == wanted.gate
        return same and self.gate is None and wanted.channel in {None, self.channel}

    def __str__(self) -> str:
        how = f"stopped by gate {self.gate}" if self.gate else f"decided on {self.channel}"
        return f"{self.rule} {how}"


@dataclass(frozen=True, slots=True)
class Result:
    """How one scenario ended; no faults means that it passed."""

    scenario: Scenario
    faults: tuple[str, ...]


def run_scenarios(book: Book) -> Iterator[Result]:
    """Run every test of a book, in order."""
    compiled = compile_book(book)
    for scenario in book.tests:
        yield Result(scenario, tuple(_faults(scenario, list(_run(compiled, scenario)))))


def _run(compiled: CompiledBook, scenario: Scenario) -> Iterator[ScenarioRecord]:
    table = Table(SLOTS)
    decider = Decider(table, Contacts(table.capacity, CONTACTS_MAX), SLOTS)
    decider.activate(compiled, 0)
    log_ms = 0
    for position, rows in enumerate(_frames(compiled.book, scenario), start=1):
        batch = from_rows(compiled.book.schema, rows)
        log_ms = max(log_ms, rows[-1].at_ms)
        batch.log_ms[:] = log_ms
        slots = np.empty(batch.n, np.int32)
        table.lookup(batch.subscriber, slots, position)
        records = decider.fold(position, log_ms, batch, np.arange(batch.n, dtype=np.int32), slots)
        if records is not None:
            _reach(decider.contacts, table, records)
            yield from _seen(compiled.book, records)


def _reach(contacts: Contacts, table: Table, records: DecisionBatch) -> None:
    """Let what was decided reach its subscribers."""
    for index in np.flatnonzero(records.outcome == Outcome.DECIDED).tolist():
        named = records.position, int(records.row[index]), int(records.rule[index])
        slot = table.find(int(records.subscriber[index]))
        settle(contacts.arrays, slot, *named, COMMITTED, int(records.log_ms[index]))


def _frames(book: Book, scenario: Scenario) -> Iterator[list[Row]]:
    """Yield the rows of each frame: what is given first, then the events one by one."""
    events = scenario.events
    if not events:
        return
    start_ms = min(event.at_ms for event in events) - 1
    attributes = {name: value for name, value in scenario.given.items() if name != "lists"}
    lists = scenario.given.get("lists", ())
    assert isinstance(lists, list | tuple)
    for subscriber in dict.fromkeys(event.subscriber for event in events):
        rows = [Row("profile", subscriber, start_ms, attributes)] if attributes else []  # type: ignore[arg-type]  # checked
        rows += [Row("list", subscriber, start_ms, {"list": name, "member": True}) for name in lists]
        if rows:
            yield rows
    for event in events:
        kind = book.schema.types[event.type].name
        yield [Row(kind, event.subscriber, event.at_ms, event.fields)]  # type: ignore[arg-type]  # checked on loading


def _seen(book: Book, records: DecisionBatch) -> Iterator[ScenarioRecord]:
    for index in np.flatnonzero(records.kind == RecordKind.DECISION).tolist():
        channel = int(records.channel[index])
        yield ScenarioRecord(
            int(records.at_ms[index]),
            int(records.subscriber[index]),
            book.by_stable_id[int(records.rule[index])].id,
            book.channel_name(channel) if channel else None,
            word_of(int(records.gate[index])),
        )


def _faults(scenario: Scenario, seen: list[ScenarioRecord]) -> Iterator[str]:
    left = list(seen)
    for wanted in scenario.expect:
        found = next((one for one in left if one.meets(wanted)), None)
        if found is not None:
            left.remove(found)
            continue
        how = f"stopped by gate {wanted.gate}" if wanted.gate else f"decided on {wanted.channel or 'any channel'}"
        then = [str(one) for one in seen if one.at_ms == wanted.at_ms and one.subscriber == wanted.subscriber]
        yield f"expected {wanted.rule} {how} at {_time(scenario, wanted.at_ms)}; came: {', '.join(then) or 'nothing'}"
    for one in left:
        if one.gate is None:
            yield f"not expected: {one} at {_time(scenario, one.at_ms)}"


def _time(scenario: Scenario, at_ms: int) -> str:
    """Return a time as its distance from the first event."""
    after_s = (at_ms - min(event.at_ms for event in scenario.events)) / 1000
    return f"+{after_s:g} s"
