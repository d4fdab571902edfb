"""The shipped book on its first days: whom its `first-*` rules reach, against what the generator knows.

python -m tests.engine.first_days [CUSTOMERS [EVENTS_A_CUSTOMER]]

The same customers live through a learning period and one day more. Each day's lines go through the decoder and the
decider as they would in an engine; whatever is decided is accepted by its gateway. Who makes a first call is told from
the columns of which the lines are made.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from connectors.sources.contract import Chunk, padded
from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from engine.book.compiled import compile_book
from engine.feed.day import Chunk as DayChunk
from engine.feed.day import DayPlan, chunks
from engine.feed.lines import chunk_lines, encode, profile_lines
from engine.feed.places import SERVICES
from engine.feed.population import Population, make_population
from engine.flow.decider import Decider
from rules.load import load_text, read_folder
from state.batch import Batch, Row, from_rows, select
from state.columns import Table
from state.contacts import Contacts
from state.decisions import DecisionBatch, Outcome, OutcomeState, RecordKind

BOOK = Path(__file__).parents[2] / "rules" / "book"
LEARNING_DAYS = 7
FIRST_DAY = date(2008, 11, 4)
FRAME_ROWS = 4096
FAR_MS = 1 << 60
KINDS = {
    "long_distance": "first-long-distance",
    "roam_intra": "first-intra-province-roaming",
    "roam_inter": "first-inter-province-roaming",
}
"""The rule of each kind of call."""

Firsts = set[tuple[str, int]]
"""Rules, and the customers that they are for."""


@dataclass
class Day:
    """What came of one day: of whom a rule asked, whom it reached, and whose first call it was."""

    asked: Firsts = field(default_factory=set)
    reached: Firsts = field(default_factory=set)
    truth: Firsts = field(default_factory=set)

    def share(self, customers: int) -> float:
        """Return which share of the customers was reached."""
        return len({subscriber for _, subscriber in self.reached}) / customers


class Generator:
    """The truth: who has called how before, from the columns of the days."""

    def __init__(self, people: Population) -> None:
        held = (people.services >> SERVICES.index("12593") & 1) == 1
        self._holders = set(people.number[held].tolist())
        self._callers: dict[str, set[int]] = defaultdict(set)

    def take(self, chunk: DayChunk) -> Iterator[tuple[str, int]]:
        """Yield the firsts of a chunk that are worth a word: not with the prefix, and not of those that hold it."""
        rows = chunk.rows.get("call")
        if rows is None:
            return
        columns = chunk.fields["call"]
        calls = zip(chunk.number[rows].tolist(), columns["kind"].tolist(), columns["prefix"].tolist(), strict=True)
        for number, kind, prefix in calls:
            if kind in KINDS and number not in self._callers[kind]:
                self._callers[kind].add(number)
                if not prefix and number not in self._holders:
                    yield KINDS[kind], number


class Engine:
    """The shipped book's decider, fed with lines."""

    def __init__(self, customers: int) -> None:
        self._book = load_text(read_folder(BOOK))
        self._table = Table(customers + 1024)
        self._decider = Decider(self._table, Contacts(self._table.capacity, 24), FRAME_ROWS)
        self._decider.activate(compile_book(self._book), 0)
        self._decoder = Decoder(Mapping(), self._book.schema)
        self._firsts = {rule.stable_id: rule.id for rule in self._book.rules if rule.id in KINDS.values()}
        self._position = 0

    def take(self, lines: list[str], day: Day) -> None:
        """Decode and fold lines, which stand in the order of their times."""
        data = encode(lines)
        batch = self._decoder.decode(
            Chunk("day", "", padded(data), len(data), 0, len(data), True, True, 0), FAR_MS
        ).batch
        assert batch.n == len(lines)
        for start in range(0, batch.n, FRAME_ROWS):
            part = select(batch, np.arange(start, min(start + FRAME_ROWS, batch.n), dtype=np.int32))
            part.log_ms[:] = part.at_ms
            self._fold(part, day)

    def _fold(self, batch: Batch, day: Day) -> None:
        self._position += 1
        slots = np.empty(batch.n, np.int32)
        self._table.lookup(batch.subscriber, slots, self._position)
        append_ms = int(batch.log_ms[-1])
        self._decider.histories.begin(append_ms)
        found = self._decider.fold(self._position, append_ms, batch, np.arange(batch.n, dtype=np.int32), slots)
        if found is not None:
            self._note(found, day)
            self._accept(found, day)

    def _note(self, found: DecisionBatch, day: Day) -> None:
        for index in np.flatnonzero(np.isin(found.rule, list(self._firsts))).tolist():
            first = self._firsts[int(found.rule[index])], int(found.subscriber[index])
            day.asked.add(first)
            if found.outcome[index] == Outcome.DECIDED:
                day.reached.add(first)

    def _accept(self, found: DecisionBatch, day: Day) -> None:
        decided = np.flatnonzero((found.outcome == Outcome.DECIDED) & (found.kind == RecordKind.DECISION))
        rows = []
        for index in decided.tolist():
            named = {"position": found.position, "row": int(found.row[index]), "rule": int(found.rule[index])}
            values = {"partition": 0, **named, "state": int(OutcomeState.COMMITTED)}
            rows.append(Row("outcome", int(found.subscriber[index]), found.append_ms, values))
        if rows:
            batch = from_rows(self._book.schema, rows)
            batch.log_ms[:] = found.append_ms
            self._fold(batch, day)


def live(customers: int, events_a_customer: int, seed: int = 1) -> list[Day]:
    """Let customers live through the learning period and one day more; return what came of each day."""
    people = make_population(customers, seed)
    engine, generator = Engine(customers), Generator(people)
    days = []
    for number in range(LEARNING_DAYS + 1):
        plan = DayPlan(customers, customers * events_a_customer, seed + number, FIRST_DAY + timedelta(days=number))
        day = Day()
        parts: Iterable[list[str]] = profile_lines(plan, people) if number == 0 else ()
        for lines in parts:
            engine.take(lines, day)
        for chunk in chunks(plan, people):
            day.truth.update(generator.take(chunk))
            engine.take(chunk_lines(chunk), day)
        days.append(day)
    return days


def main(argv: list[str]) -> None:
    """Run the command."""
    customers, events = (*map(int, argv), *(100_000, 10)[len(argv) :])
    for number, day in enumerate(live(customers, events), start=1):
        told = f"{len(day.truth):,} first calls, {len(day.asked):,} asked of, {len(day.reached):,} reached"
        sys.stdout.write(f"day {number}: {told}: {day.share(customers):.2%} of {customers:,} customers\n")
        if number > LEARNING_DAYS:
            sys.stdout.write(f"  those asked of are those whose first it is: {day.asked == day.truth}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
