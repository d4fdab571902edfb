"""Derived fields (`connectors.sources.derived`), made of the pieces of a line once all of it was read.

A piece is where the value of an input starts and stops; both are 0 where the line has none. What is made is written
into the arena, a line end after it, and read as a value of a delimited line. Texts are reported with their address
there, so the arena stays until they are copied: a call ends early when most of it is used.
"""

from connectors.sources.scan import layout as at
from connectors.sources.scan.fields import trimmed_piece, value
from connectors.sources.scan.rows import place_among
from connectors.sources.scan.values import MINUS, QUOTE, hash_of
from state.jit import part, routine
from state.raw import load_i64, load_u8, store_i64, store_u8
from state.texts import copy_bytes

_LINE_END, _OPEN, _OPEN_SET, _NULL = 10, 123, 91, 110
_A, _Z, _SMALL = 65, 90, 32


@part
def has_room(c: int) -> bool:
    """Return whether one more row has room for its new texts and derived fields."""
    new = load_i64(c + at.FRESH_COUNT)
    return new <= at.FRESH_MAX - at.FRESH_ROW_MAX and load_i64(c + at.ARENA_AT) <= load_i64(c + at.ARENA_STOP)


@routine
def forget_pieces(c: int) -> None:
    """Begin a JSON line: no input was met."""
    piece = load_i64(c + at.PIECES)
    for n in range(load_i64(c + at.INPUTS)):
        store_i64(piece + n * 16, 0)
        store_i64(piece + n * 16 + 8, 0)


@routine
def note_piece(c: int, number: int, p: int, end: int) -> bool:
    """Note the JSON value from `p` to `end` as an input; false for a second one, and for one that is odd."""
    piece = load_i64(c + at.PIECES) + number * 16
    if load_i64(piece) != 0:
        return False
    first = load_u8(p)
    start, stop = p, end
    if first == QUOTE:
        start, stop = p + 1, end - 1
        nulls = load_i64(c + at.NULL_WORDS)
        if nulls != 0 and place_among(nulls, hash_of(start, stop - start)) >= 0:
            stop = start
    elif first == _NULL:
        stop = start
    elif first in (MINUS, _OPEN, _OPEN_SET):
        return False
    store_i64(piece, start)
    store_i64(piece + 8, stop)
    return True


@routine
def make_fields(c: int, state: int) -> bool:
    """Make the derived fields of a state and read them into the row; false where the strict path must judge."""
    made = load_i64(state + at.S_MADE)
    for n in range(load_i64(state + at.S_MADE_COUNT)):
        start, stop = make(c, load_i64(made + n * 16 + 8))
        if start == 0:
            return False
        if stop != start and not value(c, load_i64(made + n * 16), start, stop):
            return False
    return True


@routine
def make(c: int, template: int) -> tuple[int, int]:
    """Write what a template says into the arena: where it starts and stops, the same for none; (0, 0): no room."""
    start = load_i64(c + at.ARENA_AT)
    p = start
    one = template + 8
    for _ in range(load_i64(template)):
        first, last = piece_for(c, one)
        if first == last:
            return start, start
        first, last = steps(one, first, last)
        if p + last - first + at.ARENA_SLACK > load_i64(c + at.ARENA_END):
            return 0, 0
        copy_bytes(first, p, last - first)
        if load_i64(one + at.P_LOWER) != 0:
            lower(p, p + last - first)
        p += last - first
        one += at.P_BYTES
    store_u8(p, _LINE_END)
    store_i64(c + at.ARENA_AT, p + 1)
    return start, p


@routine
def piece_for(c: int, one: int) -> tuple[int, int]:
    """Return where the text of a part, or the value of its input, starts and stops; the same for none."""
    number = load_i64(one + at.P_PIECE)
    if number == at.P_TEXT:
        text = load_i64(one + at.P_ADDRESS)
        return text, text + load_i64(one + at.P_LENGTH)
    if number == at.P_MISSING:
        return 0, 0
    piece = load_i64(c + at.PIECES) + number * 16
    start, stop = load_i64(piece), load_i64(piece + 8)
    if load_i64(c + at.DELIMITER) != 0 and start != stop:
        nulls = load_i64(c + at.NULL_WORDS)
        start, stop = trimmed_piece(start, stop)
        if nulls != 0 and place_among(nulls, hash_of(start, stop - start)) >= 0:
            return start, start
    return start, stop


@routine
def steps(one: int, first: int, last: int) -> tuple[int, int]:
    """Return what the steps of a part leave of a text."""
    step = one + at.P_STEPS
    for _ in range(load_i64(one + at.P_STEPS_COUNT)):
        passed, count = load_i64(step + 8), load_i64(step + 16)
        if load_i64(step) == at.FROM_END:
            first = letters_before(first, last, count)
        else:
            first = letters_after(first, last, passed)
            last = letters_after(first, last, count)
        step += at.P_STEP_BYTES
    return first, last


@routine
def letters_after(p: int, last: int, count: int) -> int:
    """Return the address after so many letters, at most `last`."""
    while p < last and count > 0:
        p += 1
        while p < last and load_u8(p) & 0xC0 == 0x80:
            p += 1
        count -= 1
    return p


@routine
def letters_before(first: int, last: int, count: int) -> int:
    """Return the address of the last so many letters, at least `first`."""
    p = last
    while p > first and count > 0:
        p -= 1
        while p > first and load_u8(p) & 0xC0 == 0x80:
            p -= 1
        count -= 1
    return p


@routine
def lower(p: int, stop: int) -> None:
    """Make A to Z small."""
    while p < stop:
        byte = load_u8(p)
        if _A <= byte <= _Z:
            store_u8(p, byte + _SMALL)
        p += 1
