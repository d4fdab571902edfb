"""A partition that intakes with clocks minutes apart write: folded alike from wherever an owner begins."""

import itertools
import random
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, Literal

import orjson
import pytest

from connectors.sources.kafka.client import records_of
from connectors.sources.kafka.config import RawConfig
from engine.book.compiled import CompiledBook, compile_book
from engine.flow.fold import FoldLimits, FoldParts
from engine.runtimes.cluster.decide.fold import ClusterFold
from engine.runtimes.cluster.decide.missing import Missing, MissingError
from engine.runtimes.cluster.decide.owned import SWEEPS_IN_RETENTION, Owned
from engine.runtimes.cluster.intake.service import Packer
from engine.settings.config import Config
from rules.gates.desk import VISIT_MS_MAX
from rules.load import load_text
from state.batch import Row, Value, from_rows
from state.decisions import DecisionBatch
from state.frame import Frame, FrameKind, decode, encode
from tests.connectors.kafka.record_batches import laid_values
from tests.engine.cluster.standins import NOT_USED
from tests.engine.world import BASE_MS, BOOK, call
from tests.fakes.store import MemoryStore

CONFIG = Config.model_validate(
    {"data": {"partitions": 1}, "sources": {"kafka": [{"name": "raw", "topic": "raw", "dedupe": True}]}}
)
RAW = RawConfig(name="raw", topic="raw", dedupe=True)
MINUTE_MS = 60_000
EVENTS = 400
WINDOW_MS = 10 * MINUTE_MS
CONTACTS_MAX = 16
COMPILED = compile_book(load_text({"book.toml": BOOK}))
BOOKS = {COMPILED.book.version: COMPILED}


