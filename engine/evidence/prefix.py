"""Journals and logs of a data directory up to one moment, read any number of times.

An engine may run meanwhile: what it appends after `Prefix` was made is not seen. The moment of a partition is the end
of its log, and a little earlier that of its journal; what is said of a decision that is not in the journal yet is left
out with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.flow.datadir import DataDir
from state.decisions import DecisionBatch, decode
from state.disk import Disk, RealDisk
from state.frame import Frame, FrameKind
from state.journal import Journal
from state.log import Log


@dataclass(frozen=True, slots=True)
class Extent:
    """What is read of one partition.

    Journal entries `first_entry` to `end_entry`, the last left out; log positions `first` to `reached`, both included.
    """

    partition: int
    first_entry: int
    end_entry: int
    first: int
    reached: int


class Prefix:
    """The journals and logs of some partitions.

    Args:
        datadir: where they lie.
        journals: the partitions' numbers and journals, open for reading.
        disk: the file system.

    Reading raises GoneError when a running engine has let go of a file meanwhile; DamagedError as journal and log do.
    """

    def __init__(self, datadir: DataDir, journals: Sequence[tuple[int, Journal]], disk: Disk | None = None) -> None:
        self._journals = dict(journals)
        disk = disk or RealDisk()
        self._logs = {number: Log(datadir.log(number), disk, read_only=True) for number, _ in journals}
        self.extents = [self._extent(number, journal) for number, journal in journals]
        self.clock_ms: dict[int, int] = {}
        """How far the log's clock of a partition had come, after its frames were read."""

    @property
    def journal_bytes(self) -> int:
        """Bytes of the journals."""
        return sum(journal.kept_bytes for journal in self._journals.values())

    def batches(self) -> Iterator[tuple[int, DecisionBatch]]:
        """Yield partition and records of each frame that the log still has, each partition in log order."""
        for extent in self.extents:
            reached = extent.first - 1
            for entry in self._journals[extent.partition].read(extent.first_entry):
                if entry.position >= extent.end_entry:
                    break
                if entry.reached > reached:
                    reached = entry.reached
                    batch = decode(entry.payload)
                    if batch.n and batch.position >= extent.first:
                        yield extent.partition, batch

    def frames(self) -> Iterator[tuple[int, int, Frame]]:
        """Yield partition, position and frame of all frames with events, each partition in log order."""
        for extent in self.extents:
            for position, frame in self._logs[extent.partition].read(extent.first):
                if position > extent.reached:
                    break
                if frame.kind == FrameKind.EVENTS and frame.batch is not None and frame.batch.n:
                    before = self.clock_ms.get(extent.partition, 0)
                    self.clock_ms[extent.partition] = max(before, int(frame.batch.log_ms.max()), frame.append_ms)
                    yield extent.partition, position, frame

    def begins_late(self) -> Iterator[tuple[int, int]]:
        """Yield each partition whose journal has records from before its log, and when the log begins."""
        for extent in self.extents:
            if extent.first_entry >= extent.end_entry:
                continue
            oldest = next(self._journals[extent.partition].read(extent.first_entry), None)
            if oldest is None or oldest.reached >= extent.first:
                continue
            first = next(self._logs[extent.partition].read(extent.first), None)
            yield extent.partition, first[1].append_ms if first is not None else 0

    def close(self) -> None:
        """Close the logs; the journals are their owner's."""
        for log in self._logs.values():
            log.close()

    def _extent(self, number: int, journal: Journal) -> Extent:
        """Return what is read of a partition: its journal's end first, so that the log has all that is named there."""
        entries, log = journal.next_position, self._logs[number]
        return Extent(number, journal.first_position, entries, log.first_position, log.next_position - 1)
