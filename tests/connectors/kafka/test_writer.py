"""A writer outlives its producer: a fault costs the records at hand, never those that come later."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber

from connectors.kafka import BrokerError
from connectors.kafka import writer as module
from connectors.kafka.config import KafkaConfig
from connectors.kafka.writer import Writer, Written


class Producer:
    """An idempotent producer: what it gives up leaves a gap, after which it takes nothing more."""

    made: list["Producer"]
    broker_away = False

    def __init__(self, *_: object, **__: object) -> None:
        self.sent: list[bytes] = []
        self.broken, self.stopped = False, asyncio.Event()
        self.made.append(self)

    async def send(self, _topic: object, value: bytes, **_: object) -> asyncio.Future[None]:
        acknowledged = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(self._answer, value, acknowledged)
        return acknowledged

    def _answer(self, value: bytes, acknowledged: asyncio.Future[Any]) -> None:
        self.broken = self.broken or self.broker_away
        if self.broken:
            acknowledged.set_exception(OutOfOrderSequenceNumber())
        else:
            self.sent.append(value)
            acknowledged.set_result(SimpleNamespace(offset=0))

    async def stop(self) -> None:
        self.stopped.set()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Producer]]:
    async def started(client: Producer, _config: object) -> Producer | None:
        if Producer.broker_away:
            raise BrokerError("no broker answers")
        return client

    Producer.made = []
    monkeypatch.setattr(module, "producer", Producer)
    monkeypatch.setattr(module, "started", started)
    yield Producer.made
    Producer.broker_away = False


async def test_what_comes_after_a_fault_is_written_by_a_new_producer(made: list[Producer]) -> None:
    writer = await Writer(KafkaConfig(), 1 << 20).start()
    await writer.write([Written("log", 0, b"a")])
    Producer.broker_away = True
    with pytest.raises(BrokerError, match="records may not be written"):
        await writer.write([Written("log", 0, b"b")])
    with pytest.raises(BrokerError, match="no broker answers"):
        await writer.write([Written("log", 0, b"b")])
    Producer.broker_away = False
    await writer.write([Written("log", 0, b"b")])
    await writer.stop()

    assert [value for one in made for value in one.sent] == [b"a", b"b"]
    assert made[0].broken
    assert made[0].stopped.is_set()
    assert made[-1].stopped.is_set()


async def test_many_that_fail_together_cost_one_producer(made: list[Producer]) -> None:
    writer = await Writer(KafkaConfig(), 1 << 20).start()
    made[0].broken = True
    found = await asyncio.gather(*(writer.write([Written("log", 0, b"a")]) for _ in range(5)), return_exceptions=True)
    await writer.write([Written("log", 0, b"b")])

    assert [type(one) for one in found] == [BrokerError] * 5
    assert [one.sent for one in made] == [[], [b"b"]]
