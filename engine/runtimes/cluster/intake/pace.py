"""The pace of the events' own clock: raw rows that wait for their moment, and which moment is next.

Every raw partition is a source: its rows get their log times from its clock (`engine.flow.source_clocks`), in their
order, before the split, and wait in the merge of all (`engine.flow.merge`). A moment is the end of the step of the next
row (`engine.flow.steps`), or earlier when something that waits for dispatch is due. It has come when every raw
partition that is still being read has come past it; then the rows up to it are taken, a frame a partition and step.

What was taken is committed (`ends`) with the state of each source's clock at that place, from where an intake that
takes over gives the same rows the same times.

Not here: Kafka, and who says that a moment is over (`paced`).
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import orjson
from numpy.typing import NDArray

from connectors.sources.contract import Decoded, Records
from engine.flow.event_time import stamp_items
from engine.flow.merge import Merge, Part
from engine.flow.partition import Item
from engine.flow.source_clocks import SourceClocks
from engine.flow.stages import items_of
from engine.flow.steps import FOREVER_MS, step_end
from engine.flow.tickets import Ticket
from engine.runtimes.cluster.shared.packed_records import pack_offsets
from state.batch import concat
from state.frame import Encoder, Frame, FrameKind


@dataclass(slots=True)
class Waiting:
    """A chunk of a raw partition: up to which offset, what became of it, and how many rows of each part are taken."""

    end: int
    items: list[Item]
    said: Callable[[], object]
    taken: dict[int, int] = field(default_factory=dict)

    def next_offset(self) -> int | None:
        """Return the offset of the first row that was not taken; None where all were."""
        left = [
            int(item.offsets[taken])
            for number, item in enumerate(self.items)
            if item.offsets is not None and (taken := self.taken.get(number, 0)) < item.offsets.shape[0]
        ]
        return min(left, default=None)


class Pace:
    """What was read of the raw topics and not written into the log; used by one task.

    Args:
        partitions: of the log.
        rows_max: rows of a frame.
        notes: what was committed beside the offsets from where the raw partitions are read, by key.
        unread: returns the keys of the raw partitions that may still bring rows.
    """

    def __init__(
        self, partitions: int, rows_max: int, notes: Mapping[str, str], unread: Callable[[], Collection[str]]
    ) -> None:
        stored = {key: orjson.loads(note) for key, note in notes.items() if note}
        self._clocks = SourceClocks([stored])
        self._partitions = partitions
        self._unread = unread
        self._seen: set[str] = set()
        self._merge = Merge(partitions, rows_max, lambda: {key: key if key in self._seen else "" for key in unread()})
        self._waiting: dict[str, deque[Waiting]] = {}
        self._chunks: dict[Ticket, Waiting] = {}
        self._encoder = Encoder()
        self.rows = 0
        """Rows that wait."""

    def add(self, records: Records, decoded: Decoded, said: Callable[[], object]) -> None:
        """Take a chunk in; `said` is called when its rows are all committed."""
        key = records.chunk.key
        placed = replace(decoded, offsets=records.record_of(decoded.offsets))
        ticket = Ticket()
        items = items_of(records.chunk, placed, ticket, self._partitions)
        log_ms = stamp_items(self._clocks, key, placed, items)
        self._seen.add(key)
        self._merge.add(key, items, log_ms, begun=self._clocks.begun(key), pushed=False)
        waiting = self._chunks[ticket] = Waiting(records.chunk.end, items, said)
        self._waiting.setdefault(key, deque()).append(waiting)
        self.rows += decoded.batch.n

    @property
    def newest_ms(self) -> int:
        """Log time of the latest row that was read; 0 before the first."""
        return self._merge.newest_ms

    def wanted(self) -> set[str]:
        """Return the raw partitions that all others wait for."""
        return {str(key) for key in self._merge.lagging()}

    def next_ms(self, due_ms: int) -> int | None:
        """Return the next moment; None where it is not known yet that it has come. `due_ms`: see the module.

        `FOREVER_MS` where no row waits, and none is to be waited for: then time is for others to say.
        """
        unread = self._unread()
        if any(key in self._seen and not self._clocks.begun(key) for key in unread):
            return None
        head_ms = int(min(self._merge.head_ms(number) for number in range(self._partitions)))
        at_ms = min(due_ms, step_end(head_ms)) if head_ms < FOREVER_MS else due_ms
        if at_ms <= self._merge.complete_ms():
            return at_ms if unread or head_ms < FOREVER_MS else FOREVER_MS
        return None if unread else FOREVER_MS

    def take(self, at_ms: int) -> list[tuple[int, bytes]]:
        """Return the frames of all rows up to a moment that has come, with their partitions, in order."""
        frames = []
        for number in range(self._partitions):
            while self._merge.ready(number, at_ms):
                parts = self._merge.take(number, at_ms)
                some = [part for part in parts if part.count]
                for part in some:
                    self._chunks[part.item.ticket].taken[number] = part.start + part.count
                if some:
                    frames.append((number, bytes(self._encoder.encode(_frame(some)))))
                    self.rows -= sum(part.count for part in some)
        return frames

    def ends(self) -> tuple[dict[str, int], dict[str, str], list[Callable[[], object]]]:
        """Return up to where each raw partition is taken, its clock there, and who is to be told once that stands.

        Called again, it goes on from there.
        """
        ends: dict[str, int] = {}
        notes: dict[str, str] = {}
        told = []
        for key, queue in self._waiting.items():
            while queue:
                first = queue[0]
                offset = first.next_offset()
                ends[key] = first.end if offset is None else offset
                notes[key] = _note(first, offset)
                if offset is not None:
                    break
                told.append(first.said)
                queue.popleft()
                del self._chunks[first.items[0].ticket]
        return ends, notes, told


def _note(waiting: Waiting, offset: int | None) -> str:
    """Return the state of a source's clock before the row at an offset, or after the chunk."""
    clock = waiting.items[0].clock
    assert clock is not None
    return orjson.dumps(clock.after() if offset is None else clock.before(offset)).decode()


def _frame(parts: Sequence[Part]) -> Frame:
    """Return the frame of rows of one step; the rows of a raw partition stand together, as `pack_offsets` has them."""
    cuts = [part.cut() for part in parts]
    offsets: dict[str, list[NDArray[np.int64]]] = {}
    sources: dict[str, int] = {}
    for item in cuts:
        assert item.offsets is not None
        offsets.setdefault(item.key, []).append(item.offsets)
        sources[item.key] = item.end
    return Frame(
        FrameKind.EVENTS,
        parts[0].due_ms,
        concat([item.batch for item in cuts if item.batch is not None]),
        sources,
        cuts[0].dedupe,
        pack_offsets([np.concatenate(some) for some in offsets.values()]),
    )
