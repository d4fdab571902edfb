"""Rows read back as they were packed, under the same layout and under a changed one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.columns import Key, Table
from state.contacts import Contacts
from state.features import ColumnSpec
from state.pages import Column, Layout, PageError, Pages, decode_layout, packed_layout, packed_stamp
from tests.state.called import reserve

SPECS = {
    ("aa", 0): [ColumnSpec("int64", 1)],
    ("bb", 3): [ColumnSpec("int64", 5), ColumnSpec("uint8", 16)],
    ("cc", 3): [ColumnSpec("int32", 15)],
    ("dd", 9): [ColumnSpec("int32", 1), ColumnSpec("uint8", 3)],
    ("ee", 9): [ColumnSpec("int32", 2), ColumnSpec("int64", 70)],
}
ENDS = np.array([0, 1, -1, 255, 256, 2**31, 2**62, -(2**62), 2**63 - 1, -(2**63), 1_700_000_000_000])


def make(specs: Mapping[Key, Sequence[ColumnSpec]] = SPECS, capacity: int = 256) -> tuple[Table, Contacts, Pages]:
    table, contacts = Table(capacity), Contacts(capacity, 6)
    for key, columns in specs.items():
        table.ensure(key, columns)
    return table, contacts, Pages(table, contacts)


def fill(table: Table, contacts: Contacts, seed: int, fullness: float = 0.7) -> None:
    """Subscribers in some slots, with values from ranges that pack to every width."""
    rng = np.random.default_rng(seed)
    slots = np.zeros(table.capacity, np.int32)
    table.lookup(rng.permutation(10**6)[: table.capacity] + 8613800000000, slots, seed % 1000)
    for info in table.layout():
        array = info.array
        for column in range(array.shape[1]):
            span = np.uint64(1 << int(rng.integers(0, 64)))
            values = rng.integers(0, span, table.capacity, dtype=np.uint64).view(np.int64) + rng.choice(ENDS)
            values[rng.random(table.capacity) < rng.choice([0.0, 0.5, 0.99, 1.0])] = 0
            array[:, column] = values.astype(array.dtype)
    for slot in rng.integers(0, table.capacity, 100):
        if contacts.arrays.size[contacts.arrays.block[slot]] < 6:
            at_ms, expires_ms = rng.integers(-(2**62), 2**62, 2).tolist()
            row, state = int(rng.integers(0, 2**22)), int(rng.integers(0, 256))
            one, rule, campaign, channel, offer, category = rng.integers(0, 2**31, 6).tolist()
            reserve(
                contacts.arrays, slot, at_ms, expires_ms, one, row, rule, campaign, channel, offer, category, state
            )  # fmt: skip
    gone = np.flatnonzero(rng.random(table.capacity) > fullness).astype(np.int32)
    contacts.release(gone)
    table.remove(gone)


def rows_of(table: Table, contacts: Contacts, keys: Iterable[Key] = SPECS) -> dict[int, Any]:
    return {
        int(table.subs[slot]): (
            int(table.seen[slot]),
            {key: [array[slot].tolist() for array in table.columns(key)] for key in keys},
            contacts.of(slot),
        )
        for slot in np.flatnonzero(table.subs).tolist()
    }


def load(pages: Pages, packed: list[bytes | None], layout: Layout) -> np.ndarray:
    stamps = np.zeros(pages.table.capacity, np.int64)
    pages.layout()
    for page, data in enumerate(packed):
        if data is not None:
            pages.unpack(page, data, layout, stamps)
    pages.table.rebuild()
    return stamps


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), fullness=st.sampled_from([0.02, 0.7, 1.0]))
def test_pages_read_back_as_they_were_packed(seed: int, fullness: float) -> None:
    table, contacts, pages = make()
    fill(table, contacts, seed, fullness)
    packed = pages.pack(np.arange(4), 77)
    assert all(packed_stamp(data) == 77 for data in packed if data is not None)
    again, again_contacts, again_pages = make()
    stamps = load(again_pages, packed, pages.layout())
    assert rows_of(again, again_contacts) == rows_of(table, contacts)
    assert (stamps[again.subs != 0] == 77).all()
    assert np.array_equal(again.subs, table.subs)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_single_rows_read_back_into_any_slot(seed: int) -> None:
    table, contacts, pages = make()
    fill(table, contacts, seed)
    slots = np.flatnonzero(table.subs).astype(np.int32)
    before = rows_of(table, contacts)
    packed = pages.pack_rows(slots, 500)
    again, again_contacts, again_pages = make()
    targets = np.zeros(slots.shape[0], np.int32)
    again.lookup(table.subs[slots][::-1].copy(), targets, 9)
    assert again_pages.unpack_rows(targets, packed[::-1], pages.layout()).tolist() == [500] * slots.shape[0]
    after = rows_of(again, again_contacts)
    assert {s: row[1:] for s, row in after.items()} == {s: row[1:] for s, row in before.items()}
    assert all(row[0] == 9 for row in after.values())


def test_a_page_without_subscribers_is_none() -> None:
    table, _, pages = make()
    slots = np.zeros(1, np.int32)
    table.lookup(np.array([5]), slots, 1)
    assert [data is None for data in pages.pack(np.arange(4), 1)] == [False, True, True, True]


def test_slots_that_are_ahead_of_the_page_keep_their_own_stamps() -> None:
    table, contacts, pages = make()
    fill(table, contacts, 1, fullness=0.9)
    stamps = np.where(np.arange(256) % 3 == 0, 120, -1)
    packed = pages.pack(np.arange(4), 100, stamps)
    rows = pages.pack_rows(np.flatnonzero(table.subs)[:9].astype(np.int32), 100, stamps)
    again, _, again_pages = make()
    loaded = load(again_pages, packed, pages.layout())
    used = again.subs != 0
    assert np.array_equal(loaded[used], np.where(np.arange(256) % 3 == 0, 120, 100)[used])
    assert [packed_stamp(row) for row in rows] == [120 if s % 3 == 0 else 100 for s in np.flatnonzero(used)[:9]]


def test_columns_are_matched_by_fingerprint_and_birth_whatever_else_changed() -> None:
    """Dropped columns are skipped, new ones are zero, a column born again does not get its old history."""
    table, contacts, pages = make()
    fill(table, contacts, 4)
    packed = pages.pack(np.arange(4), 7)
    row = pages.pack_rows(np.flatnonzero(table.subs)[:1].astype(np.int32), 7)[0]
    changed = {
        ("new", 1): [ColumnSpec("int64", 2)],
        ("cc", 3): SPECS["cc", 3],
        ("bb", 8): SPECS["bb", 3],
        ("ee", 9): SPECS["ee", 9],
    }
    again, again_contacts, again_pages = make(changed)
    load(again_pages, packed, pages.layout())
    kept = [("cc", 3), ("ee", 9)]
    assert rows_of(again, again_contacts, kept) == rows_of(table, contacts, kept)
    assert not any(array.any() for key in (("new", 1), ("bb", 8)) for array in again.columns(key))
    slot = int(np.flatnonzero(table.subs)[0])
    single, single_contacts, single_pages = make(changed)
    slots = np.zeros(1, np.int32)
    single.lookup(table.subs[slot : slot + 1], slots, 3)
    single_pages.layout()
    single_pages.unpack_rows(slots, [row], pages.layout())
    assert (
        rows_of(single, single_contacts, kept)[int(table.subs[slot])][1]
        == rows_of(table, contacts, kept)[int(table.subs[slot])][1]
    )
    assert not any(array.any() for key in (("new", 1), ("bb", 8)) for array in single.columns(key))


def test_a_column_that_is_wider_now_keeps_the_rows_packed_narrower_and_the_other_way_round() -> None:
    narrow, wide = {("aa", 0): [ColumnSpec("int64", 2)]}, {("aa", 0): [ColumnSpec("int64", 5)]}
    for packed_as, loaded_as in ((narrow, wide), (wide, narrow)):
        table, contacts, pages = make(packed_as)
        fill(table, contacts, 5)
        packed = pages.pack(np.arange(4), 7)
        again, _, again_pages = make(loaded_as)
        load(again_pages, packed, pages.layout())
        old, new = table.columns(("aa", 0))[0], again.columns(("aa", 0))[0]
        assert new.shape[1] == 5
        assert np.array_equal(new[:, : old.shape[1]], old)
        assert not new[:, old.shape[1] :].any()


def test_adopting_a_layout_makes_the_columns_that_are_missing() -> None:
    table, contacts, pages = make()
    fill(table, contacts, 6)
    again, again_contacts, again_pages = make({})
    layout = decode_layout(pages.layout().encode())
    assert layout == pages.layout()
    assert packed_layout(pages.pack_rows(np.zeros(1, np.int32), 1)[0]) == layout.id
    again_pages.adopt(layout)
    load(again_pages, pages.pack(np.arange(4), 1), layout)
    assert rows_of(again, again_contacts) == rows_of(table, contacts)


def test_many_pages_and_long_contacts_fit_however_large_they_are() -> None:
    table, contacts, pages = Table(64 * 40), Contacts(64 * 40, 200), None
    table.ensure(("aa", 0), [ColumnSpec("int64", 600)])
    pages = Pages(table, contacts)
    slots = np.zeros(64 * 40, np.int32)
    table.lookup(np.arange(1, 64 * 40 + 1), slots, 1)
    table.columns(("aa", 0))[0][:] = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, (64 * 40, 600))
    for entry in range(200):
        for slot in range(0, 640, 7):
            reserve(contacts.arrays, slot, entry, entry + 9, slot, 3, 4, 5, 6, 7, 8, 1)
    packed = pages.pack(np.arange(40), 1)
    rows = pages.pack_rows(slots, 1)
    assert len(rows) == 64 * 40
    again, again_contacts = Table(64 * 40), Contacts(64 * 40, 200)
    again_pages = Pages(again, again_contacts)
    again_pages.adopt(pages.layout())
    load(again_pages, packed, pages.layout())
    assert rows_of(again, again_contacts, [("aa", 0)]) == rows_of(table, contacts, [("aa", 0)])


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), place=st.integers(32, 1 << 20), flip=st.integers(1, 255), cut=st.integers(0, 9))
def test_broken_lanes_are_refused_or_read_but_never_fall(seed: int, place: int, flip: int, cut: int) -> None:
    table, contacts, pages = make(capacity=64)
    fill(table, contacts, seed)
    contacts.release(np.flatnonzero(table.subs).astype(np.int32))
    page = pages.pack(np.arange(1), 7)[0]
    for data in (page, pages.pack_rows(np.zeros(1, np.int32), 7)[0]):
        assert data is not None
        lanes = int.from_bytes(data[16:24], "little")
        broken = bytearray(data)
        broken[32 + place % lanes] ^= flip
        again, _, again_pages = make(capacity=64)
        again.subs[0] = int.from_bytes(data[24:32], "little")
        try:
            if data is page:
                again_pages.unpack(0, bytes(broken)[: len(broken) - cut], pages.layout(), np.zeros(64, np.int64))
            else:
                again_pages.unpack_rows(np.zeros(1, np.int32), [bytes(broken)[: len(broken) - cut]], pages.layout())
        except PageError:
            continue


def test_bytes_of_another_layout_another_page_or_another_subscriber_are_refused() -> None:
    table, contacts, pages = make()
    fill(table, contacts, 8, fullness=1.0)
    layout, stamps = pages.layout(), np.zeros(256, np.int64)
    page, row = pages.pack(np.arange(1), 7)[0], pages.pack_rows(np.zeros(1, np.int32), 7)[0]
    assert page is not None
    _, _, other = make()
    with pytest.raises(PageError, match="do not fit layout"):
        other.unpack(0, page, Layout((Column("aa", 0, 0, "<i8", 8),)), stamps)
    with pytest.raises(PageError, match="page=4 must be >= 0 and < 4"):
        other.unpack(4, page, layout, stamps)
    with pytest.raises(PageError, match="row of subscriber=0 does not read back"):
        other.unpack_rows(np.array([9], np.int32), [row], layout)
    with pytest.raises(PageError, match="length=5 must be >= 32"):
        other.unpack(0, page[:5], layout, stamps)
    small = Pages(make()[0], Contacts(256, 1))
    crowded = next(i for i in range(4) if any(len(contacts.of(slot)) > 1 for slot in range(64 * i, 64 * i + 64)))
    data = pages.pack(np.array([crowded]), 7)[0]
    assert data is not None
    with pytest.raises(PageError, match="more contacts than contacts_max=1"):
        small.unpack(crowded, data, layout, stamps)
