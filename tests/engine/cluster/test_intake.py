"""An intake commits and counts a line once, however often rebalances make it read the line again."""

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from connectors.sources.contract import Records
from connectors.sources.dead_letter import Code
from connectors.sources.kafka.client import records_of
from connectors.sources.kafka.config import RawConfig
from engine.metrics import Metrics
from engine.runtimes.cluster.intake import service as intake
from engine.runtimes.cluster.intake.service import Intake
from engine.runtimes.cluster.shared.packed_records import unpack_offsets
from engine.settings.config import Config
from rules.load import load_book
from state.frame import decode
from tests.connectors.kafka.record_batches import batch, laid

RAW = {"name": "feed", "topic": "raw"}
FIRST = 8613800000001
LINE = b'{"type": "visit", "msisdn": %d, "time": "2023-11-14T22:13:20Z", "terminal": "t", "visit": "v"}' % FIRST


class Reader:
    """A raw partition of ten records, of which a poll reads `values`; a rebalance comes when it is told."""

    def __init__(self, source: RawConfig) -> None:
        self.source = source
        self.assignment = 1
        self.position = self.committed = 0
        self.polls = 0
        self.rebalance_at = -1
        self.refuse = False
        self.values = [LINE] * 4 + [b"{broken"]
        self.read_thrice = asyncio.Event()
        self.packed = asyncio.Event()

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def poll(self, _wait_ms: object, received_ns: Callable[[], int]) -> list[Records]:
        self.polls += 1
        if self.polls == 3:
            self.read_thrice.set()
        if self.polls == self.rebalance_at:
            self.assignment += 1
            self.position = self.committed
        (piece,) = laid(batch(self.values, self.position), self.position)
        if self.position == 10:
            return []
        self.position += len(self.values)
        return [records_of(self.source, 0, piece, received_ns(), self.assignment)]

    async def commit(self, ends: dict[str, int]) -> bool:
        if self.refuse:
            self.refuse = False
            self.assignment += 1
            self.position = self.committed
            return False
        self.committed = ends["raw/0"]
        if self.committed == 10:
            self.packed.set()
        return True


class Producer:
    """Takes what it is given, and acknowledges it when told to."""

    def __init__(self) -> None:
        self.acknowledged = asyncio.Event()
        self.frames = 0

    async def stop(self) -> None:
        pass

    async def send(self, topic: str, *_: object, **__: object) -> asyncio.Future[Any]:
        self.frames += topic == "opportune.log"
        return asyncio.ensure_future(self.acknowledged.wait())


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[Intake, Reader, Producer, Metrics]:
    config = Config.model_validate({"sources": {"kafka": [RAW]}})
    reader, producer, metrics = Reader(config.sources.kafka[0]), Producer(), Metrics()

    async def started(*_: object) -> None:
        pass

    monkeypatch.setattr(intake, "RawReader", lambda *_: reader)
    monkeypatch.setattr(intake, "producer", lambda *_, **__: producer)
    monkeypatch.setattr(intake, "started", started)
    one = intake.Intake(config, load_book(config.book.folder), metrics, time.time_ns)
    return one, reader, producer, metrics


async def run(one: Intake, reader: Reader, producer: Producer) -> None:
    """Let the intake read three times before anything is acknowledged, then all of it."""
    async with asyncio.timeout(10):
        working = asyncio.create_task(one.run())
        await reader.read_thrice.wait()
        producer.acknowledged.set()
        await reader.packed.wait()
        one.stop()
        await working


def counted(metrics: Metrics) -> tuple[float | None, float | None]:
    """Return how many events and dead letters are counted."""
    of_feed = {"source": "feed"}
    events = metrics.registry.get_sample_value("opportune_events_total", of_feed)
    dead = metrics.registry.get_sample_value("opportune_dead_letters_total", of_feed | {"code": Code.BAD_SYNTAX})
    return events, dead


