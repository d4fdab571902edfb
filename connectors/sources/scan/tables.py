"""The tables of the scanner, filled from a plan.

All blocks lie in one array of words, whose address is fixed while the tables live; see `scan.layout`. What changes
later is how a key was last written and which one is guessed after it (`E_NEXT`), so tables belong to one thread.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from connectors.sources.mapping import Plan, TypePlan
from connectors.sources.scan import layout as at
from state.hashing import hash_text

KEYS_MAX = 512
"""Keys of one state, with those learned while running."""
_NO_CODE = -1
_BACKSLASH = "\\"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a state and what is done with its value; `members` are those of all `words` of a set."""

    name: str
    action: int
    slot: int = 0
    members: tuple[str, ...] = ()
    words: int = 1


@dataclass
class _Words:
    """An array of words that grows while blocks are laid out; references are indices of words."""

    words: list[int] = field(default_factory=list)
    references: list[int] = field(default_factory=list)

    def block(self, values: list[int]) -> int:
        start = len(self.words)
        self.words += values
        return start

    def refer(self, place: int, target: int) -> None:
        """Make the word at `place` the address of the word at `target`."""
        self.words[place] = target
        self.references.append(place)

    def settle(self) -> NDArray[np.int64]:
        """Return the array, references turned into addresses."""
        array = np.array([_signed(word) for word in self.words], dtype=np.int64)
        base = array.ctypes.data
        array[self.references] = base + array[self.references] * 8
        return array


