"""Slots and columns of a table against a dictionary."""

from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from state.columns import PAGE_SLOTS, Table, TableFullError
from state.features import ColumnSpec
from state.index import SIZE_MIN

KEY = ("feature", 0)


def look(table: Table, subscribers: list[int], position: int = 1, **options: Any) -> tuple[list[int], list[int]]:
    slots = np.full(len(subscribers), -9, np.int32)
    fresh = table.lookup(np.array(subscribers, np.int64), slots, position, **options)
    return slots.tolist(), fresh.tolist()


class TableMachine(RuleBasedStateMachine):
    """Whatever comes and goes, a table knows exactly who is in it, and a newcomer's row is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table(capacity=4 * PAGE_SLOTS)
        (self.column,) = self.table.ensure(KEY, [ColumnSpec("int64", 2)])
        self.slots: dict[int, int] = {}
        self.position = 0

    @rule(subscribers=st.lists(st.integers(1, 300), max_size=60))
    def come(self, subscribers: list[int]) -> None:
        if len(self.slots | dict.fromkeys(subscribers)) > self.table.capacity:
            return
        self.position += 1
        expected = [
            row for row, one in enumerate(subscribers) if one not in self.slots and one not in subscribers[:row]
        ]
        slots, fresh = look(self.table, subscribers, self.position)

        assert fresh == expected
        assert all(not self.column[slots[row]].any() for row in fresh)
        for one, slot in zip(subscribers, slots, strict=True):
            assert self.slots.setdefault(one, slot) == slot
            assert (self.table.subs[slot], self.table.seen[slot]) == (one, self.position)
            assert self.table.dirty[slot // PAGE_SLOTS] == 1
            self.column[slot] = one

    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        if not self.slots:
            return
        leaving = data.draw(st.lists(st.sampled_from(sorted(self.slots)), unique=True, max_size=40))
        self.table.dirty[:] = 0
        slots = np.array([self.slots.pop(one) for one in leaving], np.int32)
        self.table.remove(slots)
        assert self.table.dirty.tolist() == [int(page in slots // PAGE_SLOTS) for page in range(4)]

    @rule()
    def reopen(self) -> None:
        """As recovery does: the rows of `subs` written from outside."""
        copy = Table(self.table.capacity)
        (column,) = copy.ensure(KEY, [ColumnSpec("int64", 2)])
        copy.subs[:], copy.seen[:], column[:] = self.table.subs, self.table.seen, self.column
        copy.rebuild()
        self.table, self.column = copy, column

    @invariant()
    def knows_who_is_there(self) -> None:
        assert self.table.count == len(self.slots)
        asked = list(range(-1, 301))
        assert [self.table.find(one) for one in asked] == [self.slots.get(one, -1) for one in asked]
        assert all(self.column[slot].tolist() == [one, one] for one, slot in self.slots.items())


TestTable = TableMachine.TestCase
TestTable.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_a_hundred_thousand_are_found_again_through_every_doubling() -> None:
    table = Table(capacity=100_032)
    subscribers = np.random.default_rng(7).permutation(10**6)[:100_000] + 13_800_000_000
    slots, again = np.empty(100_000, np.int32), np.empty(100_000, np.int32)
    for start in range(0, 100_000, 7_000):
        table.lookup(subscribers[start : start + 7_000], slots[start : start + 7_000], 1)
    assert slots.tolist() == list(range(100_000))
    assert table.lookup(subscribers, again, 2).shape == (0,)
    assert np.array_equal(again, slots)


def test_a_lookup_without_insert_neither_adds_nor_invents() -> None:
    table = Table(PAGE_SLOTS)
    look(table, [5])
    assert look(table, [5, 6, 0, -3], 2, insert=False) == ([0, -1, -1, -1], [])
    assert (table.count, table.seen[0]) == (1, 2)


def test_nobody_has_a_number_below_one() -> None:
    assert look(Table(PAGE_SLOTS), [0, -1, 1, -(2**63)]) == ([-1, -1, 0, -1], [2])


def test_a_full_table_says_so_and_serves_whom_it_has() -> None:
    table = Table(PAGE_SLOTS)
    with pytest.raises(TableFullError, match="subscribers in memory=66 must be <= 64"):
        look(table, list(range(1, 67)))
    assert look(table, list(range(1, 65)))[0] == list(range(64))


def test_freeing_a_slot_that_is_free_is_refused() -> None:
    table = Table(PAGE_SLOTS)
    look(table, [5, 6])
    for slots in ([0, 3], [0, 0]):
        with pytest.raises(KeyError, match="must be live"):
            table.remove(np.array(slots, np.int32))
    assert table.count == 2


def test_the_coldest_are_the_longest_unseen_of_those_looked_at() -> None:
    table = Table(1024)
    for one in range(1, 401):
        look(table, [one], position=1000 - one % 50)
    table.remove(np.array([49, 99], np.int32))
    assert sorted(table.seen[table.coldest(10)].tolist()) == sorted(table.seen[:80][table.subs[:80] != 0].tolist())[:10]
    assert table.coldest(10).min() >= 80


def test_everyone_has_a_turn_to_be_cold() -> None:
    table = Table(1024)
    look(table, list(range(1, 401)))
    for _ in range(50):
        slots = table.coldest(20)
        assert np.unique(slots).shape == slots.shape
        table.remove(slots)
    assert table.count == 0


def test_nobody_is_cold_in_an_empty_table() -> None:
    assert Table(PAGE_SLOTS).coldest(5).shape == (0,)


def test_columns_live_by_key_and_a_wider_wish_keeps_the_rows() -> None:
    table = Table(100)
    look(table, list(range(1, 51)))
    (narrow,) = table.ensure(KEY, [ColumnSpec("int32", 2)])
    narrow[:50] = 7
    assert table.ensure(KEY, [ColumnSpec("int32", 2)])[0] is narrow
    (wide,) = table.ensure(KEY, [ColumnSpec("int32", 4)])
    assert (wide[:50, :2] == 7).all()
    assert not wide[:, 2:].any()
    assert table.ensure(KEY, [ColumnSpec("int32", 2)])[0] is wide
    table.ensure(("other", 3), [ColumnSpec("int64", 1), ColumnSpec("uint8", 16)])
    assert [(info.key, info.part, info.row_bytes) for info in table.layout()] == [
        (KEY, 0, 16), (("other", 3), 0, 8), (("other", 3), 1, 16),
    ]  # fmt: skip
    table.drop(KEY)
    table.drop(KEY)
    assert table.keys() == (("other", 3),)
    with pytest.raises(KeyError):
        table.columns(KEY)


def test_committing_memory_ahead_changes_no_row() -> None:
    table = Table(10 * PAGE_SLOTS)
    look(table, [1, 2, 3])
    (column,) = table.ensure(KEY, [ColumnSpec("int64", 1)])
    column[:3] = 9
    table.commit(500)
    assert column[:, 0].tolist() == [9] * 3 + [0] * (table.capacity - 3)
    assert look(table, [3, 4])[0] == [2, 3]


def test_a_row_costs_what_its_columns_and_the_index_take() -> None:
    table = Table(PAGE_SLOTS)
    table.ensure(KEY, [ColumnSpec("int32", 15)])
    look(table, list(range(1, 65)))
    assert table.row_bytes() == 16 + 60 + SIZE_MIN * 8 // 64


def test_a_capacity_beyond_the_index_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity=268435520 must be <= 268435454"):
        Table((1 << 28) + 1)
