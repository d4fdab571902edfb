"""An intake commits and counts a line once, however often rebalances make it read the line again."""

import asyncio

import pytest

from connectors.sources.dead_letter import Code
from connectors.sources.kafka.client import records_of
from engine.config import Config
from engine.metrics import Metrics
from engine.runtimes.cluster import intake
from rules.load import load_book
from tests.connectors.kafka.record_batches import laid_values

RAW = {"name": "feed", "topic": "raw"}
LINE = b'{"type": "visit", "msisdn": 8613800000001, "time": "2023-11-14T22:13:20Z", "terminal": "t", "visit": "v"}'


class Reader:
    """A raw partition of ten records of which a poll reads five; a rebalance comes when it is told."""

    def __init__(self, source):
        self.source = source
        self.assignment = 1
        self.position = self.committed = 0
        self.polls = 0
        self.rebalance_at = -1
        self.refuse = False
        self.read_thrice = asyncio.Event()
        self.packed = asyncio.Event()

    async def start(self):
        pass

    async def stop(self):
        pass

    async def poll(self, _wait_ms, received_ns):
        self.polls += 1
        if self.polls == 3:
            self.read_thrice.set()
        if self.polls == self.rebalance_at:
            self.assignment += 1
            self.position = self.committed
        values = [LINE] * 4 + [b"{broken"]
        laid = laid_values(values, self.position)
        if self.position == 10:
            return []
        self.position += 5
        return [records_of(self.source, 0, laid, received_ns(), self.assignment)]

    async def commit(self, ends):
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

    def __init__(self):
        self.acknowledged = asyncio.Event()
        self.frames = 0

    async def stop(self):
        pass

    async def send(self, topic, *_, **__):
        self.frames += topic == "opportune.log"
        return asyncio.ensure_future(self.acknowledged.wait())


@pytest.fixture
def made(monkeypatch):
    config = Config.model_validate({"sources": {"kafka": [RAW]}})
    reader, producer, metrics = Reader(config.sources.kafka[0]), Producer(), Metrics()

    async def started(*_):
        pass

    monkeypatch.setattr(intake, "RawReader", lambda *_: reader)
    monkeypatch.setattr(intake, "producer", lambda *_, **__: producer)
    monkeypatch.setattr(intake, "started", started)
    one = intake.Intake(config, load_book(config.book.folder), metrics)
    return one, reader, producer, metrics


async def run(one, reader, producer):
    """Let the intake read three times before anything is acknowledged, then all of it."""
    async with asyncio.timeout(10):
        working = asyncio.create_task(one.run())
        await reader.read_thrice.wait()
        producer.acknowledged.set()
        await reader.packed.wait()
        one.stop()
        await working


def counted(metrics):
    """Return how many events and dead letters are counted."""
    of_feed = {"source": "feed"}
    events = metrics.registry.get_sample_value("opportune_events_total", of_feed)
    dead = metrics.registry.get_sample_value("opportune_dead_letters_total", of_feed | {"code": Code.BAD_SYNTAX})
    return events, dead


@pytest.mark.parametrize("rebalance_at", [-1, 2, 3])
def test_lines_read_again_after_a_rebalance_are_counted_once(made, rebalance_at):
    one, reader, producer, metrics = made
    reader.rebalance_at = rebalance_at

    asyncio.run(run(one, reader, producer))

    assert counted(metrics) == (8, 2)
    assert producer.frames == {-1: 2, 2: 3, 3: 4}[rebalance_at], "what is read again is packed again"


def test_lines_whose_commit_the_group_refused_are_counted_by_who_reads_them_again(made):
    one, reader, producer, metrics = made
    reader.refuse = True

    asyncio.run(run(one, reader, producer))

    assert counted(metrics) == (8, 2)
    assert producer.frames == 4
