"""Keys of JSON lines: guessed by what followed last time, found by hash otherwise, and the event type they depend on.

The entry of a key remembers how the key was last written, spaces included, so that a guess is two masked compares. The
masks are needed as 16 bytes are read whatever the key's length; reading past it is safe, every chunk is padded.
"""

from connectors.sources.scan import layout as at
from connectors.sources.scan.values import COLON, COMMA, QUOTE, SPACE, hash_of, skip, text_end
from state.jit import part, routine
from state.raw import differ16, load_i64, load_u8, shift_right, store_i64, store_u8


@part
def is_key(entry: int, p: int) -> bool:
    """Return whether the key of the entry, as it was last written, stands at `p`."""
    if differ16(p, entry + at.E_WORDS, entry + at.E_MASKS) != 0:
        return False
    length = load_i64(entry + at.E_LENGTH)
    return length <= 16 or same(load_i64(entry + at.E_TAIL), p + 16, length - 16)


@routine
def same(left: int, right: int, length: int) -> bool:
    """Compare two runs of bytes."""
    equal = True
    for n in range(length):
        equal = equal and load_u8(left + n) == load_u8(right + n)
    return equal


@routine
def find_key(c: int, last: int, p: int) -> tuple[int, int]:
    """Find the entry of the key at `p` by its hash, and the address of its value.

    A space before the key and one after its colon belong to how it is written. What was found is guessed next time.
    """
    start = p
    if load_u8(p) == SPACE:
        p += 1
    if load_u8(p) != QUOTE:
        return 0, 0
    end = text_end(c, p + 1)
    if end == 0 or load_u8(end + 1) != COLON:
        return 0, 0
    store_i64(c + at.MISSES, load_i64(c + at.MISSES) + 1)
    state = load_i64(c + at.STATE)
    if load_i64(state + at.S_CODE) < 0 and entry_of(state, p, end) == 0:
        ahead = type_ahead(c, state, p)
        if ahead == 0 or not take_type(c, ahead):
            return 0, 0
        store_i64(c + at.TYPE_AHEAD, 1)
        last = 0
        state = load_i64(c + at.STATE)
    entry = entry_of(state, p, end)
    after = end + 3 if load_u8(end + 2) == SPACE else end + 2
    if entry == 0:
        note_strange(c, state, p, end)
        entry = load_i64(state + at.S_UNKNOWN)
    else:
        write_as(entry, start, after - start)
    if last != 0:
        store_i64(last + at.E_NEXT, entry)
    return entry, after


@routine
def write_as(entry: int, p: int, length: int) -> None:
    """Keep how a key is written, spaces included, for the next comparison."""
    first = min(length, 8)
    second = max(min(length, 16) - 8, 0)
    mask = shift_right(-1, 64 - 8 * first)
    store_i64(entry + at.E_WORDS, load_i64(p) & mask)
    store_i64(entry + at.E_MASKS, mask)
    mask = shift_right(-1, 64 - 8 * second) if second > 0 else 0
    store_i64(entry + at.E_WORDS + 8, load_i64(p + 8) & mask)
    store_i64(entry + at.E_MASKS + 8, mask)
    store_i64(entry + at.E_LENGTH, length)
    tail = load_i64(entry + at.E_TAIL)
    for n in range(16, length):
        store_u8(tail + n - 16, load_u8(p + n))


@routine
def entry_of(state: int, p: int, end: int) -> int:
    """Return the entry of the key between the quotes at `p` and `end` in the state; 0 for none."""
    keys = load_i64(state + at.S_KEYS)
    mask = load_i64(state + at.S_KEYS_MASK)
    slot = hash_of(p + 1, end - p - 1) & mask
    while True:
        entry = load_i64(keys + slot * 8)
        if entry == 0:
            return 0
        length = load_i64(entry + at.E_NAME_LENGTH)
        if length == end - p - 1 and same(load_i64(entry + at.E_NAME), p + 1, length):
            return entry
        slot = (slot + 1) & mask


@routine
def note_strange(c: int, state: int, p: int, end: int) -> None:
    """Report a key that the book does not know, so that it can be guessed next time."""
    count = load_i64(c + at.STRANGE_COUNT)
    if count < at.STRANGE_MAX:
        note = load_i64(c + at.STRANGE) + count * 24
        store_i64(note, state)
        store_i64(note + 8, p + 1)
        store_i64(note + 16, end - p - 1)
        store_i64(c + at.STRANGE_COUNT, count + 1)


@routine
def type_ahead(c: int, state: int, p: int) -> int:
    """Return the address of the type's value in what is left of the line, without reading any other value; or 0."""
    entry = load_i64(state + at.S_TYPE)
    while True:
        if load_u8(p) != QUOTE:
            return 0
        end = text_end(c, p + 1)
        if end == 0 or load_u8(end + 1) != COLON:
            return 0
        after = end + 3 if load_u8(end + 2) == SPACE else end + 2
        if entry_of(state, p, end) == entry:
            return after
        p = skip(c, after)
        if p == 0 or load_u8(p) != COMMA:
            return 0
        p = p + 2 if load_u8(p + 1) == SPACE else p + 1


@part
def take_type(c: int, p: int) -> bool:
    """Choose the state of the type that is written at `p`; false for one that is not known."""
    if load_u8(p) != QUOTE:
        return False
    end = text_end(c, p + 1)
    if end == 0:
        return False
    return choose_type(c, hash_of(p + 1, end - p - 1))


@part
def choose_type(c: int, hashed: int) -> bool:
    """Choose the state of a type by the hash of its name; false for one that is not known."""
    types = load_i64(c + at.TYPES)
    mask = load_i64(c + at.TYPES_MASK)
    slot = hashed & mask
    while True:
        found = load_i64(types + slot * 16)
        if found == hashed:
            store_i64(c + at.STATE, load_i64(types + slot * 16 + 8))
            return True
        if found == 0:
            return False
        slot = (slot + 1) & mask
