"""A partition of subscribers whose flusher lives through crashes, and what its pages must come to."""

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from state.columns import Table
from state.contacts import COMMITTED, Contacts
from state.features import ColumnSpec
from state.flusher import Flusher
from state.store import Store
from tests.fakes.store import MemoryStore
from tests.state.called import make_room, reserve

SPECS = [ColumnSpec("int64", 2), ColumnSpec("int32", 1)]
MASK = 0x7FFFFFFF
SUBSCRIBERS = 300
OLD_FINDS = (1469,)  # a sleeping row alone knew a column that redo had not come to yet


@dataclass
class Frame:
    """Events (subscriber, value), and perhaps the features of a new book."""

    events: list[tuple[int, int]]
    book: tuple[str, ...] | None = None


@dataclass
class Reference:
    """The fold in plain Python."""

    columns: dict[str, int] = field(default_factory=dict)  # feature: born
    rows: dict[int, dict[tuple[str, int], tuple[int, int, int]]] = field(default_factory=dict)
    contacts: dict[int, list[int]] = field(default_factory=dict)
    total: int = 0

    def fold(self, position: int, frame: Frame) -> None:
        if frame.book is not None:
            self.columns = {name: self.columns.get(name, position) for name in frame.book}
        for subscriber, value in frame.events:
            self.total += value
            row = self.rows.setdefault(subscriber, {})
            for key in self.columns.items():
                a, _, c = row.get(key, (0, 0, 0))
                row[key] = ((a * 31 + value) & MASK, position, (c + value) & MASK)
            if value % 5 == 0:
                self.contacts.setdefault(subscriber, []).append(position)

    def state(self) -> dict[int, Any]:
        blank = (0, 0, 0)
        return {
            s: ({k: row.get(k, blank) for k in self.columns.items()}, self.contacts.get(s, [])[-4:])
            for s, row in self.rows.items()
        }


class Life:
    """A process from its start to its crash."""

    def __init__(self, store: Store, memory: int) -> None:
        self.table, self.contacts = Table(64 * 8), Contacts(64 * 8, 4)
        self.memory = memory
        self.columns: dict[str, int] = {}
        self.total = 0
        self.position = -1
        self.flusher = Flusher(0, self.table, self.contacts, store, self.snapshot)
        self.stamps: np.ndarray | None = None

    def snapshot(self) -> dict[str, object]:
        return {"columns": self.columns, "total": self.total}

    def recover(self) -> int:
        found = self.flusher.recover()
        if found.snapshot is not None:
            self.columns, self.total = dict(found.snapshot["columns"]), found.snapshot["total"]
        self.stamps = found.slot_stamps
        self.position = found.redo_from - 1
        return found.redo_from

    def redone(self) -> None:
        keys = self.table.keys()
        for name, born in keys:
            if self.columns.get(name) != born:
                self.table.drop((name, born))
        self.stamps = None
        self.flusher.redo_done()

    def fold(self, position: int, frame: Frame) -> None:
        if frame.book is not None:
            kept = {name: self.columns.get(name, position) for name in frame.book}
            if self.stamps is None:
                for item in self.columns.items() - kept.items():
                    self.table.drop(item)
            self.columns = kept
        for item in self.columns.items():
            self.table.ensure(item, SPECS)
        subscribers = np.array([s for s, _ in frame.events], np.int64)
        self.make_room(len(frame.events))
        slots = self.slots_of(subscribers, position)
        for slot, (_, value) in zip(slots.tolist(), frame.events, strict=True):
            self.total += value
            if self.stamps is not None and self.stamps[slot] >= position:
                continue
            for item in self.columns.items():
                wide, narrow = self.table.columns(item)
                wide[slot] = (int(wide[slot, 0]) * 31 + value) & MASK, position
                narrow[slot] = (int(narrow[slot, 0]) + value) & MASK
            if value % 5 == 0:
                make_room(self.contacts.arrays, slot, 0, 1 << 60, True, False)
                reserve(self.contacts.arrays, slot, position, 0, 0, 0, 0, 0, 0, 0, 0, COMMITTED)
        self.position = position

    def slots_of(self, subscribers: np.ndarray, position: int) -> np.ndarray:
        slots = np.zeros(subscribers.shape[0], np.int32)
        fresh = self.table.lookup(subscribers, slots, position)
        if fresh.shape[0]:
            self.flusher.wake(subscribers[fresh], slots[fresh], position)
        return slots

    def make_room(self, coming: int) -> None:
        excess = self.table.count + coming - self.memory
        if excess > 0 and self.table.count:
            self.flusher.put_to_sleep(self.table.coldest(min(excess, self.table.count)), self.position)

    def state(self) -> dict[int, object]:
        """Wake everybody and tell what is known of each; the flusher's own numbers must agree."""
        awake, asleep = self.table.count, self.flusher.sleeping
        everybody = np.arange(1, SUBSCRIBERS + 1, dtype=np.int64)
        slots = self.slots_of(everybody, self.position + 1)
        state: dict[int, object] = {}
        for subscriber, slot in zip(everybody.tolist(), slots.tolist(), strict=True):
            values = {
                item: tuple(int(v) for array in self.table.columns(item) for v in array[slot].tolist())
                for item in self.columns.items()
            }
            contacts = [contact["at_ms"] for contact in self.contacts.of(slot)]
            if self.table.seen[slot] and (any(map(any, values.values())) or contacts):
                state[subscriber] = (values, contacts)
        assert self.flusher.sleeping == 0
        assert awake + asleep <= SUBSCRIBERS
        return state


