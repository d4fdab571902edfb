"""The log of a cluster, folded once from its beginning in one process: what a cluster must have decided, whoever died.

The frames stand in the topic with all that decisions follow from: events, outcomes, answers and books, at the positions
that they have there. So two runs whose texts ended at other times have other logs, and each is judged by its own.
"""

import asyncio

from aiokafka import TopicPartition

from engine.book.compiled import CompiledBook
from state.decisions import DecisionBatch
from state.frame import Frame, decode
from tests.engine.cluster.test_fold import CONTACTS_MAX, KafkaLog, fold_of
from tests.fakes.store import MemoryStore
from tests.parts.kafka.rig import records
from tests.parts.kafka.workers import PARTITIONS

Frames = dict[int, list[tuple[int, Frame]]]
Books = dict[str, CompiledBook]
"""By version."""


def frames_of(bootstrap: str, books: Books) -> Frames:
    """Return every frame of the log, by partition."""
    schemas = {one.book.schema.fingerprint: one.book.schema for one in books.values()}
    found: Frames = {number: [] for number in range(PARTITIONS)}
    for one in asyncio.run(records(bootstrap, [TopicPartition("opportune.log", number) for number in found])):
        found[one.partition].append((one.offset, decode(one.value, schemas.__getitem__)))
    return found


def folded_at_once(frames: Frames, books: Books, contacts_max: int = CONTACTS_MAX) -> list[tuple[int, DecisionBatch]]:
    """Return the decisions of one uninterrupted fold of every partition."""
    found = []
    for partition, log in frames.items():
        fold = fold_of(KafkaLog(), MemoryStore(), books=books, contacts_max=contacts_max)
        decided = (fold.apply(position, frame) for position, frame in log)
        found += [(partition, one) for one in decided if one is not None]
    return found
