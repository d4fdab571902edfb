"""What is offered to a cluster in chaos: the lines of a feed at a steady rate, and tickets of now, each once."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer

from tests.parts.kafka.rig import partition_of_line
from tests.parts.kafka.workers import RAW_PARTITIONS

TICK_S = 0.1
FEW_PER_S, SLOW_BURST, BURST_S = 3, 40, 10
GOOD, UNDELIVERED = 8_613_900_000_000, 998_000_000_000
REFUSALS = [int(f"999{'0' * zeros}{status}") for zeros in range(8) for status in (33, 34, 40, 42, 43, 44, 48, 49, 50)]
"""Numbers that the centre refuses for good, by the status that it reads in them."""


class Tickets:
    """Events of now for few subscribers, so that caps hold; each has a number of its own."""

    def __init__(self, seed: int, seconds: float) -> None:
        self._rng = random.Random(seed)
        many = 60 + int(2 * seconds)
        self._who = [*REFUSALS, *(GOOD + n for n in range(many)), *(UNDELIVERED + n for n in range(many // 5))]
        self._number = self._bursts = 0

    def due(self, elapsed_s: float) -> Iterator[bytes]:
        """Yield the tickets of the tick that ends now."""
        if self._rng.random() < FEW_PER_S * TICK_S:
            yield self._line("few")
        if elapsed_s >= self._bursts * BURST_S:
            self._bursts += 1
            for _ in range(SLOW_BURST):
                yield self._line("slow")

    def _line(self, kind: str) -> bytes:
        self._number += 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return (
            f'{{"type":"ticket","msisdn":{self._rng.choice(self._who)},"time":"{now}","id":"t-{self._number}",'
            f'"kind":"{kind}","number":{self._number}}}'
        ).encode()


class Load(threading.Thread):
    """Offers everything, each line once: an idempotent producer, patient enough for the broker's absences."""

    def __init__(self, address: str, lines: Sequence[bytes], rate: float, tickets: Tickets) -> None:
        super().__init__(name="load")
        self._address, self._lines, self._rate, self._tickets = address, lines, rate, tickets
        self.offered_tickets = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._offer())
        except BaseException as fault:
            self.failure = fault
            raise

    async def _offer(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._address, acks="all", enable_idempotence=True, request_timeout_ms=120_000
        )
        await producer.start()
        began, offered, last = time.monotonic(), 0, None
        try:
            while offered < len(self._lines):
                await asyncio.sleep(TICK_S)
                elapsed_s = time.monotonic() - began
                due = min(len(self._lines), int(elapsed_s * self._rate))
                tickets = list(self._tickets.due(elapsed_s))
                for line in [*self._lines[offered:due], *tickets]:
                    last = await producer.send("raw", line, partition=partition_of_line(line, RAW_PARTITIONS))
                offered = due
                self.offered_tickets += len(tickets)
            await producer.flush()
            assert last is not None
            await last
        finally:
            await producer.stop()
