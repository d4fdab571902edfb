"""The way between clients and brokers: it takes time, loses answers, and is closed while no broker answers."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError

from tests.simulation.cluster.broker import Broker
from tests.simulation.cluster.groups import Groups
from tests.simulation.cluster.loop import LIFE, Life, VirtualLoop

TIMEOUT_S = 3.0

T = TypeVar("T")


class Net:
    """The way between clients and brokers."""

    def __init__(self, loop: VirtualLoop, broker: Broker, wall_ms: Callable[[], int]) -> None:
        self.loop = loop
        self.chance = loop.chance
        self.broker = broker
        self.groups = Groups(loop, broker)
        self.wall_ms = wall_ms
        self.cut: Callable[[Life], None] = lambda _: None
        self.over = False
        self.loss = 0.0
        self.slow = 0.05
        self.full = 0.02
        self.outside = contextvars.Context()

    def delay_s(self) -> float:
        """Draw how long a request or an answer is on its way."""
        return self.chance.uniform(0.02, 0.4) if self.chance.random() < self.slow else self.chance.uniform(2e-4, 3e-3)

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something that no process can stop any more."""
        self.loop.call_at(self.loop.now_s + delay_s, action, context=self.outside.copy())

    def post(self, action: Callable[[], T], answered: Callable[[T | None, BaseException | None], None]) -> None:
        """Have the brokers do something, and the answer called: a fault, when the answer is lost."""
        lost = self.chance.random() < self.loss
        arrives_s = max(self.delay_s(), self.broker.away_until_s - self.loop.now_s)
        never = arrives_s > TIMEOUT_S or (lost and self.chance.random() < 0.5)

        def arrive() -> None:
            try:
                result, fault = action(), None
            except KafkaError as refused:
                result, fault = None, refused
            if not lost:
                self.later(self.delay_s(), lambda: answered(result, fault))

        if not never:
            self.later(arrives_s, arrive)
        if lost or never:
            self.broker.counted["an answer was lost"] += 1
            fault = KafkaTimeoutError("no answer")
            self.later(TIMEOUT_S, lambda: answered(None, fault))

    def count(self) -> None:
        """Count a request of a process; where it was to be its last, the process ends before it is sent."""
        life = LIFE.get()
        if life is not None and life.requests_left is not None:
            life.requests_left -= 1
            if life.requests_left < 0:
                self.cut(life)

    async def ask(self, action: Callable[[], T]) -> T:
        """Have the brokers do something and wait for the answer."""
        if self.over:
            raise KafkaError("the world is over")
        self.count()
        life = LIFE.get()
        future: asyncio.Future[T] = self.loop.create_future()
        if life is None or not life.dead:

            def answered(result: T | None, fault: BaseException | None) -> None:
                if future.done():
                    return
                if fault is not None:
                    future.set_exception(fault)
                else:
                    future.set_result(result)  # type: ignore[arg-type]  # None is a result like others

            self.post(action, answered)
        return await future
