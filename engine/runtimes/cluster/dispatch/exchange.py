"""What the network says later, carried to the dispatcher that it concerns.

A receipt comes over whatever link the SMSC likes, perhaps to another worker than the one that submitted; a reply comes
for a subscriber of any partition. What no partition here awaits is published to the topic `receipts`, which every
dispatcher reads; only then is it acknowledged to the network. A receipt that comes before its submit's answer makes the
same round and waits among the orphans, as in one process.

An opt-out is applied by the partition's owner: the worker that heard it puts it into the log, publishes where it stands
there, and acknowledges the reply when the owner has published that it is applied. Without that word in time there is no
acknowledgement, and the network brings the reply again.

A partition's outbox says up to which offset the topic was read for it. A new owner reads from there before it sends, so
a receipt that was acknowledged while the partition had no owner is not lost.
"""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import orjson

from connectors.contract import MobileOriginated, Receipt, ReceiptState
from connectors.kafka import BrokerError
from connectors.kafka.tail import Tail
from connectors.kafka.writer import Writer, Written
from engine.dispatch.core import DispatchCore
from engine.dispatch.opted_out import OptOut
from engine.dispatch.optout import OptOutWords
from engine.dispatch.orphans import Orphans
from engine.dispatch.replies import EVERYTHING, answered_by, by_plan, keep, list_of
from engine.flow.feedback import Feedback
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config
from state.disk import DiskError
from state.hashing import partition_of

APPLIED_S = 20.0
"""How long a reply waits for the word of its partition's owner."""

log = logging.getLogger("opportune.cluster")

SUBSCRIBER_MAX = 10**15
TIME_END_MS = 1 << 52


class Applied(NamedTuple):
    """The owner of a partition has applied the opt-out that was published with this token."""

    token: str


class OptOutHeard(NamedTuple):
    """An opt-out, and the worker that heard it: `token` is what the owner answers with, empty of earlier releases."""

    opt_out: OptOut
    gateway: str
    to_address: str
    token: str


class Listener(Protocol):
    """A partition's dispatcher."""

    core: DispatchCore

    async def receipt(self, receipt: Receipt) -> None:
        """Take a receipt; returns when it is durable."""

    def note_receipt(self, receipt: Receipt) -> None:
        """Record a receipt; it is durable soon."""

    def opt_out(self, opt_out: OptOut, gateway: str = "", to_address: str = "") -> None:
        """Apply an opt-out that stands in the log."""

    async def settled(self, subscriber: int) -> None:
        """Return when the opt-outs of a subscriber hold, and nothing commercial is on its way to it."""


