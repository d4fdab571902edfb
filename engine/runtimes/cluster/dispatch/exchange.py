"""What the network says later, carried to the dispatcher that it concerns.

A receipt comes over whatever link the SMSC likes, perhaps to another worker than the one that submitted; a reply comes
for a subscriber of any partition. What no partition here awaits is published to the topic `receipts`, which every
dispatcher reads; only then is it acknowledged to the network. A receipt that comes before its submit's answer makes the
same round and waits among the orphans, as in one process.

A partition's outbox says up to which offset the topic was read for it. A new owner reads from there before it sends, so
a receipt that was acknowledged while the partition had no owner is not lost.
"""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol

import orjson

from connectors.contract import MobileOriginated, Receipt, ReceiptState
from connectors.kafka.tail import Tail
from connectors.kafka.writer import Writer, Written
from engine.dispatch.core import DispatchCore
from engine.dispatch.optout import OPT_OUT_LIST, is_opt_out
from engine.dispatch.receipts import Orphans
from engine.flow.feedback import Feedback
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config

SUBSCRIBER_END = 10**15
TIME_END_MS = 1 << 52


class Listener(Protocol):
    """A partition's dispatcher."""

    core: DispatchCore

    async def receipt(self, receipt: Receipt) -> None:
        """Take a receipt; returns when it is durable."""

    def note_receipt(self, receipt: Receipt) -> None:
        """Record a receipt; it is durable soon."""

    def opt_out(self, subscriber: int) -> None:
        """Refund what waits for a subscriber."""


class Exchange:
    """Receipts and replies of this worker's gateways and of all others; everything is called on the loop.

    Args:
        config: checked settings.
        writer: the worker's, started.
        feedback: the log, for opt-outs.
        orphans: receipts that no message awaits yet.
        guard: what reads records.
    """

    def __init__(
        self, config: Config, writer: Writer, feedback: Feedback, orphans: Orphans, guard: RecordGuard | None = None
    ) -> None:
        self._config = config
        self._topic = Names(config.cluster.prefix).receipts
        self._place = Place(self._topic, 0)
        self._guard = guard or RecordGuard()
        self._writer = writer
        self._feedback = feedback
        self._orphans = orphans
        self.listeners: dict[int, Listener] = {}
        self.counts: Counter[str] = Counter()
        self.position = 0
        """Up to where the topic was read for every listener."""

    async def start(self) -> None:
        """Begin at the end of the topic; older records are read for each partition, by `join`."""
        self._tail = await Tail(self._config.cluster, self._topic, 0).start()
        self.position = await self._tail.end()
        self._tail.seek(self.position)

    async def stop(self) -> None:
        """Close the connection."""
        await self._tail.stop()

    async def follow(self) -> None:
        """Hand on what is published from now on; runs until cancelled."""
        while True:
            for record in await self._tail.poll():
                self.hand_on(record, self.listeners.values())
                self.position = record.offset + 1

    async def join(self, number: int, listener: Listener, start: int) -> None:
        """Add a partition, beginning with what was published from `start` on."""
        self.listeners[number] = listener
        if start >= self.position:
            return  # `follow` reads everything from `position` on
        async with Tail(self._config.cluster, self._topic, 0) as tail:
            tail.seek(max(start, await tail.first()))
            async for records in tail.to_end():
                for record in records:
                    self.hand_on(record, [listener])

    def leave(self, number: int, listener: Listener) -> None:
        """Remove a partition, unless it was opened anew in the meantime."""
        if self.listeners.get(number) is listener:
            del self.listeners[number]

    # ---- what the gateways of this worker hear

    async def receipt(self, receipt: Receipt) -> None:
        """Settle a receipt here, or publish it; returns when it is safe."""
        for listener in self.listeners.values():
            if listener.core.receipts.awaits(receipt):
                await listener.receipt(receipt)
                return
        self.counts["receipts_passed_on"] += 1
        fields = [receipt.gateway, receipt.gateway_message_id, receipt.state.value, receipt.code, receipt.at_ms]
        await self._publish({"receipt": fields})

    async def reply(self, reply: MobileOriginated) -> None:
        """Put a subscriber that opts out on the list, and refund what waits for them; returns when it is safe."""
        if not is_opt_out(reply.text):
            self.counts["replies"] += 1
            return
        self.counts["opt_outs"] += 1
        await self._publish({"opt_out": reply.subscriber})
        await self._feedback.member(reply.subscriber, OPT_OUT_LIST, member=True)

    async def _publish(self, record: dict[str, Any]) -> None:
        await self._writer.write([Written(self._topic, 0, orjson.dumps(record))])

    # ---- what all of them heard

    def hand_on(self, record: Any, listeners: Iterable[Listener]) -> None:
        """Give a record of the topic to the partitions it concerns."""
        heard = self._guard.read(self._place, record, parse_heard)
        if isinstance(heard, int):
            for listener in listeners:
                listener.opt_out(heard)
        elif heard is not None:
            for listener in listeners:
                if listener.core.receipts.awaits(heard):
                    listener.note_receipt(heard)
                    return
            self._orphans.park(heard, time.time_ns() // 1_000_000)


def parse_heard(record: Any) -> Receipt | int:
    """Return the receipt, or the subscriber that opts out, of a record; ValueError when it is neither."""
    fields = orjson.loads(record.value)
    if "opt_out" in fields:
        subscriber = fields["opt_out"]
        if type(subscriber) is not int or not 0 < subscriber < SUBSCRIBER_END:
            raise ValueError("opt_out must be a subscriber's number")
        return subscriber
    gateway, message_id, state, code, received_ms = fields["receipt"]
    if not all(isinstance(text, str) for text in (gateway, message_id, code)):
        raise ValueError("gateway, message id and code must be texts")
    if type(received_ms) is not int or not 0 <= received_ms < TIME_END_MS:
        raise ValueError(f"received_ms={received_ms!r} must be a time")
    return Receipt(gateway, message_id, ReceiptState(state), code, received_ms)
