"""What operations may ask of an embedded engine; `engine.serve.face` asks it over HTTP."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from connectors.contract import Gateway
from engine.answers.customer import described
from engine.counter.outside_reporter import OutsideReporter
from engine.flow.core import Core
from engine.flow.feedback import Feedback
from engine.flow.fold import Known
from engine.flow.partition import Partition
from engine.flow.pipeline import Pipeline
from engine.runtimes.sending import Sending
from engine.serve.controls import ReplayedBody, Said
from engine.serve.status import Status, StatusBoard
from rules.model import Book
from state.frame import FrameKind

log = logging.getLogger("opportune")


class LocalOperations:
    """An embedded engine, as its HTTP face sees it."""

    def __init__(
        self, core: Core, pipeline: Pipeline, sending: Sending, feedback: Feedback, board: StatusBoard
    ) -> None:
        self._core = core
        self._pipeline = pipeline
        self._sending = sending
        self._feedback = feedback
        self._outside = OutsideReporter(feedback)
        self._board = board

    @property
    def failure(self) -> BaseException | None:
        """The fault that stopped the flow, if one did."""
        return self._pipeline.failure

    @property
    def book(self) -> Book:
        """The active book."""
        active = self._core.active
        assert active is not None
        return active.book

    @property
    def gateways(self) -> Mapping[str, Gateway]:
        """The gateways by name."""
        return self._sending.opened

    def now_ms(self) -> int:
        """Return the time by the engine's clock."""
        return self._sending.now_ms()

    def status(self) -> Status:
        """Return the figures of now."""
        return self._board.read()

    async def control(self, record: Mapping[str, str]) -> int:
        """Pause, resume or kill: dispatch follows at once, the log remembers."""
        action, kind, name = record["action"], record["kind"], record["name"]
        touched = await self._sending.control(action, kind, name)
        await asyncio.wrap_future(self._pipeline.broadcast(FrameKind.CONTROL, orjson.dumps(record)))
        log.info("%s: %s %s, queued sends touched: %d", action, kind, name, touched)
        return touched

    async def members(self, subscribers: Sequence[int], name: str, *, member: bool, ends: Mapping[str, int]) -> None:
        """Put subscribers on a list or take them off; returns when the log has it and dispatch has heard of it."""
        await self._feedback.members(subscribers, name, member=member, ends=ends)
        await self._sending.heard()

    async def export(self, subscriber: int) -> Mapping[str, Any]:
        """Return all that the state keeps of a subscriber."""

        def read(partition: Partition) -> tuple[int, Known | None]:
            return partition.number, partition.known(subscriber, partition.log.next_position)

        number, known = await asyncio.wrap_future(self._pipeline.ask(subscriber, read))
        return described(number, subscriber, known, self.book, self._core.strings)

    async def erase(self, subscriber: int) -> None:
        """Have the state of a subscriber end; returns when the log has it."""
        await self._feedback.erase(subscriber)

    async def said(self, outcomes: Sequence[Said]) -> None:
        """Record what outside channels say of decisions; returns when the log has it."""
        await self._outside.said(outcomes)

    async def replayed(self, body: ReplayedBody) -> Mapping[str, Any]:
        """Mark dead letters that were put back."""
        now_ms = time.time_ns() // 1_000_000
        await asyncio.to_thread(self._core.dead_letters.mark_replayed, body.numbers, now_ms)
        return {"marked": len(body.numbers)}
