"""The row being scanned: begun, written cell by cell, and ended or left to the strict path.

Bits say what was seen: a key or head that comes twice is never written twice, its row is left to the strict path.
`c` is the address of the scanner's context everywhere; see `scan.layout`.
"""

from connectors.sources.scan import layout as at
from connectors.sources.scan.values import hash_of, word_end
from state.jit import part, routine
from state.raw import load_i64, store_i64, store_u8
from state.schema import MEMBERS_MAX


@part
def begin_row(c: int, row: int, offset: int) -> None:
    """Forget the row before."""
    store_i64(load_i64(c + at.OUT_OFFSETS) + row * 8, offset)
    store_i64(c + at.CELL, load_i64(c + at.OUT_CELLS) + row * 8)
    store_i64(c + at.STATE, load_i64(c + at.START_STATE))
    store_i64(c + at.SEEN, 0)
    store_i64(c + at.NULLS, 0)
    store_i64(c + at.HEADS, 0)
    store_i64(c + at.R_ID, 0)
    store_i64(c + at.TYPE_AHEAD, 0)


@part
def end_row(c: int, row: int) -> None:
    """Write what the row gathered."""
    state = load_i64(c + at.STATE)
    present = load_i64(c + at.SEEN) & ~load_i64(c + at.NULLS)
    store_i64(load_i64(c + at.OUT_SUBSCRIBER) + row * 8, load_i64(c + at.R_SUBSCRIBER))
    store_i64(load_i64(c + at.OUT_AT) + row * 8, load_i64(c + at.R_AT))
    store_i64(load_i64(c + at.OUT_ID) + row * 8, load_i64(c + at.R_ID))
    store_i64(load_i64(c + at.OUT_PRESENT) + row * 8, present)
    store_u8(load_i64(c + at.OUT_TYPE) + row, load_i64(state + at.S_CODE))
    store_u8(load_i64(c + at.OUT_OK) + row, 1)


@routine
def refuse_row(c: int, row: int) -> None:
    """Leave the row to the strict path."""
    store_u8(load_i64(c + at.OUT_OK) + row, 0)
    store_i64(c + at.REFUSED, load_i64(c + at.REFUSED) + 1)


@part
def row_is_whole(c: int) -> bool:
    """Return whether the row has everything it must have, and a time that can be."""
    at_ms = load_i64(c + at.R_AT)
    needed = load_i64(c + at.HEADS_NEEDED)
    required = load_i64(load_i64(c + at.STATE) + at.S_REQUIRED)
    present = load_i64(c + at.SEEN) & ~load_i64(c + at.NULLS)
    return (
        load_i64(c + at.HEADS) & needed == needed
        and present & required == required
        and load_i64(c + at.AT_MS_MIN) <= at_ms <= load_i64(c + at.AT_MS_MAX)
        and load_i64(c + at.TYPE_AHEAD) == 0
    )


@part
def put(c: int, entry: int, end: int, cell: int) -> int:
    """Write a cell of the row; 0 for a key that came before."""
    bit = load_i64(entry + at.E_BIT)
    seen = load_i64(c + at.SEEN)
    if seen & bit != 0:
        return 0
    store_i64(c + at.SEEN, seen | bit)
    store_i64(load_i64(c + at.CELL) + load_i64(entry + at.E_SLOT) * load_i64(c + at.STRIDE), cell)
    return end


@routine
def null(c: int, entry: int, p: int) -> int:
    """Read a null, which is no value; 0 for anything else."""
    end, word = word_end(p)
    if end == 0 or word != 2:
        return 0
    bit = load_i64(entry + at.E_BIT)
    store_i64(c + at.NULLS, load_i64(c + at.NULLS) | bit)
    return put(c, entry, end, 0)


@routine
def null_word(c: int, entry: int, start: int, stop: int, after: int) -> int:
    """Take a text that means "no value"; return `after`, -1 for another text, 0 where the strict path must judge."""
    if place_among(load_i64(c + at.NULL_WORDS), hash_of(start, stop - start)) < 0:
        return -1
    action = load_i64(entry + at.E_ACTION)
    if action < at.A_TYPE:
        store_i64(c + at.NULLS, load_i64(c + at.NULLS) | load_i64(entry + at.E_BIT))
        return put(c, entry, after, 0)
    if action == at.A_ID:
        return head(c, at.HEAD_ID, after)
    return after if action == at.A_SKIP else 0


@part
def head(c: int, bit: int, end: int) -> int:
    """Mark a head as read; 0 for one that came before."""
    heads = load_i64(c + at.HEADS)
    store_i64(c + at.HEADS, heads | bit)
    return 0 if heads & bit != 0 else end


@routine
def place_among(members: int, hashed: int) -> int:
    """Return the place of a hash among those at an address; -1 where it is none of them."""
    for n in range(load_i64(members)):
        if load_i64(members + 8 + n * 8) == hashed:
            return n
    return -1


@routine
def begin_set(c: int, entry: int) -> None:
    """Empty the words of a set after the first, which `put` writes."""
    stride = load_i64(c + at.STRIDE)
    cell = load_i64(c + at.CELL) + load_i64(entry + at.E_SLOT) * stride
    for word in range(1, (load_i64(load_i64(entry + at.E_SET)) + MEMBERS_MAX - 1) // MEMBERS_MAX):
        store_i64(cell + word * stride, 0)


@routine
def member_bit(c: int, entry: int, hashed: int) -> int:
    """Return the bit of a member in the first word of its set, and mark one of another word in the row.

    Return 0 for a member of another word, and for one that the book does not declare.
    """
    place = place_among(load_i64(entry + at.E_SET), hashed)
    word = place // MEMBERS_MAX
    if place < 0:
        return 0
    if word == 0:
        return 1 << place
    cell = load_i64(c + at.CELL) + (load_i64(entry + at.E_SLOT) + word) * load_i64(c + at.STRIDE)
    store_i64(cell, load_i64(cell) | 1 << (place - word * MEMBERS_MAX))
    return 0