class KafkaLog:
    """A partition of `log`: encoded frames with the timestamps that Kafka indexes."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.first_position = 0
        self.append(Frame(FrameKind.ACTIVATION, BASE_MS, payload=orjson.dumps({"version": COMPILED.book.version})))

    def append(self, frame: Frame) -> None:
        self.frames.append((frame.append_ms, encode(frame)))

    def read(self, start: int) -> Iterator[tuple[int, Frame]]:
        for position in range(start, len(self.frames)):
            yield position, decode(self.frames[position][1], lambda _: COMPILED.book.schema)

    def position_at(self, at_ms: int) -> int:
        later = (position for position, (stamp_ms, _) in enumerate(self.frames) if stamp_ms >= at_ms)
        return next(later, len(self.frames))


def fold_of(
    log: KafkaLog,
    store: MemoryStore,
    policy: Literal["hold", "skip"] = "hold",
    books: dict[str, CompiledBook] = BOOKS,
    contacts_max: int = CONTACTS_MAX,
) -> ClusterFold:
    """Return the fold of the partition as a new owner recovers it."""
    limits = FoldLimits(
        slots=4096, memory_subscribers=4096, contacts_max=contacts_max, batch_rows_max=1000,
        dedupe_window_ms=WINDOW_MS, dedupe_ids_max=1000,
    )  # fmt: skip
    parts = FoldParts(0, limits, store, books.__getitem__)
    return ClusterFold(parts, log, SimpleNamespace(reached=-1), Missing("log", 0, policy))


def two_intakes(seed: int) -> KafkaLog:
    """A log of frames by two intakes, one of them six minutes behind, that also pack each other's records again.

    A frame has rows of one of two raw partitions, or of both.
    """
    draw = random.Random(seed)
    log, packer = KafkaLog(), Packer(CONFIG, COMPILED.book)
    lines = [
        [
            call(draw.randrange(first, 41, 2), BASE_MS + index * 2000, seconds=120, id=f"e{draw.randrange(150)}")
            for index in range(EVENTS // 2)
        ]
        for first in (1, 2)
    ]
    written, now_ms = [0, 0], BASE_MS
    while min(written) < EVENTS // 2:
        now_ms += draw.randrange(MINUTE_MS)
        group = []
        for number in draw.choice([[0], [1], [0, 1], [1, 0]]):
            start = max(0, min(written[number], EVENTS // 2 - 1) - draw.choice([0, 0, 0, 7, 60]))
            end = min(EVENTS // 2, max(start + 1, written[number] + draw.randrange(12)))
            laid = laid_values(lines[number][start:end], start)
            group.append(records_of(RAW, number, laid, now_ms * 1_000_000))
            written[number] = max(written[number], end)
        packed = packer.pack(group, now_ms - draw.choice([0, 6 * MINUTE_MS]))
        for _, frame in packed.frames:
            log.append(decode(frame, lambda _: COMPILED.book.schema))
    return log


def columns_of(decisions: DecisionBatch) -> list[Any]:
    return [decisions.append_ms, decisions.subscriber.tolist(), decisions.row.tolist(), decisions.gate.tolist()]


def decided(fold: ClusterFold, frames: Iterable[tuple[int, Frame]]) -> dict[int, list[Any]]:
    return {
        position: columns_of(decisions)
        for position, frame in frames
        if (decisions := fold.apply(position, frame)) is not None
    }


@pytest.mark.parametrize("seed", range(12))
def test_time_never_goes_back_and_every_owner_folds_alike_whatever_the_intakes_clocks_say(seed: int) -> None:
    log = two_intakes(seed)
    stamps = [stamp_ms for stamp_ms, _ in log.frames]
    assert any(later < earlier - 5 * MINUTE_MS for earlier, later in itertools.pairwise(stamps))
    whole = fold_of(KafkaLog(), MemoryStore())
    expected = decided(whole, log.read(0))
    times = [append_ms for append_ms, *_ in expected.values()]
    assert len(times) > 10
    assert times == sorted(times)
    assert whole.counts.doubled
    assert whole.counts.repeated
    assert whole.counts.events + whole.counts.doubled == EVENTS

    for cut in random.Random(seed).sample(range(2, len(log.frames) - 1), 4):
        store = MemoryStore()
        before = fold_of(KafkaLog(), store)
        decided(before, ((position, frame) for position, frame in log.read(0) if position < cut))
        before.flusher.finish(cut - 1)
        before.flusher.durable(cut - 1)
        before.flusher.pump()
        after = fold_of(log, store)
        redone: list[Any] = []
        after.recover(redone.append)

        found = {one.position: columns_of(one.decisions) for one in redone}
        assert found == {position: one for position, one in expected.items() if position >= cut}


def test_frames_that_are_deleted_and_still_needed_are_never_folded_over_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = two_intakes(1)
    log.first_position = 5

    with pytest.raises(MissingError) as caught:
        fold_of(log, MemoryStore()).recover(lambda _: None)
    assert "partition 0 needs log from position 0 on, the first that Kafka still has is 5: 5 positions" in str(
        caught.value
    )

    store = MemoryStore()
    before = fold_of(KafkaLog(), store)
    decided(before, ((position, frame) for position, frame in log.read(0) if position < 3))
    before.flusher.finish(2)
    before.flusher.durable(2)
    before.flusher.pump()
    skipping = fold_of(log, store, "skip")
    assert skipping.recover(lambda _: None) > 0
    assert skipping.missing.frames == 2
    assert "going on without them, as cluster.missing_frames says" in caplog.text


def test_the_age_of_what_a_start_would_redo_follows_the_sweeps() -> None:
    log, store = two_intakes(2), MemoryStore()
    fold = fold_of(KafkaLog(), store)
    assert fold.oldest_ms is None
    frames = list(log.read(0))
    decided(fold, frames[:4])
    assert fold.oldest_ms == frames[0][1].append_ms

    fold.flusher.finish(3)
    assert fold.oldest_ms == frames[0][1].append_ms
    decided(fold, frames[4:5])
    assert fold.oldest_ms == frames[4][1].append_ms

    fold.flusher.finish(4)
    fold.swept()
    assert fold.oldest_ms is None


def visit(number: int, at_ms: int, *, opened: bool = True) -> Frame:
    values: dict[str, Value] = {"terminal": "t1", "visit": f"v{number}", "open": opened, "cause": ""}
    rows = [Row("visit", 8613800000000 + number, at_ms, values)]
    return Frame(FrameKind.EVENTS, at_ms, from_rows(COMPILED.book.schema, rows))


def test_a_new_owner_knows_the_visits_that_stand() -> None:
    log, store = KafkaLog(), MemoryStore()
    for number in range(3):
        log.append(visit(number, BASE_MS + number))
    log.append(visit(1, BASE_MS + 10, opened=False))
    first = fold_of(log, store)
    first.recover(lambda _: None)
    first.flusher.finish(3)
    first.flusher.close(drain=True)
    log.append(visit(2, BASE_MS + 20, opened=False))
    second = fold_of(log, store)
    second.recover(lambda _: None)
    assert [one.subscriber - 8613800000000 for one in second.standing()] == [0]
    second.apply(len(log.frames), Frame(FrameKind.TICK, BASE_MS + VISIT_MS_MAX))
    assert second.standing() == []


def test_pages_are_written_while_few_events_come_long_before_kafka_deletes_the_frames() -> None:
    log, store, clock_ms = two_intakes(3), MemoryStore(), [BASE_MS]
    partition = Owned(
        CONFIG, 0, store, NOT_USED, NOT_USED, None, NOT_USED, lambda *_: None, NOT_USED, lambda: clock_ms[0]
    )
    fold = partition.fold = fold_of(KafkaLog(), store)
    decided(fold, log.read(0))
    partition.folded = len(log.frames) - 1
    kept_ms = CONFIG.log.log_hours_max * 3_600_000

    assert fold.oldest_ms is not None
    clock_ms[0] = fold.oldest_ms + kept_ms // SWEEPS_IN_RETENTION
    partition.sweep()
    assert fold.flusher.last_start == -1, "it is not yet time"
    clock_ms[0] += 1
    while fold.oldest_ms is not None:
        partition.sweep()
    fold.flusher.durable(partition.folded)
    fold.flusher.pump()

    assert fold_of(log, store).flusher.recover().redo_from == len(log.frames)
    clock_ms[0] += 10 * kept_ms
    partition.sweep()
    assert fold.flusher.last_start == partition.folded, "nothing is left to write"


GREETING = compile_book(
    load_text(
        {
            "book.toml": BOOK
            + """
