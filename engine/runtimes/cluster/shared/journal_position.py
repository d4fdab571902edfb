"""Records of the topic `decisions`: the log position that one reaches, and the decisions of one frame.

A record that reaches no further than one before it in its partition was written by a worker that had lost the
partition, and is dropped: that is all that a reader has to do.
"""

import struct
from typing import Any, NamedTuple

import numpy as np

from connectors.kafka.tail import Tail
from engine.runtimes.cluster.shared.log_records import TIME_END_MS
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from state.decisions import DecisionBatch, decode

REACHED = struct.Struct("<q")
"""How a record begins; `state.decisions` follows."""
LAST_RECORDS = 64


def record_of(position: int, decisions: DecisionBatch) -> bytes:
    """Return the record of a frame's decisions."""
    return REACHED.pack(position) + decisions.encode()


class Reached(NamedTuple):
    """A record as it is read."""

    position: int
    decisions: DecisionBatch


def read_record(record: Any) -> Reached:
    """Return what a record of the topic holds; ValueError when it is none of ours."""
    value = record.value
    if value is None or len(value) < REACHED.size:
        raise ValueError(f"decision record of {len(value or b'')} bytes must have >= {REACHED.size}")
    (position,) = REACHED.unpack_from(value)
    if position < 0:
        raise ValueError(f"position={position} must be >= 0")
    decisions = decode(value[REACHED.size :])
    for name, times in (("at_ms", decisions.at_ms), ("append_ms", np.array([decisions.append_ms]))):
        if times.shape[0] and not (int(times.min()) >= 0 and int(times.max()) < TIME_END_MS):
            raise ValueError(f"{name} must be >= 0 and < {TIME_END_MS}")
    if decisions.position != position:
        raise ValueError(f"position={position} must be that of the decisions, {decisions.position}")
    return Reached(position, decisions)


class StaleRecordFilter:
    """Tells the records of one partition that count, read in their order."""

    def __init__(self) -> None:
        self.reached = -1

    def counts(self, position: int) -> bool:
        """Tell whether a record reaches further than every one before it."""
        further = position > self.reached
        self.reached = max(self.reached, position)
        return further


async def last_reached(journal: Tail, place: Place, log_end: int, guard: RecordGuard) -> int:
    """Return the highest log position that a record of a partition reaches; -1 without any.

    Records of two owners may lie side by side at the end, so a few of the last are read. One that claims to reach
    beyond the log is none of ours: believed, it would silence the partition.
    """
    end, first = await journal.end(), await journal.first()
    journal.seek(max(first, end - LAST_RECORDS))
    further = StaleRecordFilter()
    async for records in journal.to_end():
        for record in records:
            read = await guard.judge(place, record, read_record, journal.end)
            if read is not None and read.position < log_end:
                further.counts(read.position)
    return further.reached
