"""Functions of texts over 64 lanes: what a text says is looked up by its hash, and worked on where it lies.

A text comes with the batch, or is held with the columns (`state.texts`, `state.held_texts`); `addresses_of` tells the
kernel where both stand. One instruction runs a whole chain, as `starts_with(lower(left(x, 3)), 'abc')`: only the last
answer leaves it, a text as its hash. Where no text of a hash is found, the answer is unknown.

A chain is in SETS (`constants`): how many steps, whether it gives a text, then the steps; before each how many words it
takes. All addresses come from the call (see `layout`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rules.expressions.functions import FUNCTIONS
from rules.expressions.layout import TEXTS_HELD, field
from rules.expressions.text_view import BEGIN, LOWERED, SIZE, view_hash
from rules.expressions.tree import Call, Expr, Literal
from state.jit import dispatch, routine
from state.raw import load_i32, load_i64, store_i64, trailing_zeros
from state.schema import Kind

__all__ = ["CODES", "HELD_WORDS", "chain_of", "text_lanes"]

VIEW_BYTES = 24
PLACE_WORDS = 5
"""Of one place of texts: addresses of hashes, starts, bytes and table, and the table's mask."""
HELD_WORDS = 3 + 2 * PLACE_WORDS
"""What TEXTS_HELD points to: a view to work in, the texts of the batch, those that are held."""

_BODIES = {one.name: one.texts for one in FUNCTIONS.values() if one.texts is not None}
CODES = {name: code for code, name in enumerate(_BODIES)}

step_of = dispatch([(CODES[name], body) for name, body in _BODIES.items()])


def chain_of(call: Call) -> tuple[Expr, tuple[int, ...]]:
    """Return what a chain of functions of texts begins with, and its words."""
    steps: list[int] = []
    count = 0
    expr: Expr = call
    while isinstance(expr, Call) and expr.name in CODES:
        steps = [*_step(expr.name, expr.parts[1:]), *steps]
        count, expr = count + 1, expr.parts[0]
    return expr, (count, int(call.kind is Kind.STRING), *steps)


def _step(name: str, given: Sequence[Expr]) -> list[int]:
    """The words of one step, after how many they are; numbers and texts are written out."""
    numbers, needle = [0, 0], b""
    for at, part in enumerate(given):
        assert isinstance(part, Literal)
        if isinstance(part.value, str):
            needle = part.value.encode()
            numbers[0] = len(needle)
        else:
            numbers[at] = int(part.value)
    padded = needle + bytes(-len(needle) % 8)
    words = [int.from_bytes(padded[at : at + 8], "little", signed=True) for at in range(0, len(padded), 8)]
    return [3 + len(words), CODES[name], *numbers, *words]


@routine
def find_in(place: int, hashed: int) -> int:
    """Where a text stands in one place of texts, -1 for nowhere."""
    hashes, table, mask = load_i64(place), load_i64(place + 24), load_i64(place + 32)
    at = hashed & mask
    entry = load_i32(table + 4 * at)
    while entry != 0:
        if load_i64(hashes + 8 * (entry - 1)) == hashed:
            return entry - 1
        at = (at + 1) & mask
        entry = load_i32(table + 4 * at)
    return -1


@routine
def open_view(texts: int, hashed: int) -> bool:
    """Point the view at a text; false where it is in neither place."""
    place = texts + VIEW_BYTES
    found = find_in(place, hashed)
    if found < 0:
        place += 8 * PLACE_WORDS
        found = find_in(place, hashed)
    if found < 0:
        return False
    starts = load_i64(place + 8) + 8 * found
    store_i64(texts + BEGIN, load_i64(place + 16) + load_i64(starts))
    store_i64(texts + SIZE, load_i64(starts + 8) - load_i64(starts))
    store_i64(texts + LOWERED, 0)
    return True


@routine
def text_lanes(call: int, chain: int, x: int, target: int, wanted: int) -> int:
    """Run a chain on the texts in the wanted lanes; return the bits of those with an answer."""
    texts = field(call, TEXTS_HELD)
    steps, gives_text = load_i64(chain), load_i64(chain + 8)
    good = 0
    left = wanted
    while left != 0:
        lane = trailing_zeros(left)
        left &= left - 1
        known = open_view(texts, load_i64(x + lane * 8))
        value = 0
        step = chain + 16
        for _ in range(steps if known else 0):
            value, fits = step_of(load_i64(step + 8), texts, step + 8)
            known = known and fits
            step += 8 + 8 * load_i64(step)
        if gives_text != 0 and known:
            value = view_hash(texts)
        store_i64(target + lane * 8, value)
        good |= (1 if known else 0) << lane
    return good
