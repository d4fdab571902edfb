"""The intake on the events' own clock: when a row goes, however raw topics are read, and whoever takes over when."""

import itertools
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from connectors.sources.kafka.client import records_of
from connectors.sources.kafka.config import RawConfig
from engine.book.compiled import compile_book
from engine.flow.steps import FOREVER_MS, STEP_MS, step_end
from engine.runtimes.cluster.intake.pace import Pace
from engine.runtimes.cluster.intake.service import Packer
from engine.runtimes.cluster.shared.packed_records import in_log_order, leave_out_repeated
from engine.settings.config import Config
from rules.load import load_text
from state.frame import decode
from tests.connectors.kafka.record_batches import laid_values
from tests.engine.world import BASE_MS, BOOK, call

RAW = RawConfig(name="raw", topic="raw")
CONFIG = Config.model_validate({"sources": {"kafka": [{"name": "raw", "topic": "raw"}]}})
COMPILED = compile_book(load_text({"book.toml": BOOK}))
NOW_NS = (BASE_MS + 366 * 86_400_000) * 1_000_000
DUE_MS = 7_700
"""Something is due for dispatch so often."""
DUE_END_MS = BASE_MS + 40 * STEP_MS

Row = tuple[int, int, int]
"""Moment, log time, subscriber."""


def lines_of(random: Random) -> list[list[bytes]]:
    """Return the lines of three raw partitions: in time, early, late, far ahead, none."""
    feeds: list[list[bytes]] = []
    for number in range(3):
        at_ms, lines = BASE_MS + random.randrange(4 * STEP_MS), []
        for index in range(random.choice([0, 40, 90])):
            at_ms += random.choice([0, 0, 300, 5_000, 80_000])
            wrong_ms = random.choice([0] * 20 + [-90_000, 30 * 86_400_000]) if index > 3 else 0
            who = index if index < 4 else random.randrange(6)
            lines.append(call(8613800000000 + number + 3 * who, at_ms + wrong_ms, id=f"{number}-{index}"))
        feeds.append(lines)
    return feeds


