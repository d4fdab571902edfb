"""The outbox of one partition as a topic: attempts are committed there before a gateway sees them.

It belongs to the partition, not to a worker: a new owner's producer fences the old one's, so a worker that has lost the
partition can make no attempt durable any more, and therefore sends nothing. Then the new owner reads what was
committed, from the beginning, and `engine.dispatch.recovery` rebuilds the core from it.

Arrays are numbered as they are read or written; the number is the position. Arrays that compaction has rewritten are
deleted at the brokers, in the background: what is deleted too late is only read once more.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Protocol

import orjson

from connectors.kafka import BrokerError
from connectors.kafka.transactions import FencedError
from engine.dispatch.records import Record, check_record, positions_in
from engine.runtimes.cluster.shared.record_guard import FAULTS, Place, RecordGuard
from state.disk import DiskError

SEGMENT_BYTES = 4 << 20
"""Compaction begins at twice as much: what a new owner reads is a few of these at most."""
RECORDS_MAX = 2_000
"""Records of one array."""

NOWHERE = Place("outbox", 0)

log = logging.getLogger("opportune.cluster")


class LostError(DiskError):
    """The partition has another owner. A DiskError, because dispatch treats it as such: nothing is durable any more."""


class OutboxLedger(Protocol):
    """The topic's partition; see `connectors.kafka.ledger`."""

    async def append(self, values: Sequence[bytes]) -> int:
        """Append values in one transaction; return the offset of the first."""

    def read(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield (offset, value) of everything committed."""

    async def forget(self, below: int) -> None:
        """Let go of what lies below an offset."""


class TopicOutbox:
    """An `engine.dispatch.outbox.Outbox` over a ledger that is started and closed by the caller."""

    segment_bytes = SEGMENT_BYTES

    def __init__(self, ledger: OutboxLedger, place: Place = NOWHERE, guard: RecordGuard | None = None) -> None:
        self._ledger = ledger
        self._place = place
        self._guard = guard or RecordGuard()
        self._found: list[bytes] = []
        self._waiting: list[Record] = []
        self._flushed: list[bytes] = []
        self._kept: deque[tuple[int, int]] = deque()  # offset and bytes of each array, the newest last
        self._forgetting: asyncio.Task[None] | None = None
        self.durable = -1
        self.kept_bytes = 0

    async def load(self) -> None:
        """Read everything back, for `read`; BrokerError when the brokers do not answer."""
        async for offset, value in self._ledger.read():
            if self._readable(offset, value):
                self._found.append(value)
                self._keep(offset, value)

    def _readable(self, offset: int, value: bytes | None) -> bool:
        try:
            check_array(value)
        except FAULTS as fault:
            self._guard.bury(self._place, offset, None, value, fault)
            return False
        return True

    def _keep(self, offset: int, value: bytes) -> None:
        self._kept.append((offset, len(value)))
        self.kept_bytes += len(value)
        self.durable += 1

    def loaded_cursors(self) -> Mapping[str, int]:
        """Return the cursors that stood last in what was loaded, before it is read."""
        return cursors_in(self._found)

    @property
    def position(self) -> int:
        """Position that the next record put will have, as long as it is not flushed."""
        return self.durable + 1 + len(self._flushed)

    @property
    def dirty(self) -> bool:
        """Whether something was put that is not committed yet."""
        return bool(self._waiting) or bool(self._flushed)

    def put(self, record: Record) -> int:
        """Collect a record; return its position, or a lower one where an array becomes too long."""
        self._waiting.append(record)
        return self.position

    def flush(self, now_ms: int) -> None:  # noqa: ARG002 - brokers stamp records themselves
        """Make arrays of what was collected."""
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), RECORDS_MAX):
            self._flushed.append(orjson.dumps(waiting[start : start + RECORDS_MAX]))

    async def commit(self) -> None:
        """Write what was flushed in one transaction.

        LostError when the partition has another owner; DiskError when nobody can say whether it was written. Neither is
        tried again here: a second transaction after an unknown one could make an attempt durable twice.
        """
        values = list(self._flushed)
        if not values:
            return
        try:
            first = await self._ledger.append(values)
        except FencedError as fault:
            raise LostError(str(fault)) from fault
        except BrokerError as fault:
            raise DiskError(f"outbox: {fault}") from fault
        del self._flushed[: len(values)]
        for index, value in enumerate(values):
            self._keep(first + index, value)

    def read(self) -> Iterator[tuple[int, Record]]:
        """Yield every record that was loaded with its position, oldest first; once."""
        found, self._found = self._found, []
        for position, value in enumerate(found):
            for record in orjson.loads(value):
                yield position, record

    def retain(self, keep_from: int) -> int:
        """Let the brokers delete the arrays before `keep_from`, in the background; return how many."""
        going = max(0, keep_from - (self.durable + 1 - len(self._kept)))
        for _ in range(going):
            self.kept_bytes -= self._kept.popleft()[1]
        if self._forgetting is not None and self._forgetting.done():
            self._forgetting.result()
            self._forgetting = None
        if going and self._kept and self._forgetting is None:
            self._forgetting = asyncio.get_running_loop().create_task(self._forget(self._kept[0][0]))
        return going

    async def _forget(self, below: int) -> None:
        try:
            await self._ledger.forget(below)
        except BrokerError as fault:
            log.warning("outbox is not shortened, the next time will do: %s", fault)

    async def close(self) -> None:
        """Stop deleting; returns when nothing of it is connected any more."""
        forgetting, self._forgetting = self._forgetting, None
        if forgetting is not None:
            forgetting.cancel()
            await asyncio.wait([forgetting])
            if not forgetting.cancelled() and (fault := forgetting.exception()) is not None:
                log.error("outbox could not be shortened: %r", fault, exc_info=fault)


def check_array(value: bytes | None) -> None:
    """ValueError, or another fault of garbage, unless `value` is an array of records as `flush` makes it."""
    if value is None:
        raise ValueError("the record has no value")
    records = orjson.loads(value)
    if not isinstance(records, list):
        raise ValueError(f"the value is {type(records).__name__}, must be an array of records")
    for record in records:
        check_record(record)


def cursors_in(values: Sequence[bytes]) -> Mapping[str, int]:
    """Return the cursors that stand last in some arrays of a partition; none where they hold none."""
    for value in reversed(values):
        try:
            check_array(value)
        except FAULTS:
            continue  # its owner passes it over, too
        for record in reversed(orjson.loads(value)):
            cursors = positions_in(record)
            if cursors is not None:
                return cursors
    return {}
