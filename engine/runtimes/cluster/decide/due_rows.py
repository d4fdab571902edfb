"""The deadlines of a partition that we own, as rows `due`, written into its log when they have come.

    wall's clock    `turn`: what has come by now, a slice at a time, oldest first; the next when this one is folded
    events' own     `before_moment`: what has come up to a moment, and then the moment once more. Nobody hears that the
                    moment has come before these rows are folded, so they stand in the log before all that is later

A row is a hint (`engine.flow.deadlines`): the fold asks the cell. So an owner that has lost the partition and does not
know yet, a new one that finds the same deadlines open, and a write that nobody knows the end of may double rows, and
change nothing. What was found and not written is lost with its owner, and found again by the next from the columns.

Not here: what lateness is, and when a deadline comes; and who folds the rows, which come back as any other frame does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from connectors.kafka import BrokerError
from connectors.kafka.writer import Written
from connectors.seldom import Seldom
from engine.flow.deadlines import NONE_MS
from engine.flow.event_time import DUE_ROWS_MAX
from engine.flow.fold import Fold
from engine.flow.steps import step_end
from engine.runtimes.cluster.shared.moments import moment_frame
from state.batch import Batch
from state.decisions import DecisionBatch
from state.frame import Frame, FrameKind, encode

RETRY_S = 0.5
LOOKS_MAX = 64
"""Times that hints are asked anew for when the next deadline comes; what is said then may be too early."""

Write = Callable[[Iterable[Written]], Awaitable[list[int]]]
"""Writes records; returns their offsets when all are durable. BrokerError when some may not be."""

log = logging.getLogger("opportune.cluster")
seldom = Seldom(log)


class DueRows:
    """Writes the rows `due` of one partition; used on the loop, between two frames.

    Args:
        fold: of the partition.
        topic: the log.
        write: see `Write`.
        wall_ms: wall clock.
        rows_max: rows of a frame.
    """

    def __init__(self, fold: Fold, topic: str, write: Write, wall_ms: Callable[[], int], rows_max: int) -> None:
        self._fold = fold
        self._topic = topic
        self._write = write
        self._wall_ms = wall_ms
        self._rows_max = min(rows_max, DUE_ROWS_MAX)
        self._writing: asyncio.Task[int] | None = None

    def turn(self, folded: int) -> None:
        """Begin to write the next slice that has come by the wall's clock; `folded` is the last position folded."""
        if self._fold.events_clock or not self._is_free(folded):
            return
        now_ms = self._wall_ms()
        batch = self._take(now_ms, folded)
        if batch is not None:
            batch.log_ms[:] = now_ms
            frame = encode(Frame(FrameKind.EVENTS, now_ms, batch))
            self._writing = asyncio.create_task(
                self._written(Written(self._topic, self._fold.number, frame, None, now_ms))
            )

    def _is_free(self, folded: int) -> bool:
        """Tell whether the slice before is written and folded; raises what kept it from being written."""
        if self._writing is None:
            return True
        if not self._writing.done() or self._writing.result() > folded:
            return False
        self._writing = None
        return True

    async def _written(self, record: Written) -> int:
        """Write a slice, however long no broker answers; return its position."""
        while True:
            try:
                (position,) = await self._write([record])
            except BrokerError as fault:
                seldom.error("deadlines of partition %d wait until a broker answers: %s", record.partition, fault)
                await asyncio.sleep(RETRY_S)
            else:
                return position

    async def before_moment(self, moment: DecisionBatch, folded: int) -> DecisionBatch | None:
        """Return a moment with the time of the next deadline; None where rows came before it, and it comes once more.

        BrokerError when they may not be written.
        """
        at_ms, number = moment.append_ms, self._fold.number
        frames = []
        while (batch := self._take(at_ms, folded)) is not None:
            frames.append(encode(Frame(FrameKind.EVENTS, step_end(at_ms), batch)))
        if not frames:
            return replace(moment, next_ms=self._next_ms(folded))
        await self._write(Written(self._topic, number, frame) for frame in (*frames, moment_frame(at_ms)))
        return None

    def _take(self, until_ms: int, folded: int) -> Batch | None:
        self._fold.sleepers.look(until_ms, folded + 1)
        return self._fold.deadlines.take(until_ms, self._rows_max)

    def _next_ms(self, folded: int) -> int:
        """Return when the next deadline comes; hints are raised to the truth, as far as that is soon done."""
        deadlines = self._fold.deadlines
        for _ in range(LOOKS_MAX):
            next_ms = deadlines.next_ms
            if next_ms == NONE_MS or self._fold.sleepers.look(next_ms, folded + 1) < NONE_MS:
                break
        return deadlines.next_ms

    async def close(self) -> None:
        """Write no more; what was on its way may be in the log, or not."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