class World:
    """Raw partitions that are read in chunks of any size, and a log that drops what it has."""

    def __init__(self, feeds: Sequence[Sequence[bytes]], random: Random, partitions: int, rows_max: int) -> None:
        self.feeds = feeds
        self.random = random
        self.partitions = partitions
        self.rows_max = rows_max
        self.packer = Packer(CONFIG, COMPILED.book)
        self.committed: dict[str, int] = {}
        self.notes: dict[str, str] = {}
        self.reached: list[dict[str, int]] = [{} for _ in range(partitions)]
        self.log: list[list[Row]] = [[] for _ in range(partitions)]
        self.done_ms = 0
        self.told = 0
        self.begin()

    def begin(self) -> None:
        """Begin where the last intake has committed."""
        self.read = {f"raw/{number}": self.committed.get(f"raw/{number}", 0) for number in range(3)}
        self.pace = Pace(self.partitions, self.rows_max, self.notes, self.unread)

    def unread(self) -> set[str]:
        return {key for key, read in self.read.items() if read < len(self.feeds[int(key[4:])])}

    def bring(self, size: int) -> None:
        key = self.random.choice(sorted(self.unread()))
        start, lines = self.read[key], self.feeds[int(key[4:])]
        self.read[key] = min(start + size, len(lines))
        records = records_of(RAW, int(key[4:]), laid_values(lines[start : self.read[key]], start), NOW_NS)
        self.pace.add(records, self.packer.decode(records.chunk), self.tell)

    def tell(self) -> None:
        self.told += 1

    def pass_all(self) -> None:
        """Do every moment that has come."""
        while (at_ms := self.pace.next_ms(self.due_ms())) not in (None, FOREVER_MS):
            assert at_ms is not None
            for number, data in self.pace.take(at_ms):
                self.fold(number, data, at_ms)
            self.done_ms = max(self.done_ms, at_ms)
            if self.random.random() < 0.5:
                ends, notes, told = self.pace.ends()
                self.committed |= ends
                self.notes |= notes
                for say in told:
                    say()

    def due_ms(self) -> int:
        """Return when dispatch has something to do: between the first moment and `DUE_END_MS`."""
        due_ms = (self.done_ms // DUE_MS + 1) * DUE_MS
        return due_ms if self.done_ms and self.pace.rows and due_ms < DUE_END_MS else FOREVER_MS

    def fold(self, number: int, data: bytes, at_ms: int) -> None:
        frame = decode(data, lambda _: COMPILED.book.schema)
        leave_out_repeated(frame, self.reached[number])
        self.reached[number] |= frame.sources
        in_log_order(frame)
        assert frame.batch is not None
        columns = (frame.batch.log_ms.tolist(), frame.batch.subscriber.tolist())
        for log_ms, who in zip(*columns, strict=True):
            assert frame.append_ms == step_end(log_ms)
            self.log[number].append((at_ms, log_ms, who))

    def run(self, size: int, restarts: int) -> "World":
        while self.unread():
            self.bring(1 + self.random.randrange(size))
            self.pass_all()
            if restarts and self.random.random() < 0.2:
                restarts -= 1
                self.begin()
        self.pass_all()
        return self


def rows_of(world: World) -> list[Row]:
    return sorted(row for rows in world.log for row in rows)


@pytest.mark.parametrize("seed", range(12))
def test_every_row_goes_once_and_at_its_moment_whatever_is_read_when_and_whoever_takes_over(seed: int) -> None:
    feeds = lines_of(Random(seed))
    whole = World(feeds, Random(seed), 1, 10_000).run(10_000, 0)
    expected = rows_of(whole)
    assert len(expected) == sum(map(len, feeds))
    times = [log_ms for _, log_ms, _ in whole.log[0]]
    assert times == sorted(times)
    for (before, *_), (at_ms, log_ms, _) in itertools.pairwise(expected):
        assert before == at_ms or before < log_ms <= at_ms

    for number in range(3):
        random = Random(1000 * seed + number)
        other = World(feeds, random, random.choice([1, 3]), random.choice([64, 10_000]))
        other.run(random.choice([3, 9, 60]), random.choice([0, 1, 5]))
        assert rows_of(other) == expected
        for rows in other.log:
            assert [row[1] for row in rows] == sorted(row[1] for row in rows)


def test_rows_of_two_raw_partitions_are_folded_in_the_order_of_their_log_times() -> None:
    feeds = [
        [call(8613800000000 + 2 * who, BASE_MS + 2_000 * who) for who in range(5)],
        [call(8613800000001 + 2 * who, BASE_MS + 2_000 * who + 1_000) for who in range(5)],
        [],
    ]
    world = World(feeds, Random(1), 1, 10_000).run(10_000, 0)

    assert [who for _, _, who in world.log[0]][4:] == [8613800000000 + number for number in range(4, 10)]
    assert np.diff([log_ms for _, log_ms, _ in world.log[0]]).min() >= 0


def test_no_moment_comes_while_a_raw_partition_may_bring_an_earlier_row() -> None:
    feeds = [[call(8613800000000 + who, BASE_MS + who * STEP_MS) for who in range(6)], [call(7, BASE_MS)] * 9, []]
    world = World(feeds, Random(1), 1, 10_000)
    records = records_of(RAW, 0, laid_values(feeds[0], 0), NOW_NS)
    world.read["raw/0"] = len(feeds[0])
    world.pace.add(records, world.packer.decode(records.chunk), world.tell)

    assert world.pace.next_ms(BASE_MS) is None, "the other one has not brought anything"
    world.read["raw/1"] = len(feeds[1])
    assert world.pace.next_ms(FOREVER_MS) == step_end(BASE_MS)
