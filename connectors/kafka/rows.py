"""Many small records of one partition, sent as whole batches: half a microsecond each, where a `send` of aiokafka with
its future costs tens of them.
"""

from collections.abc import Iterable
from typing import Any

Row = tuple[bytes, bytes | None]
"""A key and its value; None deletes the key."""


async def send_rows(producer: Any, topic: str, partition: int, rows: Iterable[Row]) -> list[tuple[Any, int]]:
    """Send rows in their order; return for each batch the future of its place, and how many rows it holds."""
    sent: list[tuple[Any, int]] = []

    async def send(batch: Any) -> None:
        batch.close()
        sent.append((await producer.send_batch(batch, topic, partition=partition), batch.record_count()))

    batch = producer.create_batch()
    for key, value in rows:
        if batch.append(key=key, value=value, timestamp=None) is None:
            await send(batch)
            batch = producer.create_batch()
            taken = batch.append(key=key, value=value, timestamp=None)
            assert taken is not None, "an empty batch takes any row"
    if batch.record_count():
        await send(batch)
    return sent