class Exchange:
    """Receipts and replies of this worker's gateways and of all others; everything is called on the loop.

    Args:
        config: checked settings.
        writer: the worker's, started.
        feedback: the log, for opt-outs.
        orphans: receipts that no message awaits yet.
        words: reads what replies ask for; those of the settings, and set anew with each book.
        guard: reads records.
    """

    def __init__(
        self,
        config: Config,
        writer: Writer,
        feedback: Feedback,
        orphans: Orphans,
        words: OptOutWords | None = None,
        guard: RecordGuard | None = None,
    ) -> None:
        self._config = config
        self._topic = Names(config.cluster.prefix).receipts
        self._place = Place(self._topic, 0)
        self._guard = guard or RecordGuard()
        self.words = words or OptOutWords(config.dispatch.optout_words, config.dispatch.optin_words)
        self._numbers = config.numbers.plan()
        self._writer = writer
        self._feedback = feedback
        self._orphans = orphans
        self.listeners: dict[int, Listener] = {}
        self.counts: Counter[str] = Counter()
        self.position = 0
        """Up to where the topic was read for every listener."""
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._applying: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin at the end of the topic; older records are read for each partition, by `join`."""
        self._tail = await Tail(self._config.cluster, self._topic, 0).start()
        self.position = await self._tail.end()
        self._tail.seek(self.position)

    async def stop(self) -> None:
        """Close the connection."""
        for task in self._applying:
            task.cancel()
        await self._tail.stop()

    async def follow(self) -> None:
        """Hand on what is published from now on; runs until cancelled."""
        while True:
            for record in await self._tail.poll():
                self.hand_on(record, self.listeners)
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
                    self.hand_on(record, {number: listener})

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
        more = [list(receipt.numbers), list(receipt.guesses), receipt.decision_id, list(receipt.part_ids)]
        await self._publish({"receipt": [*fields, *more]})

    async def reply(self, reply: MobileOriginated) -> None:
        """Put a subscriber that opts out on the list; returns when its partition's owner has applied it.

        Of any other reply, the decision that it answers is known where this worker sends for its subscriber; else the
        event has none.
        """
        known = by_plan(reply, self._numbers, self.counts)
        if known is None:
            return
        reply = known
        wish = self.words.read(reply.text)
        if wish is None:
            owner = self.listeners.get(partition_of(reply.subscriber, self._config.data.partitions))
            answers = answered_by(owner.core, reply) if owner is not None else ""
            await keep(self._feedback, reply, self.counts, answers)
            return
        self.counts["opt_outs" if wish.out else "opt_ins"] += 1
        stands = await self._feedback.member(reply.subscriber, list_of(wish), member=wish.out)
        if wish.out:
            await self._applied(OptOut(reply.subscriber, wish.service, *stands), (reply.gateway, reply.to_address))

    async def opt_out(self, subscriber: int) -> None:
        """Put a subscriber who said so at the desk on the list; returns when its partition's owner has applied it."""
        self.counts["opt_outs"] += 1
        stands = await self._feedback.member(subscriber, list_of(EVERYTHING), member=True)
        await self._applied(OptOut(subscriber, "", *stands), ("", ""))

    async def _applied(self, opt_out: OptOut, by: tuple[str, str]) -> None:
        """Return when the owner says that it has applied an opt-out; TimeoutError after `APPLIED_S`."""
        token = secrets.token_hex(8)
        said = self._waiting[token] = asyncio.get_running_loop().create_future()
        try:
            await self._publish({"opt_out": list(opt_out), "by": list(by), "token": token})
            await asyncio.wait_for(said, APPLIED_S)
        finally:
            del self._waiting[token]

    async def _publish(self, record: dict[str, Any]) -> None:
        await self._writer.write([Written(self._topic, 0, orjson.dumps(record))])

    # ---- what all of them heard

    def hand_on(self, record: Any, listeners: Mapping[int, Listener]) -> None:
        """Give a record of the topic to the partitions it concerns, which are those of `listeners`."""
        heard = self._guard.read(self._place, record, parse_heard)
        if isinstance(heard, Applied):
            said = self._waiting.get(heard.token)
            if said is not None and not said.done():
                said.set_result(None)
        elif isinstance(heard, OptOutHeard):
            self._opt_out(heard, listeners)
        elif heard is not None:
            self._receipt(heard, listeners)

    def _opt_out(self, heard: OptOutHeard, listeners: Mapping[int, Listener]) -> None:
        if not heard.token:
            for listener in listeners.values():
                listener.opt_out(heard.opt_out)
            return
        owner = listeners.get(heard.opt_out.partition)
        if owner is not None:
            owner.opt_out(heard.opt_out, heard.gateway, heard.to_address)
            task = asyncio.create_task(self._say_applied(owner, heard.opt_out.subscriber, heard.token))
            self._applying.add(task)
            task.add_done_callback(self._applying.discard)

    async def _say_applied(self, listener: Listener, subscriber: int, token: str) -> None:
        try:
            await listener.settled(subscriber)
            await self._publish({"applied": token})
        except (DiskError, BrokerError, TimeoutError) as fault:
            log.warning(
                "an opt-out is not confirmed to the worker that heard it: %s", str(fault) or type(fault).__name__
            )

    def _receipt(self, receipt: Receipt, listeners: Mapping[int, Listener]) -> None:
        for listener in listeners.values():
            if listener.core.receipts.awaits(receipt):
                listener.note_receipt(receipt)
                return
        if not receipt.decision_id:
            self._orphans.park(receipt, time.time_ns() // 1_000_000)


def parse_heard(record: Any) -> Receipt | OptOutHeard | Applied:
    """Return what a record says; ValueError when it says nothing of ours."""
    fields = orjson.loads(record.value)
    if "applied" in fields:
        return Applied(_text(fields["applied"], "applied"))
    if "opt_out" in fields:
        return _opt_out_of(fields)
    return _receipt_of(fields["receipt"])


def _opt_out_of(fields: dict[str, Any]) -> OptOutHeard:
    said = fields["opt_out"]
    if type(said) is int:  # earlier releases wrote the subscriber alone
        return OptOutHeard(OptOut(_subscriber(said)), "", "", "")
    subscriber, service, partition, position = said
    if type(partition) is not int or type(position) is not int:
        raise ValueError(f"partition={partition!r} and position={position!r} of an opt-out must be numbers")
    gateway, to_address = (_text(one, "by") for one in fields["by"])
    opt_out = OptOut(_subscriber(subscriber), _text(service, "service"), partition, position)
    return OptOutHeard(opt_out, gateway, to_address, _text(fields["token"], "token"))


def _receipt_of(fields: list[Any]) -> Receipt:
    """Return a published receipt; workers of releases before this one published five fields."""
    gateway, message_id, state, code, received_ms, *more = fields
    numbers, guesses, decision_id, part_ids = more or ((), (), "", ())
    for text in (gateway, message_id, code, decision_id, *guesses, *part_ids):
        _text(text, "receipt")
    if type(received_ms) is not int or not 0 <= received_ms < TIME_END_MS:
        raise ValueError(f"received_ms={received_ms!r} must be a time")
    return Receipt(
        gateway, message_id, ReceiptState(state), code, received_ms,
        tuple(_subscriber(one) for one in numbers), tuple(guesses), decision_id, tuple(part_ids),
    )  # fmt: skip


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text")
    return value


def _subscriber(value: Any) -> int:
    if type(value) is not int or not 0 < value <= SUBSCRIBER_MAX:
        raise ValueError("a subscriber must be a number of at most 15 digits")
    return value
