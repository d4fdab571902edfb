"""The log of a cluster, folded once from its beginning by the decider of one machine: what a cluster must have decided.

The frames stand in the topic with all that decisions follow from: events, outcomes, answers and books, at the positions
that they have there. So two runs whose texts ended at other times have other logs, and each is judged by its own.

The fold is `engine.flow.fold.Fold`, as one machine has it. What a cluster's log asks of its reader beside is written
here a second time, plainly: rows that two intakes wrote count once, and time never goes back.
"""

import asyncio

import numpy as np
from aiokafka import TopicPartition

from engine.book.compiled import CompiledBook
from engine.flow.fold import Fold, FoldLimits, FoldParts
from engine.runtimes.cluster.shared.packed_records import unpack_offsets
from state.batch import select
from state.decisions import DecisionBatch
from state.frame import Frame, FrameKind, decode
from tests.engine.cluster.standins import NOT_USED
from tests.engine.cluster.test_fold import CONTACTS_MAX, WINDOW_MS
from tests.fakes.store import MemoryStore
from tests.parts.kafka.rig import records
from tests.parts.kafka.workers import PARTITIONS

Frames = dict[int, list[tuple[int, Frame]]]
Books = dict[str, CompiledBook]
"""By version."""


def frames_of(bootstrap: str, books: Books, partitions: int = PARTITIONS) -> Frames:
    """Return every frame of the log, by partition."""
    schemas = {one.book.schema.fingerprint: one.book.schema for one in books.values()}
    found: Frames = {number: [] for number in range(partitions)}
    for one in asyncio.run(records(bootstrap, [TopicPartition("opportune.log", number) for number in found])):
        found[one.partition].append((one.offset, decode(one.value, schemas.__getitem__)))
    return found


def folded_at_once(
    frames: Frames,
    books: Books,
    contacts_max: int = CONTACTS_MAX,
    *,
    events_clock: bool = False,
    subscribers: int = 4096,
) -> list[tuple[int, DecisionBatch]]:
    """Return the decisions of one uninterrupted fold of every partition."""
    limits = FoldLimits(
        slots=subscribers, memory_subscribers=subscribers, contacts_max=contacts_max, batch_rows_max=1000,
        dedupe_window_ms=WINDOW_MS, dedupe_ids_max=1000, events_clock=events_clock,
    )  # fmt: skip
    found = []
    for partition, log in frames.items():
        fold = Fold(FoldParts(partition, limits, MemoryStore(), books.__getitem__), NOT_USED, NOT_USED)
        reached: dict[str, int] = {}
        for position, frame in log:
            count_once(fold, frame, reached)
            decided = fold.apply(position, frame)
            if decided is not None:
                found.append((partition, decided))
    return found


def count_once(fold: Fold, frame: Frame, reached: dict[str, int]) -> None:
    """Leave out of a frame the rows that an earlier one had; give it, and what has none of its own, its log time."""
    frame.append_ms = max(frame.append_ms, fold.clock_ms)
    batch = frame.batch
    if frame.kind != FrameKind.EVENTS or batch is None:
        return
    raw = bool(frame.payload)
    due = {batch.schema.types[code].name for code in batch.type.tolist()} == {"due"}
    if not ((raw or due) and fold.events_clock):
        batch.log_ms[:] = np.maximum(batch.log_ms, fold.clock_ms)
    if not raw:
        return
    offsets, counts = unpack_offsets(frame.payload, len(frame.sources), batch.n)
    keys = [key for key, count in zip(frame.sources, counts.tolist(), strict=True) for _ in range(count)]
    rows = list(zip(range(batch.n), keys, offsets.tolist(), strict=True))
    kept = [row for row, key, offset in rows if offset >= reached.get(key, 0)]
    again = np.array(sorted({row for row, *_ in rows} - set(kept)), np.int32)
    if frame.dedupe and again.shape[0]:
        fold.dedupe.mark(batch.id[again], frame.append_ms, np.empty(again.shape[0], np.uint8))
    if fold.events_clock:
        kept.sort(key=lambda row: (int(batch.log_ms[row]), row))
    for key, end in frame.sources.items():
        reached[key] = max(end, reached.get(key, 0))
    frame.batch = select(batch, np.array(kept, np.int32))
