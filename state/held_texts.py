"""The texts that subscribers' columns hold: what a feature `last`, `first` or `previous` may show later.

A column holds hashes; their texts are here, one a different value, for as long as some subscriber of the table has it.
`keep` takes in what a batch brings for such a feature. Nothing is counted when a value is overwritten: when twice as
many texts are held as at the last sweep, `sweep` looks which words of the columns still name one and drops the others.
So memory is bounded by what subscribers hold, not by what a feed has ever said.

A page, and the row of a subscriber that sleeps, carries the texts of its own hashes at its end (`append`, `take`):
length u32 and the bytes of each, its hash is computed anew. Which columns hold hashes is said by the caller; a word of
them that is none (a time, a pane's head) names no text, but for a chance of 2**-64.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from state.hashing import hash_address
from state.jit import kernel, part
from state.raw import address_of, load_i64, store_i64
from state.texts import (
    SLACK_BYTES,
    Bytes,
    Int32s,
    Int64s,
    Texts,
    copied,
    copy_bytes,
    find_text,
    find_texts,
    index_texts,
)

SWEEP_MIN = 1 << 16
"""Texts that are held before the first sweep."""
_ENTRIES, _BYTES = range(2)
_ROOM_MIN = 1 << 10


class Held(NamedTuple):
    """The texts' memory: `used` int64[2] says how many entries, and bytes of `data`, are taken."""

    hashes: Int64s
    starts: Int64s
    data: Bytes
    table: Int32s
    used: Int64s


class HeldTexts:
    """Texts of one partition; used by one thread at a time."""

    def __init__(self) -> None:
        self._held = _made(_ROOM_MIN, 32 * _ROOM_MIN)
        self._sweep_at = SWEEP_MIN
        self._marks = np.zeros(_ROOM_MIN, np.int64)
        self._generation = 0

    @property
    def count(self) -> int:
        """Texts that are held."""
        return int(self._held.used[_ENTRIES])

    @property
    def arrays(self) -> Held:
        """The texts' memory as it is until the next change."""
        return self._held

    @property
    def due(self) -> bool:
        """Whether so many were added since the last sweep that another one pays."""
        return self.count >= self._sweep_at

    def text(self, hashed: int) -> bytes | None:
        """Return the text with this hash, None when it is not held."""
        held = self._held
        place = find_text(hashed, held.hashes, held.table)
        return held.data[held.starts[place] : held.starts[place + 1]].tobytes() if place >= 0 else None

    def keep(
        self, texts: Texts, type_: NDArray[np.uint8], present: Int64s, cells: Int64s, code: int, slot: int
    ) -> None:
        """Hold the texts of a field's cells int64[n], of the rows of one event type that know it."""
        row = 0
        while row < type_.shape[0]:
            row = keep_cells(
                self._held, texts.hashes, texts.starts, texts.data, texts.table, type_, present, cells, code, slot, row
            )
            if row < type_.shape[0]:
                self._grow(int(texts.lengths.max(initial=0)))

    def pick(self, wanted: Int64s, texts: Texts) -> Texts:
        """Return the wanted texts that a batch brought or that are held."""
        places = np.full((2, wanted.shape[0]), -1, np.int64)
        if texts.count:
            find_texts(wanted, texts.hashes, texts.table, places[0])
        held = self._held
        find_texts(wanted, held.hashes, held.table, places[1])
        brought, kept = places[0] >= 0, (places[0] < 0) & (places[1] >= 0)
        addresses, lengths = np.zeros(wanted.shape[0], np.int64), np.zeros(wanted.shape[0], np.int64)
        for found, place, starts, data in (
            (brought, places[0], texts.starts, texts.data),
            (kept, places[1], held.starts, held.data),
        ):
            at = place[found]
            addresses[found] = starts[at] + data.ctypes.data
            lengths[found] = starts[at + 1] - starts[at]
        some = brought | kept
        return copied(wanted[some], addresses[some], lengths[some])

    def append(self, firsts: Int64s, slots: int, columns: Int64s) -> tuple[Bytes, Int64s]:
        """Return the texts of groups of neighbouring slots, one after the other, and where those of each group end.

        `columns` int64[c, 2]: address and row bytes of each that holds hashes.
        """
        ends = np.zeros(firsts.shape[0], np.int64)
        out = np.empty(1 << 16, np.uint8)
        done = 0
        while True:
            done = append_texts(self._held, firsts, slots, columns, self._marks, self._generation, out, ends, done)
            self._generation += firsts.shape[0]
            if done == firsts.shape[0]:
                return out, ends
            more = np.empty(2 * out.shape[0], np.uint8)
            more[: out.shape[0]] = out
            out = more

    def take(self, data: Bytes, begins: Int64s, ends: Int64s) -> bool:
        """Hold the texts between each pair of bounds; return whether they are whole. `data` has SLACK_BYTES more."""
        at = np.array([0, begins[0] if begins.shape[0] else 0], np.int64)
        while (left := take_texts(self._held, data, begins, ends, at)) > 0:
            self._grow(left)
        return left == 0

    def sweep(self, columns: Iterable[Int64s]) -> None:
        """Drop what no word of these columns names."""
        held = self._held
        live = np.zeros(self.count, np.uint8)
        for words in columns:
            mark_words(words.reshape(-1), held.hashes, held.table, live)
        places = np.flatnonzero(live)
        lengths = held.starts[places + 1] - held.starts[places]
        texts = copied(held.hashes[places], held.starts[places] + held.data.ctypes.data, lengths)
        self._held = _made(2 * places.shape[0], 2 * int(texts.starts[-1]), [texts])
        self._marks = np.zeros(self._held.hashes.shape[0], np.int64)
        self._sweep_at = max(SWEEP_MIN, 2 * self.count)

    def _grow(self, length: int) -> None:
        """Make room for twice as much, and for a text of `length` bytes at least."""
        held = self._held
        entries, used = held.used.tolist()
        texts = Texts(held.hashes[:entries], held.starts[: entries + 1], held.data[: used + SLACK_BYTES])
        self._held = _made(2 * entries, 2 * used + length, [texts])
        self._marks = np.zeros(self._held.hashes.shape[0], np.int64)


