"""One hash of a text, one hash of a number, everywhere the same.

A STRING value is compared by the 64-bit hash of its UTF-8 bytes; its text travels with it (`state.texts`). The hash
takes eight bytes at a time: `h = fold((h ^ word) * K)`, the tail padded with zeros, the length mixed in last. It is not
cryptographic: two texts collide with probability 2**-64 a pair. 0 is never a hash, so it can mean "none".

`partition_of` spreads subscribers over partitions; its value is fixed for the life of a data directory.
"""

import numpy as np
from numpy.typing import NDArray

from state.jit import allocating, kernel, part, routine
from state.raw import load_i64, shift_right

_K = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15, 2**64 over the golden ratio, odd
_M = -0x4B47D0C5A1A2B6C5  # odd, from a random source once
HASH_SEED = 0x243F6A8885A308D3  # the fraction of pi

_MASK64 = (1 << 64) - 1
_TAIL = np.array([0] + [(1 << (8 * n)) - 1 for n in range(1, 8)], dtype=np.int64)


@routine
def mix64(value: int) -> int:
    """Spread every bit of `value` over the result (xor-shift and multiply, twice)."""
    value = (value ^ shift_right(value, 32)) * _K
    value = (value ^ shift_right(value, 29)) * _M
    return value ^ shift_right(value, 32)


@part
def hash_step(state: int, word: int) -> int:
    """Take eight more bytes into a hash that began with `HASH_SEED`."""
    state = (state ^ word) * _K
    return state ^ shift_right(state, 31)


@part
def hash_end(state: int, length: int) -> int:
    """Finish the hash of a text of `length` bytes."""
    state = (state ^ length) * _M
    state = state ^ shift_right(state, 32)
    return state if state != 0 else 1


@routine
def hash_address(address: int, length: int) -> int:
    """Hash `length` bytes at `address`; up to seven bytes after the end must be readable."""
    state = HASH_SEED
    at = address
    left = length
    while left >= 8:
        state = hash_step(state, load_i64(at))
        at += 8
        left -= 8
    if left > 0:
        state = hash_step(state, load_i64(at) & _TAIL[left])
    return hash_end(state, length)


def hash_text(text: bytes) -> int:
    """Return the 64-bit hash of `text` as a signed integer; equal to `hash_address` over the same bytes."""
    state = HASH_SEED & _MASK64
    k, m = _K & _MASK64, _M & _MASK64
    for start in range(0, len(text), 8):
        word = int.from_bytes(text[start : start + 8], "little")
        state = ((state ^ word) * k) & _MASK64
        state ^= state >> 31
    state = ((state ^ len(text)) * m) & _MASK64
    state ^= state >> 32
    return _signed(state) or 1


def stable_id(name: str) -> int:
    """Return a positive 31-bit id of a rule, campaign or channel name that survives every reload."""
    return (hash_text(name.encode()) & 0x7FFFFFFF) or 1


@kernel
def partition_of(subscriber: int, partitions: int) -> int:
    """Return the partition of `subscriber`, 0 <= p < partitions."""
    return shift_right(shift_right(mix64(subscriber), 32) * partitions, 32)


@allocating
def split_by_partition(
    subscribers: NDArray[np.int64], partitions: int, starts: NDArray[np.int64], rows: NDArray[np.int32]
) -> None:
    """Write the rows of partition p, in order, to `rows[starts[p]:starts[p + 1]]`; `starts`: int64[partitions + 1]."""
    n = subscribers.shape[0]
    chosen = np.empty(n, np.int32)
    for p in range(partitions + 1):
        starts[p] = 0
    for row in range(n):
        p = partition_of(subscribers[row], partitions)
        chosen[row] = p
        starts[p + 1] += 1
    for p in range(partitions):
        starts[p + 1] += starts[p]
    for row in range(n):
        p = chosen[row]
        rows[starts[p]] = row
        starts[p] += 1
    for p in range(partitions, 0, -1):
        starts[p] = starts[p - 1]
    starts[0] = 0


def rows_by_partition(subscribers: NDArray[np.int64], partitions: int) -> list[NDArray[np.int32]]:
    """Return the rows of each partition, in order."""
    starts, rows = np.zeros(partitions + 1, np.int64), np.empty(subscribers.shape[0], np.int32)
    split_by_partition(subscribers, partitions, starts, rows)
    return [rows[starts[p] : starts[p + 1]] for p in range(partitions)]


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
