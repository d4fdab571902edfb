"""Kernels that squeeze single rows of subscribers into bytes and spread them out again: of those that sleep.

A row is packed word by word: for every 64 words a bit a word for those that are not zero, half a byte each for their
lengths, their bytes. Its head is that of a page (`state.page_packing`), with the subscriber in place of the used slots.
What is said there of zeros, trust and addresses holds here too.
"""

import numpy as np
from numpy.typing import NDArray

from state.contact_packing import pack_contacts, packed_bytes, unpack_contacts
from state.contacts import ContactArrays
from state.jit import allocating, routine
from state.page_packing import HEADER_BYTES, PAGE_SLOTS, SLACK_BYTES, Bytes, Int64s
from state.raw import address_of, load_i64, load_u8, ones, shift_right, store_i64, store_u8
from state.widths import byte_mask, byte_width

_WORD = 8
_WORDS = PAGE_SLOTS
"""Words that are packed together: one for each bit of the word that says which are not zero."""


@routine
def load_word(address: int, left: int) -> int:
    """Load up to eight bytes of a row that has `left` bytes."""
    if left >= _WORD:
        return load_i64(address)
    value = 0
    for i in range(left):
        value |= load_u8(address + i) << (8 * i)
    return value


@routine
def store_word(address: int, left: int, value: int) -> None:
    """Store up to eight bytes of a row that has room for `left`."""
    if left >= _WORD:
        store_i64(address, value)
    else:
        for i in range(left):
            store_u8(address + i, shift_right(value, 8 * i) & 0xFF)


@routine
def pack_words(words: Int64s, count: int, at: int) -> int:
    """Pack `words[:count]`, count <= 64, to address `at`; return the address after it."""
    bits = 0
    for i in range(count):
        bits |= int(words[i] != 0) << i
    store_i64(at, bits)
    lengths = at + 8
    at = lengths + (ones(bits) + 1) // 2
    taken = 0
    for i in range(count):
        if words[i] != 0:
            width = byte_width(words[i])
            before = load_u8(lengths + taken // 2) if taken & 1 else 0
            store_u8(lengths + taken // 2, before | (width << (4 * (taken & 1))))
            store_i64(at, words[i])
            at += width
            taken += 1
    return at


@routine
def unpack_words(at: int, end: int, words: Int64s, count: int) -> int:
    """Unpack `count` words; return the address after it, -1 past `end`."""
    if at + 8 > end:
        return -1
    bits = load_i64(at)
    lengths = at + 8
    at = lengths + (ones(bits) + 1) // 2
    taken = 0
    for i in range(count):
        words[i] = 0
        if at > end:
            return -1
        if (bits >> i) & 1 != 0:
            width = (load_u8(lengths + taken // 2) >> (4 * (taken & 1))) & 0xF
            words[i] = load_i64(at) & byte_mask(min(width, 8))
            at += width
            taken += 1
    return at if at <= end else -1


@allocating
def pack_rows(
    slots: NDArray[np.int32], position: int, layout: int, stamps: Int64s, subs: Int64s, columns: Int64s, words_max: int,
    contacts: ContactArrays, out: Bytes, ends: Int64s,
) -> int:  # fmt: skip
    """Pack single rows to `out`, row i up to `ends[i]`; return how many found room. Arguments as of `pack_pages`."""
    base = address_of(out)
    words = np.empty(_WORDS, np.int64)
    one = np.empty(1, np.int32)
    at = base
    for i in range(slots.shape[0]):
        slot = slots[i]
        one[0] = slot
        room = HEADER_BYTES + words_max * 9 + (words_max // _WORDS + 1) * 8 + packed_bytes(contacts, one)
        if at + room + SLACK_BYTES > base + out.shape[0]:
            return i
        start = at
        at += HEADER_BYTES
        count = 0
        for c in range(columns.shape[0]):
            row_bytes = columns[c, 1]
            address = columns[c, 0] + slot * row_bytes
            for offset in range(0, row_bytes, _WORD):
                if count == _WORDS:
                    at = pack_words(words, count, at)
                    count = 0
                words[count] = load_word(address + offset, row_bytes - offset)
                count += 1
        at = pack_words(words, count, at)
        store_i64(start, layout)
        store_i64(start + 8, max(position, stamps[slot]) if stamps.shape[0] else position)
        store_i64(start + 16, at - start - HEADER_BYTES)
        store_i64(start + 24, subs[slot])
        length = packed_bytes(contacts, one)
        pack_contacts(contacts, one, out[at - base : at - base + length])
        at += length
        ends[i] = at - base
    return len(slots)


@allocating
def unpack_rows(
    data: Bytes, ends: Int64s, slots: NDArray[np.int32], columns: Int64s, subs: Int64s, stamps: Int64s,
    contacts: ContactArrays,
) -> int:  # fmt: skip
    """Load packed rows, row i up to `ends[i]`, into empty slots whose subscribers are set; write their stamps.

    Returns how many were loaded before one that is no row of its slot. `columns` as of `unpack_page`; `data` has
    SLACK_BYTES after the last row. The texts at the end of a row are left to the caller.
    """
    words = np.empty(_WORDS, np.int64)
    one = np.empty(1, np.int32)
    start = 0
    for i in range(slots.shape[0]):
        head = address_of(data) + start
        lengths = load_i64(head + 16)
        packed, texts = lengths & 0xFFFFFFFF, shift_right(lengths, 32)
        if ends[i] - start < HEADER_BYTES or not 0 < packed <= ends[i] - start - HEADER_BYTES - texts:
            return i
        if load_i64(head + 24) != subs[slots[i]]:
            return i
        stamps[i] = load_i64(head + 8)
        if unpack_row(head + HEADER_BYTES, head + HEADER_BYTES + packed, slots[i], columns, words) < 0:
            return i
        one[0] = slots[i]
        if unpack_contacts(contacts, data, start + HEADER_BYTES + packed, one) != ends[i] - texts:
            return i
        start = int(ends[i])
    return len(slots)


@routine
def unpack_row(at: int, end: int, slot: int, columns: Int64s, words: Int64s) -> int:
    """Load the columns of one row from address `at`; return 0, -1 when they are none."""
    total = 0
    for c in range(columns.shape[0]):
        total += (columns[c, 2] + _WORD - 1) // _WORD
    count, taken = 0, 0
    for c in range(columns.shape[0]):
        for offset in range(0, columns[c, 2], _WORD):
            if taken == count:
                count = min(total, _WORDS)
                total -= count
                taken = 0
                at = unpack_words(at, end, words, count)
                if at < 0:
                    return -1
            if columns[c, 0] != 0 and words[taken] != 0:
                store_word(columns[c, 0] + slot * columns[c, 1] + offset, columns[c, 2] - offset, words[taken])
            taken += 1
    return 0 if at == end else -1
