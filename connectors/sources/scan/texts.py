"""The set of texts that a chunk has brought so far: a text that it lacks is reported (`FRESH`), with its slot there.

A look-up waits until some later texts were met, a ring of them: by then the processor has fetched the entry. Addresses
in the ring and in `FRESH` point into the chunk being scanned, so all are looked up before a call returns.
"""

import numpy as np
from numpy.typing import NDArray

from connectors.sources.scan import layout as at
from state.jit import kernel, part, routine
from state.raw import load_i64, prefetch, store_i64


@kernel
def insert_all(old: NDArray[np.int64], table: NDArray[np.int64]) -> None:
    """Put every hash of one table into another, larger one."""
    mask = table.shape[0] - 1
    for n in range(old.shape[0]):
        hashed = old[n]
        slot = hashed & mask
        while hashed != 0 and table[slot] != 0:
            slot = (slot + 1) & mask
        if hashed != 0:
            table[slot] = hashed


@part
def meet(c: int, hashed: int, address: int, length: int) -> None:
    """Have a text looked up in the known-set, some texts later: by then the processor has fetched its entry."""
    prefetch(load_i64(c + at.KNOWN) + 8 * (hashed & load_i64(c + at.KNOWN_MASK)))
    oldest = load_i64(c + at.MET_OLDEST)
    place = c + at.MET + oldest
    if load_i64(place) != 0:
        look_up(c, load_i64(place), load_i64(place + 8), load_i64(place + 16))
    store_i64(place, hashed)
    store_i64(place + 8, address)
    store_i64(place + 16, length)
    store_i64(c + at.MET_OLDEST, (oldest + 32) & (at.MET_BYTES - 1))


@routine
def look_up_rest(c: int) -> None:
    """Look up the texts that still wait for it, the oldest first."""
    for n in range(0, at.MET_BYTES, 32):
        place = c + at.MET + ((load_i64(c + at.MET_OLDEST) + n) & (at.MET_BYTES - 1))
        if load_i64(place) != 0:
            look_up(c, load_i64(place), load_i64(place + 8), load_i64(place + 16))
            store_i64(place, 0)


@part
def look_up(c: int, hashed: int, address: int, length: int) -> None:
    """Report a text that the known-set lacks, and put it there."""
    known = load_i64(c + at.KNOWN)
    mask = load_i64(c + at.KNOWN_MASK)
    slot = hashed & mask
    while True:
        found = load_i64(known + slot * 8)
        if found == hashed:
            return
        if found == 0:
            break
        slot = (slot + 1) & mask
    store_i64(known + slot * 8, hashed)
    store_i64(c + at.KNOWN_COUNT, load_i64(c + at.KNOWN_COUNT) + 1)
    count = load_i64(c + at.FRESH_COUNT)
    note = load_i64(c + at.FRESH) + count * 32
    store_i64(note, hashed)
    store_i64(note + 8, address)
    store_i64(note + 16, length)
    store_i64(note + 24, slot)
    store_i64(c + at.FRESH_COUNT, count + 1)
