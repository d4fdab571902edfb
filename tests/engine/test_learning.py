"""A feature that learns is unknown until it was kept for long, and keeps its history however its `where` is worded."""

import numpy as np
import pytest

from engine.book.compiled import CompiledBook, compile_book
from engine.flow.decider import Decider
from rules.load import load_text
from state.batch import Row, from_rows
from state.columns import Table
from state.contacts import Contacts

BOOK = """
[events.call]
fields = {{ kind = "string", secs = "int" }}
[channels.alert]
[features.calls]
count = "call"
where = "{where}"
{since}
[[rule]]
id = "first"
on = "call"
when = "calls == {count}"
channels = ["alert"]
"""
DAY_MS = 86_400_000
NOW_MS = 1_225_756_800_000


def book(since: str = "", where: str = "kind == 'long' and secs > 10", count: int = 1) -> CompiledBook:
    return compile_book(load_text({"book.toml": BOOK.format(since=since, where=where, count=count)}))


class Life:
    """One decider; `call` folds a frame with one call, and returns whether the rule acted."""

    def __init__(self) -> None:
        self.table = Table(64)
        self.decider = self.fresh()
        self.position = 0

    def fresh(self) -> Decider:
        return Decider(self.table, Contacts(self.table.capacity, 8), 64)

    def activate(self, compiled: CompiledBook) -> None:
        self.position += 1
        self.decider.activate(compiled, self.position)

    def call(self, subscriber: int, at_ms: int) -> bool:
        self.position += 1
        batch = from_rows(self.decider.schema, [Row("call", subscriber, at_ms, {"kind": "long", "secs": 20})])
        slots = np.empty(1, np.int32)
        self.table.lookup(batch.subscriber, slots, self.position)
        self.decider.histories.begin(at_ms)
        return self.decider.fold(self.position, at_ms, batch, np.zeros(1, np.int32), slots) is not None


def test_nobody_is_a_first_while_a_feature_learns_and_afterwards_only_whose_first_it_is() -> None:
    life = Life()
    life.activate(book('since = "7d"'))

    assert not life.call(1, NOW_MS)
    assert not life.call(2, NOW_MS + 7 * DAY_MS - 1)
    assert not life.call(1, NOW_MS + 7 * DAY_MS)
    assert life.call(3, NOW_MS + 7 * DAY_MS)


def test_a_feature_may_be_known_from_a_day_on() -> None:
    life = Life()
    life.activate(book("since = 2008-11-05"))

    assert not life.call(1, NOW_MS + DAY_MS - 1)
    assert life.call(2, NOW_MS + DAY_MS)


@pytest.mark.parametrize("since", ['since = "7d"', 'since = "8d"'])
def test_learning_goes_on_through_a_restart_and_a_book_that_follows(since: str) -> None:
    life = Life()
    first = book('since = "7d"')
    life.activate(first)
    life.call(1, NOW_MS)
    kept = life.decider.snapshot()
    life.decider = life.fresh()
    life.decider.restore(kept, {first.book.version: first}.__getitem__)
    life.activate(book(since, count=1))

    days = 7 if "7d" in since else 8
    assert not life.call(2, NOW_MS + days * DAY_MS - 1)
    assert life.call(3, NOW_MS + days * DAY_MS)


def test_a_history_from_a_release_without_learning_has_learned() -> None:
    life = Life()
    first = book('since = "7d"')
    life.activate(first)
    kept = life.decider.snapshot()
    del kept["begun_ms"], kept["columns"]
    life.decider = life.fresh()
    life.decider.restore(kept, {first.book.version: first}.__getitem__)

    assert life.call(1, NOW_MS)


def test_a_history_is_kept_when_its_condition_is_worded_in_another_order_also_after_a_restart() -> None:
    life = Life()
    life.activate(book(count=4))
    life.call(1, NOW_MS)
    swapped = book(where="10 < secs and kind == 'long'", count=4)
    assert swapped.book.features[-1].fingerprint != book().book.features[-1].fingerprint
    life.activate(swapped)
    life.call(1, NOW_MS)
    kept = life.decider.snapshot()
    life.decider = life.fresh()
    life.decider.restore(kept, {swapped.book.version: swapped}.__getitem__)
    life.call(1, NOW_MS)
    life.activate(book(where="secs > 10 and 'long' == kind", count=4))

    assert life.call(1, NOW_MS)