@pytest.mark.parametrize("rebalance_at", [-1, 2, 3])
def test_lines_read_again_after_a_rebalance_are_counted_once(
    made: tuple[Intake, Reader, Producer, Metrics], rebalance_at: int
) -> None:
    one, reader, producer, metrics = made
    reader.rebalance_at = rebalance_at

    asyncio.run(run(one, reader, producer))

    assert counted(metrics) == (8, 2)
    assert producer.frames == {-1: 2, 2: 3, 3: 4}[rebalance_at], "what is read again is packed again"


def test_lines_whose_commit_the_group_refused_are_counted_by_who_reads_them_again(
    made: tuple[Intake, Reader, Producer, Metrics],
) -> None:
    one, reader, producer, metrics = made
    reader.refuse = True

    asyncio.run(run(one, reader, producer))

    assert counted(metrics) == (8, 2)
    assert producer.frames == 4


@pytest.mark.parametrize(("values", "waited"), [([LINE] * 2, True), ([b"\n".join([LINE] * 4)], False)])
def test_events_and_not_records_say_whether_so_few_came_that_more_are_waited_for(
    made: tuple[Intake, Reader, Producer, Metrics], monkeypatch: pytest.MonkeyPatch, values: list[bytes], waited: bool
) -> None:
    one, reader, producer, _ = made
    reader.values = values
    waits, sleep = [], asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(intake, "FEW_EVENTS", 4)
    monkeypatch.setattr(asyncio, "sleep", noted)
    asyncio.run(run(one, reader, producer))

    read = 10 // len(values)
    empty = reader.polls - read
    assert len(waits) == empty + (read if waited else 0)


def test_chunks_of_several_raw_partitions_share_frames_and_every_row_keeps_its_place(
    made: tuple[Intake, Reader, Producer, Metrics],
) -> None:
    one, *_ = made
    source = Config.model_validate({"sources": {"kafka": [RAW]}}).sources.kafka[0]
    starts = [40, 7, 90]
    group = []
    for number, start in enumerate(starts):
        values = [LINE.replace(b"%d" % FIRST, b"%d" % (FIRST + 100 * number + place)) for place in range(20)]
        (piece,) = laid(batch([*values, b"{broken"], start), start)
        group.append(records_of(source, number, piece, time.time_ns(), 1))

    packed = one._packer.pack(group, 5)

    assert [(part.key, part.end, part.events, len(part.dead)) for part in packed.parts] == [
        ("raw/0", 61, 20, 1),
        ("raw/1", 28, 20, 1),
        ("raw/2", 111, 20, 1),
    ]
    assert len(packed.frames) == len({partition for partition, _ in packed.frames}), "one a partition of the log"
    found: list[tuple[str, int, int]] = []
    for _, data in packed.frames:
        frame = decode(data, lambda _: one._packer.schema)
        assert frame.batch is not None
        offsets, counts = unpack_offsets(frame.payload, len(frame.sources), frame.batch.n)
        keys = np.repeat(list(frame.sources), counts)
        found += zip(keys.tolist(), offsets.tolist(), (frame.batch.subscriber - FIRST).tolist(), strict=True)
    assert sorted(found) == [
        (f"raw/{number}", start + place, 100 * number + place)
        for number, start in enumerate(starts)
        for place in range(20)
    ]


@pytest.mark.parametrize(
    ("keys", "other", "length", "groups"),
    [
        ("0123", "", 100, ["0123"]),
        ("00123", "", 100, ["0", "0123"]),
        ("0123", "2", 100, ["01", "2", "3"]),
        ("0123", "", intake.GROUP_BYTES // 2, ["01", "23"]),
        ("01", "", 2 * intake.GROUP_BYTES, ["0", "1"]),
    ],
)
def test_one_group_has_one_chunk_a_raw_partition_one_dedupe_and_not_too_much(
    keys: str, other: str, length: int, groups: list[str]
) -> None:
    records: list[Any] = [
        SimpleNamespace(chunk=SimpleNamespace(key=key, dedupe=key in other, length=length), assignment=1)
        for key in keys
    ]

    made = ["".join(one.chunk.key for one in group) for group in intake.together(records)]

    assert made == groups
