"""Kernels that squeeze the rows of subscribers into bytes and spread them out again.

A page is packed lane by lane: a lane is the same 8 (or 4, or 1) bytes of the rows of its 64 slots, so values of one
meaning stand together. A lane is one byte of description and, unless all its values are zero: a bit a slot for those
that are not zero (left out when all are), the smallest value, each value's distance from it in as few bytes as the
largest needs. A row of its own (a sleeping subscriber) is packed word by word: a bit a word for those that are not
zero, half a byte each for their lengths, their bytes.

Unpacking writes only what is not zero: the target must be zero, and memory that no row needs stays uncommitted. It
trusts lengths no further than the end of the data; contacts are read by `state.contacts`.

Addresses are of columns in memory: the callers in `state.pages` keep them alive.
"""

import numpy as np
from numpy.typing import NDArray

from state.contacts import ContactArrays, pack_contacts, packed_bytes, unpack_contacts
from state.jit import kernel
from state.raw import address_of, load_i64, load_u8, ones, shift_right, store_i64, store_u8, trailing_zeros

PAGE_SLOTS = 64

HEADER_BYTES = 32  # layout i64, stamp i64, length of the lanes i64, used slots i64
SLACK_BYTES = 16
LANE_BYTES_MAX = 1 + 8 + 8 + 8 * PAGE_SLOTS + SLACK_BYTES

_ZERO_LANE = 255
_WORD = 8

Int64s = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@kernel
def load_lane(address: int, lane: int) -> int:
    """Load 8, 4 or 1 bytes, zero-extended; 4 must be aligned to 4 in an allocation that is a multiple of 8."""
    if lane == 8:
        return load_i64(address)
    if lane == 4:
        return shift_right(load_i64(address & ~7), 8 * (address & 4)) & 0xFFFFFFFF
    return load_u8(address)


@kernel
def store_lane(address: int, lane: int, value: int) -> None:
    """Store the low 8, 4 or 1 bytes of `value`."""
    if lane == 8:
        store_i64(address, value)
    elif lane == 4:
        whole = address & ~7
        shift = 8 * (address & 4)
        store_i64(whole, (load_i64(whole) & ~(0xFFFFFFFF << shift)) | (value << shift))
    else:
        store_u8(address, value)


@kernel
def byte_width(value: int) -> int:
    """Return how many bytes the unsigned `value` needs; 0 for 0."""
    width = 0
    while value != 0:
        value = shift_right(value, 8)
        width += 1
    return width


@kernel
def byte_mask(width: int) -> int:
    """Return a word with the low `width` bytes set."""
    return -1 if width == 8 else (1 << (8 * width)) - 1


@kernel
def gather_lane(address: int, stride: int, lane: int, values: Int64s) -> int:
    """Copy a lane to `values`; return 0 when all of it is zero."""
    some = 0
    if lane == 8:
        for slot in range(PAGE_SLOTS):
            values[slot] = load_i64(address + slot * stride)
            some |= values[slot]
    else:
        for slot in range(PAGE_SLOTS):
            values[slot] = load_lane(address + slot * stride, lane)
            some |= values[slot]
    return some


@kernel
def pack_lane(values: Int64s, at: int) -> int:
    """Pack a lane that is not all zero to address `at`; return the address behind."""
    low, high, count = 0x7FFFFFFFFFFFFFFF, -0x8000000000000000, 0
    for slot in range(PAGE_SLOTS):
        value = values[slot]
        if value != 0:
            low = min(low, value)
            high = max(high, value)
            count += 1
    width = byte_width(high - low)
    if low > 0 and byte_width(high) == width:
        low = 0
    low_bytes = byte_width(low)
    full = 1 if count == PAGE_SLOTS else 0
    store_u8(at, (width * 9 + low_bytes) * 2 + full)
    place = at + 1
    at = place + 8 * (1 - full)
    store_i64(at, low)
    at += low_bytes
    bits = 0
    for slot in range(PAGE_SLOTS):
        value = values[slot]
        known = int(value != 0)
        bits |= known << slot
        store_i64(at, value - low)
        at += width * known
    if full == 0:
        store_i64(place, bits)
    return at