class Tables:
    """The states of a plan. `learned` are keys, by name of the state, that the book does not know but the feed
    sends."""

    def __init__(self, plan: Plan, learned: dict[str, set[str]], columns: tuple[str, ...] = ()) -> None:
        self._words = _Words()
        self._plan = plan
        self._columns = columns
        self._tails: list[bytes] = []
        states: dict[str, int] = {}
        for wire, kind in plan.types.items():
            states[wire] = self._state(kind.code, keys_of(plan, kind), learned.get(wire, set()))
        untyped = self._state(_NO_CODE, heads_of(plan), set())
        types = self._types(states)
        self.array = self._words.settle()
        base = self.array.ctypes.data
        type_field = plan.heads[0]
        self.type_column = columns.index(type_field) if type_field and type_field in columns else -1
        self.names = {base + place * 8: wire for wire, place in states.items()}
        self.start = base + (untyped if plan.only is None else states[plan.mapping.type]) * 8
        self.types = base + types[0] * 8
        self.types_mask = types[1]

    def _types(self, states: dict[str, int]) -> tuple[int, int]:
        mask = _mask_for(len(states))
        block = self._words.block([0] * (2 * (mask + 1)))
        for wire, place in states.items():
            hashed = hash_text(wire.encode())
            slot = hashed & mask
            while self._words.words[block + slot * 2]:
                slot = (slot + 1) & mask
            self._words.words[block + slot * 2] = hashed
            self._words.refer(block + slot * 2 + 1, place)
        return block, mask

    def _state(self, code: int, keys: list[Key], learned: set[str]) -> int:
        words = self._words
        state = words.block([0] * at.STATE_WORDS)
        described = self._plan.schema.types[code].fields if code >= 0 else ()
        required = sum(1 << slot for slot, item in enumerate(described) if item.required)
        words.words[state : state + 2] = [code, required]
        known = {key.name for key in keys}
        keys = keys + [Key(name, at.A_SKIP) for name in sorted(learned - known)[: KEYS_MAX - len(keys)]]
        start, unknown = self._entry(None), self._entry(None)
        if self._plan.mapping.format == "ndjson":
            keys = [key for key in keys if plain(key.name)]
        entries = [self._entry(key) for key in keys]
        for entry in [start, unknown, *entries]:
            words.refer(entry + at.E_NEXT // 8, unknown)
        by_name = dict(zip((key.name for key in keys), entries, strict=True))
        words.refer(state + at.S_START // 8, start)
        words.refer(state + at.S_UNKNOWN // 8, unknown)
        words.refer(state + at.S_TYPE // 8, by_name.get(self._plan.heads[0], unknown))
        self._hash_keys(state, by_name)
        self._column_entries(state, by_name)
        return state

    def _hash_keys(self, state: int, by_name: dict[str, int]) -> None:
        words = self._words
        mask = _mask_for(len(by_name))
        block = words.block([0] * (mask + 1))
        for name, entry in by_name.items():
            slot = hash_text(name.encode()) & mask
            while words.words[block + slot]:
                slot = (slot + 1) & mask
            words.refer(block + slot, entry)
        words.refer(state + at.S_KEYS // 8, block)
        words.words[state + at.S_KEYS_MASK // 8] = mask

    def _column_entries(self, state: int, by_name: dict[str, int]) -> None:
        """List the entries of the columns that the state reads, in the order of the columns."""
        words = self._words
        read = [(number, by_name[name]) for number, name in enumerate(self._columns) if name in by_name]
        block = words.block([0] * len(read))
        for place, (number, entry) in enumerate(read):
            words.refer(block + place, entry)
            words.words[entry + at.E_COLUMN // 8] = number
        words.refer(state + at.S_COLUMNS // 8, block)
        words.words[state + at.S_COLUMNS_COUNT // 8] = len(read)

    def _entry(self, key: Key | None) -> int:
        """Lay out an entry; without a key, one that no key ever equals."""
        words = self._words
        entry = words.block([0] * at.ENTRY_WORDS)
        if key is None:
            words.words[entry : entry + 4] = [-1] * 4
            words.words[entry + at.E_ACTION // 8] = at.A_SKIP
            return entry
        name = key.name.encode()
        # Until the key was met once, nothing equals it: how it is written is learned then.
        words.words[entry : entry + 4] = [-1] * 4
        words.words[entry + at.E_NAME_LENGTH // 8] = len(name)
        words.words[entry + at.E_ACTION // 8] = key.action
        words.words[entry + at.E_SLOT // 8] = key.slot
        words.words[entry + at.E_BIT // 8] = ((1 << key.words) - 1) << key.slot if key.action < at.A_TYPE else 0
        words.refer(entry + at.E_NAME // 8, words.block(_packed(name)))
        words.refer(entry + at.E_TAIL // 8, words.block([0] * (1 + (len(name) + 5) // 8)))
        if key.action == at.SET:
            place = words.block([len(key.members), *(hash_text(member.encode()) for member in key.members)])
            words.refer(entry + at.E_SET // 8, place)
        return entry


def plain(name: str) -> bool:
    """Return whether a JSON line can hold the key without an escape; a line with escapes goes to the strict path."""
    return '"' not in name and _BACKSLASH not in name and all(letter >= " " for letter in name)


def heads_of(plan: Plan) -> list[Key]:
    """Return the keys that every line has."""
    actions = (at.A_TYPE, at.A_SUBSCRIBER, at.A_TIME, at.A_ID)
    heads = zip(plan.heads, actions, strict=True)
    return [Key(name, action) for name, action in heads if name]


def keys_of(plan: Plan, kind: TypePlan) -> list[Key]:
    """Return the keys that a line of one event type may have."""
    described = plan.schema.types[kind.code]
    own = []
    for wire, slot in kind.slots.items():
        words = described.words(slot)
        members = tuple(member for word in words for member in described.fields[word].members)
        own.append(Key(wire, int(described.fields[slot].kind), slot, members, len(words)))
    return heads_of(plan) + own


def _packed(text: bytes) -> list[int]:
    """Return a text as words, and one word more, so that it can be read past its end."""
    padded = text.ljust((len(text) + 15) // 8 * 8, b"\0")
    return [int.from_bytes(padded[n : n + 8], "little") for n in range(0, len(padded), 8)]


def _mask_for(count: int) -> int:
    size = 4
    while size < 3 * count:
        size *= 2
    return size - 1


def _signed(word: int) -> int:
    word &= (1 << 64) - 1
    return word - (1 << 64) if word >> 63 else word
