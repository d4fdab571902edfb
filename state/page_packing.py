"""Kernels that squeeze pages of subscribers into bytes and spread them out again.

A page is packed lane by lane: a lane is the same 8 (or 4, or 1) bytes of the rows of its 64 slots, so values of one
meaning stand together. A lane is one byte of description and, unless all its values are zero: a bit a slot for those
that are not zero (left out when all are), the smallest value, each value's distance from it in as few bytes as the
largest needs.

Unpacking writes only what is not zero: the target must be zero, and memory that no row needs stays uncommitted. It
trusts lengths no further than the end of the data; contacts are read by `state.contact_packing`.

Addresses are of columns in memory: the caller (`state.pages`) keeps the arrays alive and describes each by address,
bytes a row and lane. A value is stored as eight bytes whatever its width, and the next one overwrites the surplus; so
the output needs SLACK_BYTES after its end, and packed data the same to be read from.
"""

import numpy as np
from numpy.typing import NDArray

from state.contact_packing import pack_contacts, packed_bytes, unpack_contacts
from state.contacts import ContactArrays
from state.jit import allocating, routine
from state.raw import address_of, load_i64, load_u8, ones, shift_right, store_i64, store_u8, trailing_zeros
from state.widths import byte_mask, byte_width

PAGE_SLOTS = 64

HEADER_BYTES = 32  # layout i64, stamp i64, lengths of the lanes u32 and of the texts u32, used slots i64
SLACK_BYTES = 16
LANE_BYTES_MAX = 1 + 8 + 8 + 8 * PAGE_SLOTS + SLACK_BYTES

_ZERO_LANE = 255

Int64s = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@routine
def load_lane(address: int, lane: int) -> int:
    """Load 8, 4 or 1 bytes, zero-extended; 4 must be aligned to 4 in an allocation that is a multiple of 8."""
    if lane == 8:
        return load_i64(address)
    if lane == 4:
        return shift_right(load_i64(address & ~7), 8 * (address & 4)) & 0xFFFFFFFF
    return load_u8(address)


@routine
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


@routine
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


@routine
def pack_lane(values: Int64s, at: int) -> int:
    """Pack a lane that is not all zero to address `at`; return the address after it."""
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


@routine
def unpack_lane(at: int, end: int, address: int, stride: int, lane: int) -> int:
    """Spread one packed lane to the rows from `address` on (0: nowhere); return the address after it, -1 past `end`."""
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
    after = at + width * ones(bits)
    if after > end or width > 8:
        return -1
    if address == 0:
        return after
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
    return after


@allocating
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


@routine
def pack_lane_or_zero(some: int, values: Int64s, at: int) -> int:
    """Pack a lane in the one byte that says all zero, or whole; return the address after it."""
    if some == 0:
        store_u8(at, _ZERO_LANE)
        return at + 1
    return pack_lane(values, at)


@allocating
def unpack_page(
    data: Bytes, page: int, stamp: int, lanes_bytes: int, stamps: Int64s, columns: Int64s,
    contacts: ContactArrays,
) -> int:  # fmt: skip
    """Load a packed page into the empty slots of `page`; return 0, -1 when it is none, -2 when contacts are too many.

    `columns` int64[k, 4]: address (0: nowhere) and row bytes in memory, row bytes as packed, lane. `stamps` of the page
    are zero. `data` has SLACK_BYTES after the packed bytes.
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
    after = unpack_contacts(contacts, data, HEADER_BYTES + lanes_bytes, slots)
    if after < 0:
        return -2
    return 0 if after == data.shape[0] - SLACK_BYTES else -1
