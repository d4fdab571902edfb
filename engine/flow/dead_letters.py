"""The dead-letter log: lines that are no events, stored with their reason until somebody has looked at them.

Letters of a source with positions are written before the frame that moves its position past them. After a crash between
the two the lines are read again; a letter whose place (key and offset) stands in the log already is not written twice,
nor one that lies before the position which all partitions have reached.

Without positions (TCP, HTTP) a line that is delivered again is another letter: two equal lines may be two events, and
none may be lost. Where they are one, they have one id, and their replay acts once (`state.dedupe_window_s`).

A letter that was replayed is marked by a record in the log that names its number; `read` leaves such letters out unless
asked.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from connectors.sources.contract import reached as furthest
from connectors.sources.dead_letter import DeadLetter, from_json
from engine.flow.patience import Patience
from state.disk import Disk
from state.segments import Segments

SEGMENT_BYTES = 16 << 20

MARK = b'{"replayed":'
LETTERS_A_RECORD = 256


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A letter in the log: its number, for `replay`, and whether it was replayed."""

    number: str
    letter: DeadLetter
    replayed: bool


class DeadLetters:
    """Appends letters durably; used by the pipeline's workers."""

    def __init__(
        self,
        folder: Path,
        disk: Disk,
        bytes_max: int,
        positions: Mapping[str, int],
        patience: Patience | None = None,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._segments = Segments(folder, disk, segment_bytes=segment_bytes)
        self._bytes_max = bytes_max
        self._patience = patience or Patience()
        self._reached = {key: furthest(position) for key, position in positions.items()}
        self._lock = threading.Lock()
        self._known = {
            (stored.letter.key, stored.letter.offset)
            for stored in _letters(self._segments, 0, frozenset())
            if stored.letter.key and stored.letter.offset >= self._reached.get(stored.letter.key, 0)
        }

    def write(self, letters: Sequence[DeadLetter]) -> int:
        """Append letters and sync; return how many were new."""
        with self._lock:
            new = [letter for letter in letters if self._is_new(letter)]
            for start in range(0, len(new), LETTERS_A_RECORD):
                lines = b"\n".join(letter.to_json() for letter in new[start : start + LETTERS_A_RECORD])
                self._patience.retry(partial(self._segments.append, [lines], new[start].received_ms))
            if new:
                self._segments.sync()
                self._segments.retain(self._segments.next_position, bytes_max=self._bytes_max)
            return len(new)

    def mark_replayed(self, numbers: Sequence[str], now_ms: int) -> None:
        """Remember that letters were put back."""
        with self._lock:
            self._segments.append([orjson.dumps({"replayed": list(numbers)})], now_ms)
            self._segments.sync()

    def close(self) -> None:
        """Close the log."""
        self._segments.close()

    def _is_new(self, letter: DeadLetter) -> bool:
        if not letter.key:
            return True
        if letter.offset < self._reached.get(letter.key, 0):
            return False
        place = (letter.key, letter.offset)
        if place in self._known:
            self._known.discard(place)
            return False
        return True


def read_letters(folder: Path, disk: Disk, *, also_replayed: bool = False) -> Iterator[StoredLetter]:
    """Yield the letters of a data directory, oldest first, beside a running engine or without one."""
    segments = Segments(folder, disk, read_only=True)
    try:
        replayed = frozenset(_replayed(segments))
        for stored in _letters(segments, segments.first_position, replayed):
            if also_replayed or not stored.replayed:
                yield stored
    finally:
        segments.close()


def _replayed(segments: Segments) -> Iterator[str]:
    for record in segments.read(segments.first_position):
        if bytes(record.payload[: len(MARK)]) == MARK:
            yield from orjson.loads(record.payload)["replayed"]


def _letters(segments: Segments, start: int, replayed: frozenset[str]) -> Iterator[StoredLetter]:
    for record in segments.read(max(start, segments.first_position)):
        if bytes(record.payload[: len(MARK)]) == MARK:
            continue
        for index, line in enumerate(bytes(record.payload).split(b"\n")):
            number = f"{record.position}.{index}"
            yield StoredLetter(number, from_json(line), number in replayed)