@kernel
def unpack_lane(at: int, end: int, address: int, stride: int, lane: int) -> int:
    """Spread one packed lane to the rows from `address` on (0: nowhere); return the address behind, -1 past `end`."""
    head = load_u8(at)
    at += 1
    if head == _ZERO_LANE:
        return at
    full, low_bytes, width = head & 1, (head >> 1) % 9, (head >> 1) // 9
    bits = -1
    if full == 0:
        bits = load_i64(at)
        at += 8
    low = load_i64(at) & byte_mask(low_bytes)
    at += low_bytes
    behind = at + width * ones(bits)
    if behind > end or width > 8:
        return -1
    if address == 0:
        return behind
    mask = byte_mask(width)
    if lane == 8:
        while bits != 0:
            slot = trailing_zeros(bits)
            bits &= bits - 1
            store_i64(address + slot * stride, low + (load_i64(at) & mask))
            at += width
    else:
        while bits != 0:
            slot = trailing_zeros(bits)
            bits &= bits - 1
            store_lane(address + slot * stride, lane, low + (load_i64(at) & mask))
            at += width
    return behind


@kernel
def pack_pages(
    pages: Int64s, position: int, layout: int, stamps: Int64s, subs: Int64s, columns: Int64s, lanes_max: int,
    contacts: ContactArrays, out: Bytes, ends: Int64s,
) -> int:  # fmt: skip
    """Pack whole pages to `out`, page i up to `ends[i]`; return how many found room.

    `columns` int64[k, 3]: address, row bytes, lane. `stamps` holds each slot's stamp where it may be above `position`;
    an empty one says that none is.
    """
    base = address_of(out)
    values = np.empty(PAGE_SLOTS, np.int64)
    slots = np.empty(PAGE_SLOTS, np.int32)
    at = base
    for i in range(pages.shape[0]):
        first = pages[i] * PAGE_SLOTS
        for slot in range(PAGE_SLOTS):
            slots[slot] = first + slot
        room = HEADER_BYTES + lanes_max * LANE_BYTES_MAX + packed_bytes(contacts, slots) + SLACK_BYTES
        if at + room > base + out.shape[0]:
            return i
        start = at
        at += HEADER_BYTES
        used = 0
        for slot in range(PAGE_SLOTS):
            used += subs[first + slot] != 0
            values[slot] = max(stamps[first + slot] - position, 0) if stamps.shape[0] else 0
        some = 0
        for slot in range(PAGE_SLOTS):
            some |= values[slot]
        at = pack_lane_or_zero(some, values, at)
        for c in range(columns.shape[0]):
            row_bytes, lane = columns[c, 1], columns[c, 2]
            for offset in range(0, row_bytes, lane):
                some = gather_lane(columns[c, 0] + first * row_bytes + offset, row_bytes, lane, values)
                at = pack_lane_or_zero(some, values, at)
        store_i64(start, layout)
        store_i64(start + 8, position)
        store_i64(start + 16, at - start - HEADER_BYTES)
        store_i64(start + 24, used)
        length = packed_bytes(contacts, slots)
        pack_contacts(contacts, slots, out[at - base : at - base + length])
        at += length
        ends[i] = at - base
    return len(pages)


@kernel
def pack_lane_or_zero(some: int, values: Int64s, at: int) -> int:
    """Pack a lane in the one byte that says all zero, or whole; return the address behind."""
    if some == 0:
        store_u8(at, _ZERO_LANE)
        return at + 1
    return pack_lane(values, at)


@kernel
def unpack_page(
    data: Bytes, page: int, stamp: int, lanes_bytes: int, stamps: Int64s, columns: Int64s,
    contacts: ContactArrays,
) -> int:  # fmt: skip
    """Load a packed page into the empty slots of `page`; return 0, -1 when it is none, -2 when contacts are too many.

    `columns` int64[k, 4]: address (0: nowhere) and row bytes in memory, row bytes as packed, lane. `stamps` of the page
    are zero. `data` has SLACK_BYTES behind the packed bytes.
    """
    first = page * PAGE_SLOTS
    at = address_of(data) + HEADER_BYTES
    end = at + lanes_bytes
    at = unpack_lane(at, end, address_of(stamps) + 8 * first, 8, 8)
    for c in range(columns.shape[0]):
        address, row_bytes, lane = columns[c, 0], columns[c, 1], columns[c, 3]
        for offset in range(0, columns[c, 2], lane):
            if at < 0 or at >= end:
                return -1
            at = unpack_lane(at, end, address + first * row_bytes + offset if address else 0, row_bytes, lane)
    if at != end:
        return -1
    slots = np.empty(PAGE_SLOTS, np.int32)
    for slot in range(PAGE_SLOTS):
        slots[slot] = first + slot
        stamps[first + slot] += stamp
    behind = unpack_contacts(contacts, data, HEADER_BYTES + lanes_bytes, slots)
    if behind < 0:
        return -2
    return 0 if behind == data.shape[0] - SLACK_BYTES else -1