[[rule]]
id = "greet"
on = "visit"
when = "open"
channels = ["desk"]
[[rule]]
id = "thank"
on = "answer"
channels = ["sms"]
text.sms = "thanks"
"""
        }
    )
)


def told_again(times: int) -> KafkaLog:
    """A log of two days at a counter, each row of which stands in it so many times, as its frame was told again."""
    log, at_ms = KafkaLog(), itertools.count(BASE_MS, 1000)
    log.frames.clear()
    version = orjson.dumps({"version": GREETING.book.version})
    log.append(Frame(FrameKind.ACTIVATION, BASE_MS, payload=version))
    decision = {"partition": 0, "position": 9, "row": 0, "rule": 77}
    for terminal, opened in (("t1", True), ("t1", False), ("t2", True), ("t2", False), ("t1", True), ("", None)):
        for _ in range(times):
            values: dict[str, Any] = {"terminal": terminal, "visit": "v1", "open": opened, "cause": ""}
            row = Row("visit", 7, next(at_ms), values) if terminal else Row("answer", 7, next(at_ms), decision)
            log.append(Frame(FrameKind.EVENTS, row.at_ms, from_rows(GREETING.book.schema, [row])))
    return log


def test_what_a_desk_tells_again_acts_once_whoever_owns_the_partition_when_it_comes() -> None:
    books = {GREETING.book.version: GREETING}
    whole = fold_of(KafkaLog(), MemoryStore(), books=books)
    log = told_again(2)
    expected = decided(whole, log.read(0))
    assert [position for position, one in expected.items() if 0 in one[3]] == [1, 5, 9, 11]
    assert whole.counts.doubled == 6
    once = decided(fold_of(KafkaLog(), MemoryStore(), books=books), told_again(1).read(0))
    assert [one[3] for one in once.values()] == [one[3] for one in expected.values()]

    for cut in range(2, len(log.frames)):
        store = MemoryStore()
        before = fold_of(KafkaLog(), store, books=books)
        decided(before, ((position, frame) for position, frame in log.read(0) if position < cut))
        before.flusher.finish(cut - 1)
        before.flusher.durable(cut - 1)
        before.flusher.pump()
        redone: list[Any] = []
        fold_of(log, store, books=books).recover(redone.append)
        assert {one.position for one in redone} == {position for position in expected if position >= cut}