def random_frame(chance: random.Random, position: int) -> Frame:
    book = None
    if position == 0 or chance.random() < 0.05:
        book = tuple(sorted(chance.sample(["a", "b", "c"], chance.randint(1, 3))))
    crowd = SUBSCRIBERS if chance.random() < 0.5 else 15
    events = [(chance.randint(1, crowd), chance.randint(1, 1000)) for _ in range(chance.choice((0, 1, 5, 40)))]
    return Frame(events, book)


def run_world(seed: int) -> None:
    """Three to six lives over one log; after every redo, and at the end of a life, the state is a clean fold."""
    chance = random.Random(seed)
    store, durable = MemoryStore(), 0
    log: list[Frame] = []
    memory, pace = chance.choice((70, 150, 500)), chance.choice((0.2, 0.5, 3))
    for _ in range(chance.randint(3, 7)):
        life = Life(store, memory)
        position = life.recover()
        redo_until = chance.choice((len(log), len(log), chance.randint(position, len(log))))
        life.flusher.durable(durable - 1)
        while position < redo_until:
            life.fold(position, log[position])
            shuffle(life, chance, pace)
            position += 1
        if position == len(log):
            life.redone()
            for _ in range(chance.randint(0, 50)):
                log.append(random_frame(chance, len(log)))
                life.fold(len(log) - 1, log[-1])
                if chance.random() < 0.4:
                    durable = chance.randint(durable, len(log))
                    life.flusher.durable(durable - 1)
                shuffle(life, chance, pace)
            if chance.random() < 0.7:
                assert_clean_fold(life, log)
        store.crash(chance)
        del log[chance.randint(durable, len(log)) :]
        durable = len(log)


def shuffle(life: Life, chance: random.Random, pace: float) -> None:
    """What the flusher does between two frames, at any pace."""
    life.flusher.step(life.position, int(pace + chance.random()))
    if chance.random() < 0.5:
        life.flusher.pump(chance.randint(0, 4))


def assert_clean_fold(life: Life, log: list[Frame]) -> None:
    reference = Reference()
    for position, frame in enumerate(log):
        reference.fold(position, frame)
    expected = {s: row for s, row in reference.state().items() if any(map(any, row[0].values())) or row[1]}
    assert life.state() == expected
    assert (life.columns, life.total) == (reference.columns, reference.total)
