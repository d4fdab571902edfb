"""The topic `texts` of a cluster that began with format 1: what the hashes of its old frames and pages stand for.

Since format 2 frames, pages and records carry their texts, and nothing is written here any more. Where the topic exists
it is read once, at a start; a cluster that has none asks for nothing.
"""

from typing import Any

from connectors.kafka.tail import Tail
from connectors.kafka.topics import exists
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config
from state.hashing import hash_text
from state.strings import TEXT_BYTES_MAX


class OldTexts:
    """Texts by their hashes, in memory.

    Args:
        config: checked settings.
        guard: what reads records.
    """

    def __init__(self, config: Config, guard: RecordGuard | None = None) -> None:
        self._config = config
        self._guard = guard or RecordGuard()
        self._texts: dict[int, bytes] = {}

    async def load(self) -> None:
        """Read the topic to its end, where there is one."""
        place = Place(Names(self._config.cluster.prefix).texts, 0)
        if not await exists(self._config.cluster, place.topic):
            return
        async with Tail(self._config.cluster, *place) as tail:
            async for records in tail.to_end():
                read = (self._guard.read(place, one, text_of) for one in records)
                self._texts.update(pair for pair in read if pair is not None)

    def text(self, hashed: int) -> bytes | None:
        """Return the text of a hash, None when the topic has none."""
        return self._texts.get(hashed)


def text_key(hashed: int) -> bytes:
    """Return the key under which the topic has a text."""
    return hashed.to_bytes(8, "little", signed=True)


def text_of(record: Any) -> tuple[int, bytes]:
    """Return the hash and the text of a record of the topic; ValueError where they do not belong together."""
    key, value = record.key, record.value
    if key is None or value is None or len(value) > TEXT_BYTES_MAX or key != text_key(hash_text(value)):
        raise ValueError("the key must be the hash of the text")
    return int.from_bytes(key, "little", signed=True), value
