"""Kernels that pack a column of texts into bytes and back.

A column of texts brings them along: the number of different ones and of their bytes in two words, a column of their
lengths, their bytes, and a column of codes, which say for each row which of them it has; without codes where no two
rows have the same. A hash is not written but made anew from its text; only one whose text nobody knew stands for it,
as a text of length -1.

What is said of addresses, and of trust, in `state.column_packing` holds here.
"""

from typing import NamedTuple

from state.hashing import hash_address
from state.jit import allocating, routine
from state.raw import address_i64, address_of, load_i64, shift_right, store_i64
from state.texts import SLACK_BYTES, Bytes, Int32s, Int64s, copy_bytes, find_text
from state.value_packing import COLUMN_BYTES, pack_column, unpack_column


class TextSource(NamedTuple):
    """Where `pack_texts` finds texts, and its scratch: what `state.texts.Texts` has; `marks` int64[texts], 0 at first;
    `order` and `lengths` int64[rows]; `generation` int64[1], a number that it has not used yet; `written` int64[2],
    texts and bytes of them.
    """

    hashes: Int64s
    starts: Int64s
    data: Bytes
    table: Int32s
    marks: Int64s
    order: Int64s
    lengths: Int64s
    generation: Int64s
    written: Int64s


class TextTarget(NamedTuple):
    """Where `unpack_texts` puts texts: as of `state.texts.Texts`; `taken` int64[2], texts and bytes of them."""

    hashes: Int64s
    starts: Int64s
    data: Bytes
    taken: Int64s


@routine
def pack_texts(values: Int64s, count: int, codes: Int64s, texts: TextSource, at: int) -> int:
    """Pack the texts of `count` hashes to address `at`; return the address after them."""
    texts.generation[0] += 1
    generation = texts.generation[0]
    different, size = 0, 0
    for i in range(count):
        place = find_text(values[i], texts.hashes, texts.table)
        if place >= 0 and shift_right(texts.marks[place], 32) == generation:
            codes[i] = texts.marks[place] & 0xFFFFFFFF
            continue
        texts.order[different] = place if place >= 0 else -1 - i
        texts.lengths[different] = texts.starts[place + 1] - texts.starts[place] if place >= 0 else -1
        size += texts.lengths[different] if place >= 0 else 8
        if place >= 0:
            texts.marks[place] = (generation << 32) | different
            texts.written[0] += 1
            texts.written[1] += texts.lengths[different]
        codes[i] = different
        different += 1
    store_i64(at, different)
    store_i64(at + 8, size)
    at = pack_column(address_i64(texts.lengths), different, at + COLUMN_BYTES)
    source = address_of(texts.data)
    for i in range(different):
        place = texts.order[i]
        if place >= 0:
            copy_bytes(source + texts.starts[place], at, texts.lengths[i])
            at += texts.lengths[i]
        else:
            store_i64(at, values[-1 - place])
            at += 8
    return at if different == count else pack_column(address_i64(codes), count, at)


@routine
def unpack_texts(at: int, end: int, count: int, values: Int64s, codes: Int64s, texts: TextTarget) -> int:
    """Unpack the hashes of a column of texts, and the texts; return the address after it, -1 when it is none."""
    if at + COLUMN_BYTES > end:
        return -1
    different, size = load_i64(at), load_i64(at + 8)
    if not 0 < different <= count:
        return -1
    at = unpack_column(at + COLUMN_BYTES, end, different, address_of(codes))
    if at < 0 or not 0 <= size <= end - at or take_texts(at, size, different, values, codes, texts) != size:
        return -1
    at += size
    return at if different == count else unpack_codes(at, end, count, different, values, codes)


@routine
def take_texts(at: int, size: int, different: int, values: Int64s, lengths: Int64s, texts: TextTarget) -> int:
    """Put the texts at an address, and the hash of each in `values`; return their bytes, -1 when they are none."""
    taken = 0
    for i in range(different):
        length = lengths[i]
        if length == -1 and taken + 8 <= size:
            values[i] = load_i64(at + taken)
            taken += 8
            continue
        if not 0 <= length <= size - taken:
            return -1
        values[i] = hash_address(at + taken, length)
        if not take_text(texts, values[i], at + taken, length):
            return -1
        taken += length
    return taken


@routine
def take_text(texts: TextTarget, hashed: int, address: int, length: int) -> bool:
    """Copy one text; false where more of them come than the frame says that it has."""
    entry, used = texts.taken[0], texts.taken[1]
    if entry >= texts.hashes.shape[0] or used + length + SLACK_BYTES > texts.data.shape[0]:
        return False
    copy_bytes(address, address_of(texts.data) + used, length)
    texts.hashes[entry] = hashed
    texts.starts[entry + 1] = used + length
    texts.taken[0] = entry + 1
    texts.taken[1] = used + length
    return True


@allocating
def unpack_codes(at: int, end: int, count: int, different: int, values: Int64s, codes: Int64s) -> int:
    """Put the value of each row's code in its place; return the address after the codes, -1 when they are none."""
    at = unpack_column(at, end, count, address_of(codes))
    if at < 0:
        return -1
    hashes = values[:different].copy()
    for i in range(count):
        if not 0 <= codes[i] < different:
            return -1
        values[i] = hashes[codes[i]]
    return at
