"""Records of the topic `decisions`: the log position that one reaches, and the decisions of one frame.

A record that reaches no further than one before it in its partition was written by a worker that had lost the
partition, and is dropped: that is all that a reader has to do.
"""

import struct

from connectors.kafka.tail import Tail
from state.decisions import DecisionBatch

REACHED = struct.Struct("<q")
"""How a record begins; `state.decisions` follows."""
LAST_RECORDS = 64


def record_of(position: int, decisions: DecisionBatch) -> bytes:
    """Return the record of a frame's decisions."""
    return REACHED.pack(position) + decisions.encode()


class StaleRecordFilter:
    """Tells the records of one partition that count, read in their order."""

    def __init__(self) -> None:
        self.reached = -1

    def decisions(self, value: bytes) -> bytes | None:
        """Return the encoded decisions of a record; None where it reaches no further than one before."""
        (position,) = REACHED.unpack_from(value)
        if position <= self.reached:
            return None
        self.reached = position
        return value[REACHED.size :]


async def last_reached(journal: Tail) -> int:
    """Return the highest log position that a record of a partition reaches; -1 without any.

    Records of two owners may lie side by side at the end, so a few of the last are read.
    """
    end, first = await journal.end(), await journal.first()
    journal.seek(max(first, end - LAST_RECORDS))
    further = StaleRecordFilter()
    async for records in journal.to_end():
        for record in records:
            further.decisions(record.value)
    return further.reached
