"""A recorded day through a cluster on the events' own clock, and through one machine: what is sent when, and why.

    python -m tests.parts.kafka.events_day [LINES [SEED [PARTITIONS]]]

The day is that of `tests.faults.recorded_day`: three sources, which are three raw topics here; windows, a quota and
rates, which several partitions share out, so they are left out where there are several; caps by the time of contact,
withdrawals, lines with wrong times. Workers are killed while it runs. Compared is what stands in the spools and what
`decisions` prints; then the cluster's own log is folded once more, in one process, by the decider of one machine.
A text whose gateway had it without having answered when its worker was killed may be missing: the log says UNKNOWN.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from engine.book.compiled import compile_book
from rules.load import load_text
from state.decisions import DecisionBatch, OutcomeState
from state.schema import OUTCOME, OUTCOME_STATE
from tests.engine.engines import Engine, Nursery
from tests.engine.world import BASE_MS, call
from tests.faults.recorded_day import BOOK, FIRST, Run, config_of, difference, lines_of_day, run_of
from tests.parts.kafka.broker import Broker
from tests.parts.kafka.log_fold import folded_at_once, frames_of
from tests.parts.kafka.workers import Cluster

DEADLINES = """
[[rule]]
id = "no-charge"
after = { event = "call", where = "kind == 'long'" }
within = "50m"
unless = "charge"
channels = ["sms"]
priority = 70
cap = ["1 per 2h"]
text.sms = "no charge since {armed:%H:%M}"
[[rule]]
id = "quick"
after = { event = "call", where = "seconds > 200" }
delay = "7s"
channels = ["sms"]
priority = 10
cap = ["1 per 4h"]
text.sms = "seven seconds after {armed:%H:%M}"
[[rule]]
id = "silent"
after = "charge"
for = "3h"
still = "spent < 900"
channels = ["news"]
cap = ["1 per 6h"]
text.news = "silent with {spent}"
"""
"""Added to the book of the day: deadlines that come within a step, at its end, hours later, with nothing beside."""
DAY = {"calls": "inbox", "charges": "charges", "lists": "lists"}
"""Sources, and the folder of each in the day."""
ONE_MACHINE = """
[data]
directory = "data"
clock = "events"
partitions = {partitions}
[book]
folder = "book"
[http]
enabled = false
[state]
memory_subscribers = {subscribers}
"""
SOURCE = """
[[sources.files]]
name = "{name}"
directory = "{name}"
poll_ms = 20
settle_ms = 50
"""
STILL_S = 20.0
WITNESSES = 20
"""So many subscribers say that the day is over; sixteen move the clock by more than a day."""
WAIT_S = 900.0


class Found(NamedTuple):
    """What came of the cluster: as of one machine; its log folded again, its journal; whose attempts are UNKNOWN."""

    run: Run
    folded: list[tuple[int, DecisionBatch]]
    written: list[tuple[int, DecisionBatch]]
    unknown: Counter[int]


class BothWays:
    """Lines by source, on one machine and in a cluster; each source is a folder of files there, a raw topic here.

    Args:
        folder: where both work.
        book: its text.
        files: the lines of each source.
        gateways: settings of gateways and channels.
        partitions: of the log.
        subscribers: how many there may be.
    """

    def __init__(
        self,
        folder: Path,
        book: str,
        files: Mapping[str, list[bytes]],
        gateways: str,
        partitions: int,
        subscribers: int,
    ) -> None:
        self.folder = folder
        self.book = book
        self.files = files
        self.gateways = gateways
        self.partitions = partitions
        self.subscribers = subscribers

    def on_one_machine(self) -> Run:
        """Return what one machine makes of it."""
        nursery = Nursery()
        config = ONE_MACHINE.format(partitions=self.partitions, subscribers=self.subscribers)
        config += "".join(SOURCE.format(name=name) for name in self.files) + self.gateways
        engine = Engine(nursery, self.folder / "embedded", self.book, config)
        for name, lines in self.files.items():
            (engine.folder / name).mkdir()
            (engine.folder / name / "0.ndjson").write_bytes(b"\n".join(lines) + b"\n")
        try:
            engine.drain()
            return run_of(engine)
        finally:
            nursery.close()

    def in_a_cluster(
        self, broker: Broker, expected: Run, kills: int, seed: int = 1, *, supervised: bool = True
    ) -> Found:
        """Return what two workers make of it, killed now and then while they get on; `supervised`: started again."""
        cluster = Cluster(
            self.folder / "cluster", broker, {"book.toml": self.book}, partitions=self.partitions, clock="events",
            agents=("intake", "decide", "dispatch"), topics=dict.fromkeys(self.files, 1), more=self.gateways,
            memory_subscribers=self.subscribers,
        )  # fmt: skip
        try:
            for name, lines in self.files.items():
                cluster.produce(lines, name, 1)
            for name in ("a", "b"):
                cluster.worker(name)
            _wait(cluster, expected, kills, random.Random(seed), supervised=supervised)
            return self._found(cluster)
        finally:
            cluster.close()

    def _found(self, cluster: Cluster) -> Found:
        compiled = compile_book(load_text({"book.toml": self.book}))
        books = {compiled.book.version: compiled}
        frames = frames_of(cluster.broker.bootstrap, books, self.partitions)
        folded = folded_at_once(frames, books, events_clock=True, subscribers=2 * self.subscribers)
        unknown: Counter[int] = Counter()
        for log in frames.values():
            for batch in (frame.batch for _, frame in log if frame.batch is not None):
                lost = (batch.type == OUTCOME) & (batch.cells[OUTCOME_STATE] == OutcomeState.UNKNOWN)
                unknown.update(batch.subscriber[lost].tolist())
        names = ("subscriber", "rule", "at_ms", "outcome", "gate", "channel")
        decided: list[Any] = [tuple(one[name] for name in names) for one in records_in(cluster)]
        return Found(Run(sent_in(cluster), sorted(decided, key=str)), folded, read_journal(cluster), unknown)


def day_of(folder: Path, lines: int, seed: int, partitions: int) -> BothWays:
    """Return the recorded day, `lines` of each source; see the module."""
    day = lines_of_day(seed)
    files = {name: day[of].splitlines()[:lines] for name, of in DAY.items()}
    files["calls"] += the_end(BASE_MS + 60 * 3_600_000)
    gateways = "[gateways.spool]" + config_of(partitions, 64).partition("[gateways.spool]")[2]
    if partitions > 1:
        kept = [one for one in gateways.splitlines() if not one.startswith(("rate_per_s", "quota_per_day"))]
        fast = "rate_per_s = 1000000.0"
        gateways = "".join(f"{one}\n{fast}\n" if one.endswith('"spool"') else f"{one}\n" for one in kept)
        gateways = gateways.replace(f'kind = "spool"\n{fast}', 'kind = "spool"')
    return BothWays(folder, BOOK + DEADLINES, files, gateways, partitions, 1000)


def the_end(at_ms: int) -> list[bytes]:
    """Return calls of so many subscribers that time goes on to `at_ms`: by then all that was due has gone."""
    return [call(FIRST + 900 + one, at_ms + one, "end", 1).strip() for one in range(WITNESSES)]


def _wait(cluster: Cluster, expected: Run, kills: int, chance: random.Random, *, supervised: bool) -> None:
    """Return when as much is decided as should be, and nothing more is sent; kill workers on the way."""
    deadline = time.monotonic() + WAIT_S
    steps = [len(expected.sent) * (one + 1) // (kills + 2) for one in range(kills)]
    last, last_s = -1, 0.0
    while True:
        sent, now_s = len(sent_in(cluster)), time.monotonic()
        assert now_s < deadline, (sent, len(expected.sent), [one.log for one in cluster.workers])
        if steps and sent >= steps[0]:
            steps.pop(0)
            chance.choice(cluster.workers).kill()
        if supervised:
            cluster.supervise()
        if last != sent:
            last, last_s = sent, now_s
        over = sent >= len(expected.sent) or now_s - last_s > STILL_S
        if not steps and over and len(records_in(cluster)) >= len(expected.decided):
            return
        time.sleep(0.05)


def sent_in(cluster: Cluster) -> list[tuple[int, int, str]]:
    """Return what stands in the spools of all workers."""
    found = []
    for path in cluster.folder.glob("spool/*/out*.ndjson"):
        for text in path.read_bytes().splitlines():
            message = orjson.loads(text)
            found.append((message["at_ms"], message["to"], message["text"]))
    return sorted(found)


def records_in(cluster: Cluster) -> list[dict[str, Any]]:
    """Return what `decisions` prints."""
    printed = cluster.command("decisions", "--cluster", "--format", "ndjson")
    return [orjson.loads(one) for one in printed.stdout.splitlines()]


def ids_of(partition: int, batch: DecisionBatch) -> list[tuple[Any, ...]]:
    """Return the records of a frame as the fold has them, with place, outcome and gate."""
    columns = (batch.row.tolist(), batch.subscriber.tolist(), batch.outcome.tolist(), batch.gate.tolist())
    return [(partition, batch.position, *values) for values in zip(*columns, strict=True)]


def read_journal(cluster: Cluster) -> list[tuple[int, DecisionBatch]]:
    """Return what the topic of decisions holds."""
    return cluster.read_until(lambda _: True, 0).batches


def differences(expected: Run, found: Found) -> list[str]:
    """Return how the cluster differs from one machine, and its journal from its log; nothing where they do not."""
    said = []
    lost = Counter(one[1] for one in (Counter(expected.sent) - Counter(found.run.sent)).elements())
    if Counter(found.run.sent) - Counter(expected.sent) or lost - found.unknown:
        said.append(difference("texts", expected.sent, found.run.sent))
    said.append(difference("decisions", expected.decided, found.run.decided))
    folded = [one for partition, batch in found.folded for one in ids_of(partition, batch)]
    written = [one for partition, batch in found.written for one in ids_of(partition, batch)]
    said.append(difference("the log, folded again", folded, written))
    return [one for one in said if one]


def main(arguments: list[str]) -> int:
    """Run the day through both; return 1 where they differ."""
    lines, seed, partitions = (int(one) for one in [*arguments, *["2000", "1", "1"][len(arguments) :]])
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka") as broker:
        day = day_of(Path(folder), lines, seed, partitions)
        expected = day.on_one_machine()
        began_s = time.monotonic()
        found = day.in_a_cluster(broker, expected, kills=6, seed=seed)
        said = differences(expected, found)
        sys.stdout.write(
            f"{len(expected.sent)} texts, {len(expected.decided)} candidates, {found.unknown.total()} unknown, "
            f"{time.monotonic() - began_s:.0f} s: {'; '.join(said) or 'the same'}\n"
        )
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
