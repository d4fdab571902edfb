"""Dead letters of a cluster, read from their topic and put back, each once.

A letter's number is its key in the topic: the place of its line. It may be written more than once (an intake that died
packs its records again); the first one counts. A record with the same key and no value says that it was replayed.

Replay writes the line into the partition of the raw topic it came from, and the mark beside the letter, in one
transaction under one name. So there is no moment at which one is there and the other is not: a replay that dies before
the commit leaves neither (intake reads committed records only), and the next one's start gives its transaction up. Two
that run at a time cannot both commit: the later start fences the earlier, and reads marks only after that. What a
killed replay leaves open holds intake of its raw partitions up for at most `TRANSACTION_MS`, or until the next replay.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from connectors.kafka.tail import Tail
from connectors.kafka.together import Together
from connectors.kafka.writer import Written
from connectors.sources.dead_letter import DeadLetter, from_json
from engine.flow.dead_letters import StoredLetter
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from engine.runtimes.cluster.shared.topics import MESSAGE_BYTES_MAX, Names
from engine.settings.config import Config

TRANSACTION_MS = 10_000
LETTERS_A_TRANSACTION = 500
PARTITION = re.compile("[0-9]{1,9}")


async def read_letters(
    config: Config, passed_over: Callable[[str, int], object] = lambda *_: None
) -> AsyncIterator[StoredLetter]:
    """Yield every letter that the topic keeps, oldest first, and whether it was replayed.

    A flood may have written millions: of each one that was yielded a number is kept, no more.
    `passed_over` is called with the topic and how many of its records are no letters, where there are any.
    """
    guard, place, seen = RecordGuard(), Place(Names(config.cluster.prefix).dead, 0), set[int]()
    replayed = {number async for number, letter in _records(config, RecordGuard(), marks=True) if letter is None}
    async for number, letter in _records(config, guard):
        if letter is not None and hash(number) not in seen:
            seen.add(hash(number))
            yield StoredLetter(number, letter, number in replayed)
    if guard.counts[place.topic]:
        passed_over(place.topic, guard.counts[place.topic])


async def _records(
    config: Config, guard: RecordGuard, *, marks: bool = False
) -> AsyncIterator[tuple[str, DeadLetter | None]]:
    """Yield what the topic holds now, as `letter_of`; the `marks` alone where these are asked for."""
    place = Place(Names(config.cluster.prefix).dead, 0)
    async with Tail(config.cluster, *place, committed=True) as tail:
        async for records in tail.to_end():
            for record in records:
                if not marks or record.value is None:
                    read = guard.read(place, record, letter_of)
                    if read is not None:
                        yield read


def letter_of(record: Any) -> tuple[str, DeadLetter | None]:
    """Return a letter and its number; None for the mark that it was replayed."""
    return record.key.decode(), None if record.value is None else from_json(record.value)


def raw_place(kept: StoredLetter) -> tuple[str, int]:
    """Return the raw topic and partition that a letter's line came from; no topic where its key names none."""
    topic, _, partition = kept.letter.key.rpartition("/")
    return (topic, int(partition)) if PARTITION.fullmatch(partition) else ("", 0)


class Replay:
    """The one who may replay now, with the letters that wait, as they were when it became that; by `begin_replay`."""

    def __init__(self, config: Config, writer: Together, letters: list[StoredLetter]) -> None:
        self.letters = letters
        self._dead = Names(config.cluster.prefix).dead
        self._writer = writer

    async def put_back(self, chosen: Sequence[StoredLetter]) -> AsyncIterator[int]:
        """Put lines back and mark their letters; yields how many are done after each transaction.

        BrokerError when another replay has begun, or the brokers are away: what was not yielded is not done, but for
        the last transaction, of which the marks tell.
        """
        for start in range(0, len(chosen), LETTERS_A_TRANSACTION):
            part = chosen[start : start + LETTERS_A_TRANSACTION]
            await self._writer.write(record for kept in part for record in self._records(kept))
            yield start + len(part)

    def _records(self, kept: StoredLetter) -> tuple[Written, Written]:
        """Return the line for its raw partition, and the letter's mark."""
        topic, partition = raw_place(kept)
        return Written(topic, partition, kept.letter.raw), Written(self._dead, 0, None, kept.number.encode())

    async def stop(self) -> None:
        """Close the connection."""
        await self._writer.stop()


async def begin_replay(config: Config, passed_over: Callable[[str, int], object] = lambda *_: None) -> Replay:
    """Become the one who may replay; an earlier one that still runs cannot commit any more."""
    name = f"{Names(config.cluster.prefix).dead}.replay"
    writer = await Together(config.cluster, name, MESSAGE_BYTES_MAX, TRANSACTION_MS).start()
    try:
        return Replay(config, writer, [one async for one in read_letters(config, passed_over) if not one.replayed])
    except BaseException:
        await writer.stop()
        raise
