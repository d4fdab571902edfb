"""Rows stand in a topic as they were given, whichever batches they went in."""

import asyncio

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from connectors.kafka.rows import send_rows


class Producer:
    """Takes batches of a thousand bytes."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1000, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> int:
        assert (topic, partition) == ("texts", 3)
        self.sent.append(bytes(batch._build()))
        return len(self.sent)


def rows_of(data: bytes) -> list[tuple[bytes, bytes | None]]:
    records = MemoryRecords(data)
    return [(one.key, one.value) for one in records.next_batch()]


def test_rows_are_sent_in_their_order_and_one_that_fills_a_batch_goes_alone() -> None:
    rows: list[tuple[bytes, bytes | None]] = [(number.to_bytes(8, "little"), b"x" * number) for number in range(60)]
    rows += [(b"large", b"x" * 5000), (b"deleted", None)]
    producer = Producer()

    sent = asyncio.run(send_rows(producer, "texts", 3, rows))

    batches = [rows_of(data) for data in producer.sent]
    assert [row for batch in batches for row in batch] == rows
    assert [row for row in rows if row[0] == b"large"] in batches
    assert sent == [(number + 1, len(batch)) for number, batch in enumerate(batches)]
    assert asyncio.run(send_rows(producer, "texts", 3, [])) == []