def _made(entries: int, size: int, texts: Sequence[Texts] = ()) -> Held:
    """Return memory with room for `entries` texts of `size` bytes together, and the texts in it."""
    room = max(_ROOM_MIN, entries)
    held = Held(
        np.zeros(room, np.int64),
        np.zeros(room + 1, np.int64),
        np.zeros(max(32 * _ROOM_MIN, size) + SLACK_BYTES, np.uint8),
        np.zeros(1 << (2 * room - 1).bit_length(), np.int32),
        np.zeros(2, np.int64),
    )
    for some in texts:
        count, end = some.count, int(some.starts[-1])
        held.hashes[:count], held.starts[: count + 1], held.data[:end] = some.hashes, some.starts, some.data[:end]
        held.used[:] = count, end
        index_texts(held.hashes, count, held.table)
    return held


NO_HELD = _made(0, 0)
"""No text at all."""


@part
def hold(held: Held, hashed: int, address: int, length: int) -> bool:
    """Hold a text, where it is not held already; false when there is no room."""
    mask = held.table.shape[0] - 1
    at = hashed & mask
    while held.table[at] != 0:
        if held.hashes[held.table[at] - 1] == hashed:
            return True
        at = (at + 1) & mask
    entry, used = held.used[0], held.used[1]
    if entry == held.hashes.shape[0] or used + length + SLACK_BYTES > held.data.shape[0]:
        return False
    copy_bytes(address, address_of(held.data) + used, length)
    held.hashes[entry] = hashed
    held.starts[entry + 1] = used + length
    held.used[0] = entry + 1
    held.used[1] = used + length
    held.table[at] = entry + 1
    return True


@kernel
def keep_cells(
    held: Held, hashes: Int64s, starts: Int64s, data: Bytes, table: Int32s,
    type_: NDArray[np.uint8], present: Int64s, cells: Int64s, code: int, slot: int, row: int,
) -> int:  # fmt: skip
    """Hold the texts of the cells from `row` on; return the row for which there was no room, or how many there are."""
    base = address_of(data)
    for i in range(row, type_.shape[0]):
        if type_[i] != code or (present[i] >> slot) & 1 == 0:
            continue
        if find_text(cells[i], held.hashes, held.table) >= 0:
            continue
        place = find_text(cells[i], hashes, table)
        if place >= 0 and not hold(held, cells[i], base + starts[place], starts[place + 1] - starts[place]):
            return i
    return int(type_.shape[0])


@kernel
def mark_words(words: Int64s, hashes: Int64s, table: Int32s, live: NDArray[np.uint8]) -> None:
    """Mark the texts that any of the words names."""
    for i in range(words.shape[0]):
        if words[i] != 0:
            place = find_text(words[i], hashes, table)
            if place >= 0:
                live[place] = 1


@kernel
def append_texts(
    held: Held, firsts: Int64s, slots: int, columns: Int64s, marks: Int64s, generation: int, out: Bytes, ends: Int64s,
    done: int,
) -> int:  # fmt: skip
    """Write the texts of groups from `done` on; return how many groups found room. A text is written once a group."""
    at = ends[done - 1] if done > 0 else 0
    base, source = address_of(out), address_of(held.data)
    for group in range(done, firsts.shape[0]):
        for c in range(columns.shape[0]):
            first = columns[c, 0] + firsts[group] * columns[c, 1]
            for word in range(first, first + slots * columns[c, 1], 8):
                hashed = load_i64(word)
                place = find_text(hashed, held.hashes, held.table) if hashed != 0 else -1
                if place < 0 or marks[place] == generation + group + 1:
                    continue
                length = held.starts[place + 1] - held.starts[place]
                if at + 4 + length + 2 * SLACK_BYTES > out.shape[0]:
                    return group
                store_i64(base + at, length)
                copy_bytes(source + held.starts[place], base + at + 4, length)
                at += 4 + length
                marks[place] = generation + group + 1
        ends[group] = at
    return int(firsts.shape[0])


@kernel
def take_texts(held: Held, data: Bytes, begins: Int64s, ends: Int64s, at: Int64s) -> int:
    """Hold texts from group at[0], byte at[1], on; return 0 when all are, -1 when they are none, the bytes of one that
    finds no room.
    """
    base = address_of(data)
    while at[0] < begins.shape[0]:
        end = ends[at[0]]
        while at[1] < end:
            if at[1] + 4 > end:
                return -1
            length = load_i64(base + at[1]) & 0xFFFFFFFF
            if at[1] + 4 + length > end:
                return -1
            address = base + at[1] + 4
            if not hold(held, hash_address(address, length), address, length):
                return int(length) + 1
            at[1] += 4 + length
        at[0] += 1
        if at[0] < begins.shape[0]:
            at[1] = begins[at[0]]
    return 0
