"""The tables of the scanner, filled from a plan.

All blocks lie in one array of words, whose address is fixed while the tables live; see `scan.layout`. What changes
later is how a key was last written and which one is guessed after it (`E_NEXT`), so tables belong to one thread.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from connectors.sources.derived import Step, Template
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
        self._inputs = {name: n for n, name in enumerate(inputs_of(plan))}
        self._templates = {name: self._template(template) for name, template in plan.derived.items()}
        states: dict[str, int] = {}
        for wire, kind in plan.types.items():
            states[wire] = self._state(kind.code, keys_of(plan, kind), learned.get(wire, set()))
        untyped = self._state(_NO_CODE, heads_of(plan), set())
        self.inputs = len(self._inputs)
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
        made = [key for key in keys if key.name in self._templates]
        keys = [Key(key.name, at.A_DERIVED) if key.name in self._templates else key for key in keys]
        keys += [Key(name, at.A_SKIP) for name in self._inputs if name not in {key.name for key in keys}]
        known = {key.name for key in keys}
        keys = keys + [Key(name, at.A_SKIP) for name in sorted(learned - known)[: KEYS_MAX - len(keys)]]
        start, unknown = self._entry(None), self._entry(None)
        if self._plan.mapping.format != "delimited":
            keys = [key for key in keys if plain(key.name)]
        entries = [self._entry(key) for key in keys]
        for entry in [start, unknown, *entries]:
            words.refer(entry + at.E_NEXT // 8, unknown)
        by_name = dict(zip((key.name for key in keys), entries, strict=True))
        words.refer(state + at.S_START // 8, start)
        words.refer(state + at.S_UNKNOWN // 8, unknown)
        words.refer(state + at.S_TYPE // 8, by_name.get(self._plan.heads[0], unknown))
        self._hash_keys(state, by_name)
        self._column_entries(
            state, {key.name: by_name[key.name] for key in keys if key.action < at.A_SKIP and key.name in by_name}
        )
        if code != _NO_CODE:
            self._made_entries(state, made)
        return state

    def _made_entries(self, state: int, made: list[Key]) -> None:
        """List the entries of the derived fields of a state, each before its template."""
        words = self._words
        entries = [(self._entry(key), self._templates[key.name]) for key in made]
        block = words.block([0] * (2 * len(entries)))
        for place, target in enumerate(one for pair in entries for one in pair):
            words.refer(block + place, target)
        words.refer(state + at.S_MADE // 8, block)
        words.words[state + at.S_MADE_COUNT // 8] = len(entries)

    def _template(self, template: Template) -> int:
        """Lay out a template; see `scan.layout`."""
        words = self._words
        block = words.block([len(template.parts), *([0] * (len(template.parts) * at.P_BYTES // 8))])
        for number, part in enumerate(template.parts):
            one = block + 1 + number * at.P_BYTES // 8
            steps = [step for step in part.steps if step.function != "lower"]
            words.words[one] = self._piece(part.name) if part.name else at.P_TEXT
            words.words[one + at.P_LENGTH // 8] = len(part.text.encode())
            words.refer(one + at.P_ADDRESS // 8, words.block(_packed(part.text.encode())))
            words.words[one + at.P_LOWER // 8] = int(len(steps) < len(part.steps))
            words.words[one + at.P_STEPS_COUNT // 8] = len(steps)
            for place, step in enumerate(steps):
                at_step = one + (at.P_STEPS + place * at.P_STEP_BYTES) // 8
                words.words[at_step : at_step + 3] = _step_words(step)
        return block

    def _piece(self, name: str) -> int:
        """Return the place of an input's piece."""
        if self._plan.mapping.format != "delimited":
            return self._inputs[name]
        return self._columns.index(name) if name in self._columns else at.P_MISSING

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
        words.words[entry + at.E_INPUT // 8] = self._inputs.get(key.name, -1) + 1
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


def inputs_of(plan: Plan) -> list[str]:
    """Return the names of the fields that derived fields are made of."""
    return list(dict.fromkeys(name for template in plan.derived.values() for name in template.names))


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


def _step_words(step: Step) -> list[int]:
    if step.function == "right":
        return [at.FROM_END, 0, step.numbers[0]]
    passed, count = (step.numbers[0] - 1, step.numbers[1]) if step.function == "mid" else (0, step.numbers[0])
    return [at.FROM_START, passed, count]


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
