"""The one way in which records of our own topics are read: what cannot be read is passed over, and never ends a worker.

    value = guard.read(place, record, parse)                what `parse` makes of it; None where it cannot be read
    value = await guard.judge(place, record, parse, end)    the same, of a topic that newer releases write too

A topic of ours may hold a record that somebody else wrote, or a release that is gone. It stands there at the next
start, too, and for every worker, so a fault would end them all, again and again. `parse` looks at one record and
changes nothing; its faults are those of the record. Each is counted, logged on one line (the first `LOGGED_MAX` a
minute) and buried: written to the dead letters with topic, offset and reason, under the same key by every worker that
meets it.

What a record needs may stand in `control`, and be newer than what is known of it: a book is published before a frame
names it, and a newer release names its format before it writes anything. So `judge` looks at `control` before it buries
a record, once for all that stood in the partition then: a flood of garbage costs a look now and then. A record that
begins as one of a later format, where `control` names none, is no release's; where it names one, NewerFormatError ends
the worker. `read` leaves that to its caller. A broker's or a disk's fault is no record's.
"""

import asyncio
import logging
import struct
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from connectors.kafka import BrokerError
from connectors.kafka.writer import Written
from connectors.sources.dead_letter import RAW_BYTES_MAX, VALUE_CHARS_MAX, Code, DeadLetter
from rules.diagnostics import BookErrors
from state.disk import DamagedError
from state.formats import NewerFormatError
from state.frame import FrameError
from state.visible import visible

FAULTS = (
    ArithmeticError, AttributeError, BookErrors, DamagedError, FrameError, LookupError, RecursionError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
"""What reading garbage raises."""
LOGGED_MAX = 20
LOG_S = 60.0
BURIED_MAX = 4_000
"""Letters that wait for the brokers, of 12 KB at most; later ones are counted and logged alone."""
BURY_S = 0.2

log = logging.getLogger("opportune.cluster")
T = TypeVar("T")


class Place(NamedTuple):
    """A partition of a topic of ours."""

    topic: str
    partition: int


class RecordGuard:
    """Reads records; counts, logs and buries those that cannot be read. Thread-safe, but for `run`.

    Args:
        dead: topic of the dead letters; "" where nothing is buried, as in a command.
        write: the worker's writer.
        count: called with topic and code of each.
        catch_up: reads `control` to its end; NewerFormatError where that names a later format. None: nobody looks.
    """

    def __init__(
        self,
        dead: str = "",
        write: Callable[[Iterable[Written]], Awaitable[object]] | None = None,
        count: Callable[[str, str], object] = lambda *_: None,
        catch_up: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._dead = dead
        self._write = write
        self._count = count
        self._letters: deque[Written] = deque(maxlen=BURIED_MAX)
        self._logged = 0
        self._since_s = 0.0
        self.catch_up = catch_up
        self._explained: dict[Place, int] = {}
        """Offsets below which `control` as it is known has all that a record needs."""
        self.counts: Counter[str] = Counter()
        """Records passed over, by topic."""

    def read(self, place: Place, record: Any, parse: Callable[[Any], T], code: Code = Code.NOT_A_RECORD) -> T | None:
        """Return what `parse` makes of a record of Kafka; None, with the record buried, where it cannot."""
        try:
            return parse(record)
        except FAULTS as fault:
            self.bury(place, record.offset, getattr(record, "key", None), record.value, fault, code)
            return None

    async def judge(
        self,
        place: Place,
        record: Any,
        parse: Callable[[Any], T],
        end: Callable[[], Awaitable[int]],
        code: Code = Code.NOT_A_RECORD,
    ) -> T | None:
        """Return what `read` does, after a look at `control`; `end` says where the record's partition ends.

        NewerFormatError where a newer release writes in this cluster, or nobody can look.
        """
        if self.catch_up is None:
            return self.read(place, record, parse, code)
        try:
            return parse(record)
        except (*FAULTS, NewerFormatError):
            if record.offset >= self._explained.get(place, 0):
                until = await end()
                await self.catch_up()
                self._explained[place] = until
        try:
            return self.read(place, record, parse, code)
        except NewerFormatError as fault:
            self.bury(place, record.offset, getattr(record, "key", None), record.value, fault, code)
            return None

    def bury(
        self,
        place: Place,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        fault: BaseException | str,
        code: Code = Code.NOT_A_RECORD,
    ) -> None:
        """Pass a record over: count it, log it, write it to the dead letters."""
        self.counts[place.topic] += 1
        self._count(place.topic, code)
        reason = visible(str(fault) or type(fault).__name__, VALUE_CHARS_MAX)
        named = visible((key or b"").decode(errors="replace"), VALUE_CHARS_MAX)
        self._log(place, offset, named, reason)
        if self._dead:
            where = f"{place.topic}/{place.partition}"
            raw = (value or b"")[:RAW_BYTES_MAX]
            length = len(value or b"")
            letter = DeadLetter(place.topic, where, offset, 0, code, named, raw[:16].hex(), reason, raw, length)
            self._letters.append(Written(self._dead, 0, letter.to_json(), f"{where}@{offset}.0".encode()))

    def _log(self, place: Place, offset: int, key: str, reason: str) -> None:
        now_s = time.monotonic()
        if now_s - self._since_s > LOG_S:
            if self._logged > LOGGED_MAX:
                log.error("%d more records could not be read and were passed over", self._logged - LOGGED_MAX)
            self._logged, self._since_s = 0, now_s
        self._logged += 1
        if self._logged <= LOGGED_MAX:
            of = f" of key {key!r}" if key else ""
            log.error("%s/%d at %d%s cannot be read, it is passed over: %s", *place, offset, of, reason)

    async def run(self) -> None:
        """Write the letters that wait until cancelled; the brokers' absence only makes them wait."""
        while True:
            await asyncio.sleep(BURY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write the letters that wait now, if the brokers take them."""
        if self._write is None or not self._letters:
            return
        letters = [self._letters.popleft() for _ in range(len(self._letters))]
        try:
            await self._write(letters)
        except BrokerError as fault:
            log.warning("%d dead letters wait for the brokers: %s", len(letters), fault)
            self._letters.extendleft(reversed(letters))
