"""Texts of subscribers' columns: held as long as a column names them, and carried by pages and sleeping rows."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import held_texts as module
from state.columns import Key, Table
from state.contacts import Contacts
from state.features import ColumnSpec
from state.hashing import hash_text
from state.held_texts import HeldTexts
from state.pages import PageError, Pages
from state.texts import NO_TEXTS, Texts, decode_texts, encode_texts, hashed_texts, joined

KEY: Key = ("last", 3)
PLAIN: Key = ("count", 3)


def hold(held: HeldTexts, texts: Texts) -> None:
    """Hold what a batch brings in a field of which every row has another text."""
    zeros = np.zeros(texts.count, np.uint8)
    held.keep(texts, zeros, np.ones(texts.count, np.int64), texts.hashes, 0, 0)


def words(texts: Sequence[bytes]) -> np.ndarray:
    return np.array([hash_text(text) for text in texts], np.int64)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.lists(st.binary(max_size=30), max_size=20), max_size=6))
def test_columns_of_texts_are_read_by_hash_join_and_read_back_from_bytes(parts: list[list[bytes]]) -> None:
    whole = joined([hashed_texts(part) for part in parts])
    every = [text for part in parts for text in part]
    for one in (whole, decode_texts(encode_texts(whole), whole.count)):
        assert [one.text(hash_text(text)) for text in every] == every
        assert one.text(77) is None
        assert {text for _, text in one.pairs()} == set(every)


@settings(max_examples=60, deadline=None)
@given(brought=st.lists(st.binary(max_size=300), max_size=40), more=st.integers(0, 3_000))
def test_what_is_held_is_found_however_much_it_grows(brought: list[bytes], more: int) -> None:
    held = HeldTexts()
    hold(held, hashed_texts(brought))
    hold(held, hashed_texts(b"%d" % number for number in range(more)))
    hold(held, hashed_texts(brought))
    assert held.count == len({*brought, *(b"%d" % number for number in range(more))})
    assert [held.text(hash_text(text)) for text in brought] == brought
    assert held.text(hash_text(b"never")) is None


def test_only_fields_that_a_row_knows_and_only_of_its_type_are_held() -> None:
    texts = hashed_texts([b"a", b"b", b"c", b"d"])
    held = HeldTexts()
    held.keep(texts, np.array([1, 1, 2, 1], np.uint8), np.array([4, 0, 4, 4]), texts.hashes, 1, 2)
    assert [held.text(int(one)) for one in texts.hashes] == [b"a", None, None, b"d"]


def test_a_sweep_drops_what_no_word_names_any_more_and_memory_stays_with_what_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SWEEP_MIN", 100)
    table = Table(64)
    column = table.ensure(KEY, [ColumnSpec("int64", 2)])[0]
    table.text_keys = frozenset({KEY})
    slots = np.empty(3, np.int32)
    table.lookup(np.array([1, 2, 3]), slots, 1)
    table.texts = HeldTexts()
    table.texts._sweep_at = 100
    for number in range(50_000):
        texts = hashed_texts([b"the peer of call %d" % number])
        hold(table.texts, texts)
        column[slots[number % 3]] = number, texts.hashes[0]
        table.sweep_texts()
        assert table.texts.count <= 100
    assert [table.texts.text(int(one)) for one in column[slots, 1]] == [
        b"the peer of call %d" % number for number in (49_998, 49_999, 49_997)
    ]


def test_a_pick_takes_texts_of_the_batch_and_texts_that_are_held_and_leaves_out_what_nobody_has() -> None:
    held = HeldTexts()
    hold(held, hashed_texts([b"held", b"both"]))
    batch = hashed_texts([b"brought", b"both"])
    wanted = words([b"brought", b"held", b"nobody", b"both"])
    assert [text for _, text in held.pick(wanted, batch).pairs()] == [b"brought", b"held", b"both"]
    assert held.pick(wanted, NO_TEXTS).count == 2


def filled(texts: Sequence[bytes]) -> tuple[Table, Pages]:
    """A table of a subscriber a text, whose column names it."""
    table = Table(256)
    pages = Pages(table, Contacts(table.capacity, 4))
    slots = np.empty(len(texts), np.int32)
    table.lookup(np.arange(1, len(texts) + 1), slots, 1)
    table.ensure(PLAIN, [ColumnSpec("int64", 1)])[0][slots, 0] = 7
    table.ensure(KEY, [ColumnSpec("int64", 2)])[0][slots, 1] = words(texts)
    table.text_keys = frozenset({KEY})
    hold(table.texts, hashed_texts(texts))
    return table, pages


TEXTS = [b"text of subscriber %d" % (number % 90) for number in range(200)] + ["北京".encode() * 50, b""]


@pytest.mark.parametrize("redoing", [False, True])
def test_pages_and_rows_carry_the_texts_of_their_subscribers(redoing: bool) -> None:
    table, pages = filled(TEXTS)
    stamps = np.zeros(table.capacity, np.int64) if redoing else None
    if redoing:
        table.text_keys = frozenset()  # of a book that redo has not come to
    numbers = np.arange(4, dtype=np.int64)
    packed = pages.pack(numbers, 5, stamps)
    rows = pages.pack_rows(np.arange(len(TEXTS), dtype=np.int32), 5, stamps)

    again = Table(256)
    other = Pages(again, Contacts(again.capacity, 4))
    other.adopt(pages.layout())
    other.layout()
    for number, page in zip(numbers.tolist(), packed, strict=True):
        assert page is not None
        other.unpack(number, page, pages.layout(), np.zeros(again.capacity, np.int64))
    assert [again.texts.text(hash_text(text)) for text in TEXTS] == TEXTS
    assert again.columns(KEY)[0][: len(TEXTS), 1].tolist() == words(TEXTS).tolist()

    awake = Table(256)
    third = Pages(awake, Contacts(awake.capacity, 4))
    third.adopt(pages.layout())
    slots = np.empty(len(TEXTS), np.int32)
    awake.lookup(np.arange(1, len(TEXTS) + 1), slots, 9)
    third.layout()
    assert third.unpack_rows(slots, rows, pages.layout()).tolist() == [5] * len(TEXTS)
    assert [awake.texts.text(hash_text(text)) for text in TEXTS] == TEXTS


def test_a_page_without_texts_is_as_long_as_if_there_were_none() -> None:
    table, pages = filled(TEXTS)
    with_texts = pages.pack(np.zeros(1, np.int64), 5)[0]
    table.text_keys = frozenset()
    without = pages.pack(np.zeros(1, np.int64), 5)[0]
    assert with_texts is not None
    assert without is not None
    assert len(with_texts) - len(without) == sum(4 + len(text) for text in set(TEXTS[:64]))


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 1 << 20), bits=st.integers(1, 255))
def test_a_page_with_a_broken_byte_is_refused_or_read_and_never_falls(place: int, bits: int) -> None:
    _, pages = filled(TEXTS)
    page = pages.pack(np.zeros(1, np.int64), 5)[0]
    assert page is not None
    data = bytearray(page)
    data[place % len(data)] ^= bits
    again = Table(256)
    other = Pages(again, Contacts(again.capacity, 4))
    other.adopt(pages.layout())
    other.layout()
    try:
        other.unpack(0, bytes(data), pages.layout(), np.zeros(again.capacity, np.int64))
    except PageError:
        return
    assert again.texts.count <= 64
