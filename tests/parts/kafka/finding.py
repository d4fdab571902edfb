"""What is found when chaos is over: decisions, what the log was told, what came to the message centre."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rules.load import load_text
from state.decisions import DecisionBatch, decision_id
from tests.parts.kafka import scene
from tests.parts.kafka.evidence import Log, Told
from tests.parts.kafka.judge import DECIDED
from tests.parts.kafka.judge_ends import ENDS, lost_receipts
from tests.parts.kafka.rig import Reader
from tests.parts.kafka.workers import Cluster, rows
from tests.parts.smsc.centre import Arrival, Centre, Text

Batches = list[tuple[int, DecisionBatch]]


class Wanted(NamedTuple):
    """What must be found: decisions of the feed, how many tickets, and who came to a counter."""

    expected: Batches
    tickets: int
    visitors: Sequence[int]


@dataclass(slots=True)
class Findings:
    """Everything the judges need. `cards` is the subscriber by decision, `visits` the records of the visit's rule."""

    expected: Batches
    told: Told
    batches: Batches = field(default_factory=list)
    records: Counter[int] = field(default_factory=Counter)
    texts: dict[str, Text] = field(default_factory=dict)
    cards: dict[str, int] = field(default_factory=dict)
    visits: Counter[int] = field(default_factory=Counter)
    arrivals: list[Arrival] = field(default_factory=list)
    receipts: list[Text] = field(default_factory=list)
    dropped: int = 0

    def take_new(self, reader: Reader, rules: scene.Rules) -> None:
        """Take what a reader has read since the last call."""
        for partition, batch in reader.batches[len(self.batches) :]:
            self._take(partition, batch, rules)
        self.dropped = reader.dropped

    def _take(self, partition: int, batch: DecisionBatch, rules: scene.Rules) -> None:
        self.batches.append((partition, batch))
        self.records.update(batch.rule.tolist())
        self.visits.update(batch.subscriber[batch.rule == rules.visit].tolist())
        for index in (batch.outcome == DECIDED).nonzero()[0].tolist():
            rule, subscriber = int(batch.rule[index]), int(batch.subscriber[index])
            name = decision_id(partition, batch.position, int(batch.row[index]), rule)
            if rule == rules.visit:
                self.cards[name] = subscriber
            elif rule in rules.tickets:
                number = int(batch.facts[batch.fact_start[index] + rules.ticket_fact])
                self.texts[name] = Text(scene.SOURCES[rules.tickets[rule]], subscriber, f"ticket {number}")
            else:
                self.texts[name] = Text(scene.SOURCES["sms"], subscriber, rules.feed[rule])

    @property
    def reached(self) -> int:
        """A number that grows with every record, text and outcome."""
        outcomes = sum(states.total() for states in self.told.outcomes.values())
        return self.records.total() + len(self.arrivals) + outcomes

    def missing(self, rules: scene.Rules, wanted: Wanted) -> Iterator[bool]:
        """Tell of one thing after another whether some of it is still to come."""
        yield sum(self.records[rule] for rule in rules.feed) < rows(self.expected)
        yield sum(self.records[rule] for rule in rules.tickets) < wanted.tickets
        yield any(not self.visits[visitor] for visitor in wanted.visitors)
        outcomes = self.told.outcomes
        yield any(one not in outcomes or not ENDS & outcomes[one].keys() for one in (*self.texts, *self.cards))
        yield bool(lost_receipts(self.texts, outcomes, self.receipts))


def find(cluster: Cluster, centre: Centre, wanted: Wanted, seconds: float) -> Findings:
    """Read until everything is there that must be, or until nothing has moved for so long; and then what still comes.

    A channel that is slow may have a long queue, which its rate lets go only little by little.
    """
    return asyncio.run(_find(cluster, centre, wanted, seconds))


async def _find(cluster: Cluster, centre: Centre, wanted: Wanted, seconds: float) -> Findings:
    rules, bootstrap = scene.rules(), cluster.broker.bootstrap
    reader = await Reader(bootstrap, "opportune.decisions", cluster.partitions).start()
    log = await Log(bootstrap, cluster.partitions, load_text(scene.BOOK).schema).start()
    found, moved_s, reached = Findings(wanted.expected, log.told), time.monotonic(), -1
    try:
        while True:
            late = time.monotonic() > moved_s + seconds
            cluster.supervise()
            await reader.until_quiet(2)
            await log.read()
            found.take_new(reader, rules)
            found.arrivals, found.receipts = centre.arrivals, centre.receipts
            if found.reached > reached:
                moved_s, reached = time.monotonic(), found.reached
            if late or not any(found.missing(rules, wanted)):
                await reader.until_quiet()
                await log.read()
                found.take_new(reader, rules)
                found.arrivals = centre.arrivals  # what was sent twice may have come a little later
                return found
    finally:
        await reader.stop()
        await log.stop()
