"""Run the tests that stand beside the rules: each scenario through the real decider, alone, in memory.

A scenario's subscribers begin as `given`; then each event is a frame of its own, appended at the moment it happens, or
when the test says; a deadline that has come by then is a frame before it. Features have learned already. Whatever is
decided is accepted by its gateway at once, unless the test refunds it. Control groups are drawn only where a test asks
for them; else everybody is in one arm, which the test may name. A rule in shadow acts where a test expects that.

Every decision must be expected, and every expectation must come; an expected gate must be the one that stopped the
rule then. Suppressed candidates that a test does not mention are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from engine.answers.records import arm_name
from engine.book.compiled import CompiledBook, compile_book
from engine.dispatch.model import Decided
from engine.dispatch.quiet import quiet_until_ms
from engine.dispatch.wording import decided_of
from engine.flow.decider import Decider
from rules.gates import word_of
from rules.model import Book
from rules.promises import Expectation, Scenario, ScenarioEvent
from state.batch import Batch, Row, from_rows
from state.columns import Table
from state.contacts import Contacts
from state.decisions import DecisionBatch, Outcome, OutcomeState, RecordKind, decision_id, parse_decision_id
from state.schema import REPLY
from state.texts import NO_TEXTS

SLOTS = 64
CONTACTS_MAX = 24
"""As many as an engine keeps unless its settings say otherwise."""


@dataclass(frozen=True, slots=True)
class ScenarioRecord:
    """One decision record of a scenario's run.

    `at_ms` is its event's time; `text` is what a decision says, or why it cannot be said; `sent_ms` when it goes, None
    where it does not; `arm` the subscriber's, "" for none.
    """

    at_ms: int
    subscriber: int
    rule: str
    channel: str | None
    gate: str | None
    text: str = ""
    sent_ms: int | None = None
    arm: str = ""

    def meets(self, wanted: Expectation) -> bool:
        """Return whether this is what was expected."""
        same = (self.at_ms, self.subscriber, self.rule) == (wanted.at_ms, wanted.subscriber, wanted.rule)
        same &= wanted.arm in {None, self.arm}
        if wanted.gate is not None:
            return same and self.gate == wanted.gate
        says = wanted.text in {None, self.text} and wanted.sent_ms in {None, self.sent_ms}
        return same and self.gate is None and wanted.channel in {None, self.channel} and says

    def __str__(self) -> str:
        arm = f" in arm {self.arm}" if self.arm else ""
        if self.gate:
            return f"{self.rule} stopped by gate {self.gate}{arm}"
        return f"{self.rule} decided on {self.channel}{arm}" + (f' as "{self.text}"' if self.text else "")


@dataclass(frozen=True, slots=True)
class Result:
    """How one scenario ended; no faults means that it passed."""

    scenario: Scenario
    faults: tuple[str, ...]


def run_scenarios(book: Book, contacts_max: int = CONTACTS_MAX) -> Iterator[Result]:
    """Run every test of a book, in order; `contacts_max` is that of the engine which is to run it."""
    shadows = {rule.id for rule in book.rules if rule.shadow}
    compiled: dict[tuple[bool, str | None, frozenset[str]], CompiledBook] = {}
    for scenario in book.tests:
        drawn = scenario.holdout, scenario.arm, scenario.acting & shadows
        if drawn not in compiled:
            compiled[drawn] = compile_book(_with_draws(book, *drawn))
        run = _Run(compiled[drawn], contacts_max)
        yield Result(scenario, tuple(_faults(scenario, run.seen(scenario))))


def _with_draws(book: Book, holdout: bool, arm: str | None, acting: frozenset[str]) -> Book:
    """Return the book with control groups only if `holdout`, all in one arm, and no rule of `acting` in shadow."""
    acted = [replace(rule, shadow=rule.shadow and rule.id not in acting) for rule in book.rules]
    if not holdout or arm is not None:
        acted = [rule if rule.arms is None else replace(rule, arms=rule.arms.all_in(arm)) for rule in acted]
    if holdout:
        return replace(book, rules=tuple(acted))
    campaigns = {name: replace(one, holdout_ppm=0) for name, one in book.campaigns.items()}
    rules = tuple(replace(rule, holdout_ppm=0) for rule in acted)
    return replace(book, rules=rules, campaigns=MappingProxyType(campaigns), holdout_ppm=0)


class _Run:
    """One scenario in a decider of its own."""

    def __init__(self, compiled: CompiledBook, contacts_max: int) -> None:
        self._book = compiled.book
        self._table = Table(SLOTS)
        self._decider = Decider(self._table, Contacts(self._table.capacity, contacts_max), SLOTS)
        self._decider.activate(compiled, 0)
        self._decider.histories.learned()
        self._position = 0
        self._log_ms = 0
        self._made: dict[tuple[int, str], tuple[int, int, int]] = {}
        self._sent_ms: dict[tuple[int, str], int] = {}
        self._seen: list[ScenarioRecord] = []

    def seen(self, scenario: Scenario) -> list[ScenarioRecord]:
        """Return everything that the decider recorded."""
        self._give(scenario)
        for event in scenario.events:
            self._pass_time(event.logged_ms - (event.what != "wait"))
            self._take(event)
        self._pass_time(self._log_ms)
        return self._seen

    def _pass_time(self, until_ms: int) -> None:
        """Fold a row for each deadline that comes up to a time, in their order."""
        deadlines = self._decider.deadlines
        while (batch := deadlines.take(until_ms, 1)) is not None:
            self._fold_batch(batch, int(batch.log_ms[0]))

    def _give(self, scenario: Scenario) -> None:
        if not scenario.events:
            return
        start_ms = min(event.at_ms for event in scenario.events) - 1
        attributes = {name: value for name, value in scenario.given.items() if name != "lists"}
        lists = scenario.given.get("lists", ())
        assert isinstance(lists, list | tuple)
        for subscriber in dict.fromkeys(event.subscriber for event in scenario.events):
            rows = [Row("profile", subscriber, start_ms, attributes)] if attributes else []  # type: ignore[arg-type]  # checked
            rows += [Row("list", subscriber, start_ms, {"list": name, "member": True}) for name in lists]
            if rows:
                self._fold(rows, start_ms)

    def _take(self, event: ScenarioEvent) -> None:
        if event.what in ("pause", "resume"):
            kind, name = event.name
            self._decider.control({"action": event.what, "kind": kind, "name": name})
        elif event.what == "refund":
            self._settle(event.subscriber, event.rule, OutcomeState.REFUNDED, event.at_ms)
        elif event.what == "event":
            kind = self._book.schema.types[event.type].name
            fields = dict(event.fields)
            if event.rule:
                named = self._decision(event.subscriber, event.rule)
                fields |= {"decision": decision_id(*named.values())} if event.type == REPLY else named
            self._fold([Row(kind, event.subscriber, event.at_ms, fields)], event.logged_ms)  # type: ignore[arg-type]  # checked on loading

    def _decision(self, subscriber: int, rule: str) -> Mapping[str, int]:
        """Return the fields that name a rule's newest decision; a decision that was never made names nothing."""
        position, row, number = self._made.get((subscriber, rule), (0, 0, self._book.by_id[rule].stable_id))
        return {"partition": 0, "position": position, "row": row, "rule": number}

    def _settle(
        self, subscriber: int, rule: str, state: OutcomeState, at_ms: int, contact_ms: int | None = None
    ) -> None:
        values = {**self._decision(subscriber, rule), "state": int(state)}
        if contact_ms is not None:
            values["contact_ms"] = contact_ms
        self._fold([Row("outcome", subscriber, at_ms, values)], at_ms)

    def _fold(self, rows: Sequence[Row], logged_ms: int) -> None:
        """Append a frame of rows."""
        self._fold_batch(from_rows(self._book.schema, rows), logged_ms)

    def _fold_batch(self, batch: Batch, logged_ms: int) -> None:
        """Append a frame; what is decided on it is accepted at once."""
        self._position += 1
        self._log_ms = max(self._log_ms, logged_ms)
        batch.log_ms[:] = self._log_ms
        slots = np.empty(batch.n, np.int32)
        self._table.lookup(batch.subscriber, slots, self._position)
        numbers = np.arange(batch.n, dtype=np.int32)
        records = self._decider.fold(self._position, self._log_ms, batch, numbers, slots)
        if records is None:
            return
        self._note(records)
        decided = (records.outcome == Outcome.DECIDED) & (records.kind == RecordKind.DECISION)
        for index in np.flatnonzero(decided).tolist():
            rule = self._book.by_stable_id[int(records.rule[index])].id
            subscriber = int(records.subscriber[index])
            sent_ms = self._sent_ms.get((subscriber, rule))
            state = OutcomeState.COMMITTED if sent_ms is not None else OutcomeState.REFUNDED
            self._settle(subscriber, rule, state, logged_ms, sent_ms)

    def _note(self, records: DecisionBatch) -> None:
        book = self._book
        said = {}
        for one in decided_of(0, records, book, NO_TEXTS):
            _, position, row, number = parse_decision_id(one.decision_id)
            self._made[one.subscriber, one.rule] = position, row, number
            said[row, number] = one.fault or one.text
            sent_ms = self._goes_ms(one)
            self._sent_ms.pop((one.subscriber, one.rule), None)
            if sent_ms < one.expires_ms:
                self._sent_ms[one.subscriber, one.rule] = sent_ms
        for index in np.flatnonzero(records.kind == RecordKind.DECISION).tolist():
            channel, number = int(records.channel[index]), int(records.rule[index])
            self._seen.append(
                ScenarioRecord(
                    int(records.at_ms[index]),
                    int(records.subscriber[index]),
                    book.by_stable_id[number].id,
                    book.channel_name(channel) if channel else None,
                    word_of(int(records.gate[index])),
                    said.get((int(records.row[index]), number), ""),
                    self._sent_ms.get((int(records.subscriber[index]), book.by_stable_id[number].id)),
                    arm_name(book.by_stable_id[number], int(records.arm[index])),
                )
            )

    def _goes_ms(self, one: Decided) -> int:
        """Return when a decision goes: at once, or when the quiet hours of its subscriber end."""
        quiet, kind = self._book.quiet, self._book.channels[one.channel].kind
        return quiet_until_ms(quiet, one.facts, self._log_ms) if quiet is not None and kind == "sms" else self._log_ms


def _faults(scenario: Scenario, seen: list[ScenarioRecord]) -> Iterator[str]:
    left = list(seen)
    for wanted in scenario.expect:
        found = next((one for one in left if one.meets(wanted)), None)
        if found is not None:
            left.remove(found)
            continue
        how = f"stopped by gate {wanted.gate}" if wanted.gate else f"decided on {wanted.channel or 'any channel'}"
        how += f' as "{wanted.text}"' if wanted.text is not None else ""
        how += f" in arm {wanted.arm}" if wanted.arm is not None else ""
        how += f" and sent at {_time(scenario, wanted.sent_ms)}" if wanted.sent_ms is not None else ""
        then = [str(one) for one in seen if one.at_ms == wanted.at_ms and one.subscriber == wanted.subscriber]
        yield f"expected {wanted.rule} {how} at {_time(scenario, wanted.at_ms)}; came: {', '.join(then) or 'nothing'}"
    for one in left:
        if one.gate is None:
            yield f"not expected: {one} at {_time(scenario, one.at_ms)}"


def _time(scenario: Scenario, at_ms: int) -> str:
    """Return a time as its distance from the first event."""
    after_s = (at_ms - min(event.at_ms for event in scenario.events)) / 1000
    return f"+{after_s:g} s"