@kernel
def load_word(address: int, left: int) -> int:
    """Load up to eight bytes of a row that has `left` bytes."""
    if left >= _WORD:
        return load_i64(address)
    value = 0
    for i in range(left):
        value |= load_u8(address + i) << (8 * i)
    return value


@kernel
def store_word(address: int, left: int, value: int) -> None:
    """Store up to eight bytes of a row that has room for `left`."""
    if left >= _WORD:
        store_i64(address, value)
    else:
        for i in range(left):
            store_u8(address + i, shift_right(value, 8 * i) & 0xFF)


@kernel
def pack_words(words: Int64s, count: int, at: int) -> int:
    """Pack `words[:count]`, count <= 64, to address `at`; return the address behind."""
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


@kernel
def unpack_words(at: int, end: int, words: Int64s, count: int) -> int:
    """Unpack `count` words; return the address behind, -1 past `end`."""
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


@kernel
def pack_rows(
    slots: NDArray[np.int32], position: int, layout: int, stamps: Int64s, subs: Int64s, columns: Int64s, words_max: int,
    contacts: ContactArrays, out: Bytes, ends: Int64s,
) -> int:  # fmt: skip
    """Pack single rows to `out`, row i up to `ends[i]`; return how many found room. Arguments as of `pack_pages`."""
    base = address_of(out)
    words = np.empty(PAGE_SLOTS, np.int64)
    one = np.empty(1, np.int32)
    at = base
    for i in range(slots.shape[0]):
        slot = slots[i]
        one[0] = slot
        room = HEADER_BYTES + words_max * 9 + (words_max // PAGE_SLOTS + 1) * 8 + packed_bytes(contacts, one)
        if at + room + SLACK_BYTES > base + out.shape[0]:
            return i
        start = at
        at += HEADER_BYTES
        count = 0
        for c in range(columns.shape[0]):
            row_bytes = columns[c, 1]
            address = columns[c, 0] + slot * row_bytes
            for offset in range(0, row_bytes, _WORD):
                if count == PAGE_SLOTS:
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


@kernel
def unpack_rows(
    data: Bytes, ends: Int64s, slots: NDArray[np.int32], columns: Int64s, subs: Int64s, stamps: Int64s,
    contacts: ContactArrays,
) -> int:  # fmt: skip
    """Load packed rows, row i up to `ends[i]`, into empty slots whose subscribers are set; write their stamps.

    Returns how many were loaded before one that is no row of its slot. `columns` as of `unpack_page`; `data` has
    SLACK_BYTES behind the last row.
    """
    words = np.empty(PAGE_SLOTS, np.int64)
    one = np.empty(1, np.int32)
    start = 0
    for i in range(slots.shape[0]):
        head = address_of(data) + start
        packed = load_i64(head + 16)
        if ends[i] - start < HEADER_BYTES or not 0 < packed <= ends[i] - start - HEADER_BYTES:
            return i
        if load_i64(head + 24) != subs[slots[i]]:
            return i
        stamps[i] = load_i64(head + 8)
        if unpack_row(head + HEADER_BYTES, head + HEADER_BYTES + packed, slots[i], columns, words) < 0:
            return i
        one[0] = slots[i]
        if unpack_contacts(contacts, data, start + HEADER_BYTES + packed, one) != ends[i]:
            return i
        start = int(ends[i])
    return len(slots)


@kernel
def unpack_row(at: int, end: int, slot: int, columns: Int64s, words: Int64s) -> int:
    """Load the columns of one row from address `at`; return 0, -1 when they are none."""
    total = 0
    for c in range(columns.shape[0]):
        total += (columns[c, 2] + _WORD - 1) // _WORD
    count, taken = 0, 0
    for c in range(columns.shape[0]):
        for offset in range(0, columns[c, 2], _WORD):
            if taken == count:
                count = min(total, PAGE_SLOTS)
                total -= count
                taken = 0
                at = unpack_words(at, end, words, count)
                if at < 0:
                    return -1
            if columns[c, 0] != 0 and words[taken] != 0:
                store_word(columns[c, 0] + slot * columns[c, 1] + offset, columns[c, 2] - offset, words[taken])
            taken += 1
    return 0 if at == end else -1
