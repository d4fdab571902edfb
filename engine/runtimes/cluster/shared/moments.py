"""Moments: how intake, decide and dispatch of a cluster keep step on the events' own clock.

    intake ─► log: rows up to the moment, then the moment itself, a frame of kind TICK
    decide ─► decisions: what these rows came to, then the moment, a batch that says when the next deadline comes
    dispatch: takes over, sends what is due by then, has every outcome written to the log; then it rests
    dispatch ─► topic `moments`: this partition rests since that position, and has more to do then ─► intake

The intake writes no row later than a moment before every partition that it was written to rests there. So a row stands
in the log after the outcomes of everything that was due before it, and whoever folds the log again does the same: the
log alone says what was when. A moment that is written twice, or a report that comes twice, changes nothing.

Where deadlines have come by a moment, decide writes their rows and the moment once more before it says anything of it
(`engine.runtimes.cluster.decide.due_rows`); a moment ends where the next deadline of any partition comes.
"""

import logging
from typing import Any, NamedTuple

import orjson

from connectors.kafka import BrokerError
from connectors.kafka.writer import Writer, Written
from engine.flow.steps import FOREVER_MS
from engine.settings.config import Config
from state.frame import Frame, FrameKind, encode

TIME_END_MS = 1 << 47

log = logging.getLogger("opportune.cluster")


def stamp_ms(config: Config, wall_ms: int) -> int:
    """Return the time of a frame that the product itself makes: the wall's; 0, the partition's own, on the events'."""
    return wall_ms if config.data.clock == "wall" else 0


def moment_frame(at_ms: int) -> bytes:
    """Return the frame of a moment; the time of the partition does not follow from it."""
    return encode(Frame(FrameKind.TICK, 0, payload=orjson.dumps({"moment": at_ms})))


def moment_of(frame: Frame) -> int | None:
    """Return the time of the moment that a frame is, milliseconds; None of any other. ValueError where it has none."""
    if frame.kind != FrameKind.TICK or not frame.payload:
        return None
    at_ms = orjson.loads(frame.payload)["moment"]
    if type(at_ms) is not int or not 0 <= at_ms < TIME_END_MS:
        raise ValueError(f"moment={at_ms!r} must be a time >= 0 and < {TIME_END_MS}")
    return at_ms


class Rested(NamedTuple):
    """A partition rests: all that its log has up to `position` is decided, and what was due by `now_ms` has gone.

    `held_ms` is when the first decision falls due that was not taken over, `due_ms` when there is something to do for
    what waits, or a deadline comes; `FOREVER_MS`: never.
    """

    partition: int
    position: int
    now_ms: int
    held_ms: int
    due_ms: int

    @property
    def next_ms(self) -> int:
        """When there is something to do."""
        return min(self.held_ms, self.due_ms)

    def encode(self) -> bytes:
        """Return the record of the topic `moments`."""
        return orjson.dumps(list(self))


def parse_rested(record: Any) -> Rested:
    """Return what a record of the topic says; ValueError when it is none of ours."""
    fields = orjson.loads(record.value)
    if len(fields) != len(Rested._fields) or not all(type(one) is int and 0 <= one <= FOREVER_MS for one in fields):
        raise ValueError(f"a report of rest must be {len(Rested._fields)} numbers >= 0")
    return Rested(*fields)


async def publish_rest(writer: Writer, topic: str, rested: Rested) -> None:
    """Say to the intake that a partition rests; what it does not hear, it asks for again."""
    try:
        await writer.write([Written(topic, 0, rested.encode())])
    except BrokerError as fault:
        log.warning("partition %d rests, and the intake does not hear it: %s", rested.partition, fault)
