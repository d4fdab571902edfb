"""The store of pages: what Kafka has committed is what our copy has, on whichever worker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka import BrokerError
from engine.runtimes.cluster.decide import changelog
from engine.runtimes.cluster.decide.changelog import ChangelogStore, PagesCopy
from state.disk import DiskError
from state.keys import KINDS
from tests.fakes.store import MemoryStore

PREFIX = b"T\x00\x03"
KEYS = [b"T\x00\x03" + bytes(11) + bytes([key]) for key in range(6)]
DAY_MS = 86_400_000


class Topic:
    """The pages topic of one partition: transactions, whole or not at all; each is followed by a marker."""

    def __init__(self) -> None:
        self.transactions: list[tuple[int, list[tuple[bytes, bytes | None]]]] = []
        self.end = 0
        self.fenced = False

    async def write(self, rows: Sequence[tuple[bytes, bytes | None]]) -> int:
        if self.fenced:
            raise BrokerError("another owner")
        self.transactions.append((self.end, list(rows)))
        self.end += len(rows) + 1
        return self.end - 1

    async def read(self, start: int) -> AsyncIterator[tuple[int, Sequence[tuple[bytes, bytes | None]]]]:
        for first, rows in self.transactions:
            if first + len(rows) > start:
                yield first + len(rows), rows[max(0, start - first) :]


def run(test: Callable[[Callable[..., ChangelogStore]], None]) -> None:
    """Run `test(store_of)` in a thread beside the loop that the stores need."""

    async def whole() -> None:
        loop = asyncio.get_running_loop()

        def store_of(topic: Any, memory: MemoryStore, now_ms: int = 0) -> ChangelogStore:
            store = ChangelogStore(loop, topic, PagesCopy(memory, 3, DAY_MS, lambda: now_ms))
            asyncio.run_coroutine_threadsafe(store.restore(), loop).result()
            return store

        await asyncio.to_thread(test, store_of)

    asyncio.run(whole())


writes = st.lists(st.tuples(st.sampled_from(KEYS), st.one_of(st.none(), st.binary(max_size=4))), max_size=5)


@given(st.lists(st.tuples(st.integers(0, 1), writes, st.booleans()), max_size=12))
def test_a_new_owner_has_what_was_committed_whoever_wrote_it(
    steps: Sequence[tuple[int, Sequence[tuple[bytes, bytes | None]], bool]],
) -> None:
    """Two workers own the partition in turn; each comes back with the copy that it left."""

    def test(store_of: Callable[..., ChangelogStore]) -> None:
        topic, copies = Topic(), [MemoryStore(), MemoryStore()]
        committed: dict[bytes, bytes | None] = {}
        for owner, rows, flushed in steps:
            store = store_of(topic, copies[owner])
            seen = dict(committed)
            store.write(rows)
            for key, value in rows:
                seen[key] = value
            assert store.multi_get(KEYS) == [seen.get(key) for key in KEYS]
            assert list(store.scan(PREFIX)) == [(key, seen[key]) for key in sorted(seen) if seen[key] is not None]
            if flushed:
                store.flush()
                committed = seen
        for copy in copies:
            store = store_of(topic, copy)
            assert dict(store.scan(PREFIX)) == {k: v for k, v in committed.items() if v is not None}

    run(test)


def test_an_owner_that_was_fenced_writes_nothing() -> None:
    def test(store_of: Callable[..., ChangelogStore]) -> None:
        topic, copy = Topic(), MemoryStore()
        store = store_of(topic, copy)
        topic.fenced = True
        store.write([(KEYS[0], b"late")])

        with pytest.raises(DiskError, match="another owner"):
            store.flush()
        assert copy.get(KEYS[0]) is None

    run(test)


def test_a_copy_older_than_the_topics_memory_of_deletions_is_thrown_away() -> None:
    def test(store_of: Callable[..., ChangelogStore]) -> None:
        topic, copy = Topic(), MemoryStore()
        store = store_of(topic, copy)
        store.write([(KEYS[0], b"old"), (KEYS[1], b"kept")])
        store.flush()
        topic.transactions = [(5, [(KEYS[1], b"kept")])]

        store = store_of(topic, copy, now_ms=2 * DAY_MS)

        assert dict(store.scan(PREFIX)) == {KEYS[1]: b"kept"}

    run(test)


def test_a_transaction_tells_whether_a_partition_is_still_ours() -> None:
    def test(store_of: Callable[..., ChangelogStore]) -> None:
        topic = Topic()
        store = store_of(topic, MemoryStore())
        assert store.still_ours()
        assert [key[:1] for _, rows in topic.transactions for key, _ in rows] == [b"O"]
        topic.fenced = True
        assert not store.still_ours()

    run(test)


def test_the_flusher_and_the_question_whose_it_is_never_open_two_transactions_at_a_time() -> None:
    class Slow(Topic):
        open = 0

        async def write(self, rows: Sequence[tuple[bytes, bytes | None]]) -> int:
            self.open += 1
            assert self.open == 1
            await asyncio.sleep(0.002)
            self.open -= 1
            return await super().write(rows)

    def test(store_of: Callable[..., ChangelogStore]) -> None:
        topic = Slow()
        store = store_of(topic, MemoryStore())

        def flush(number: int) -> None:
            store.write([(KEYS[number % 6], bytes([number]))])
            store.flush()

        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(store.still_ours) for _ in range(10)]
            flushed = [pool.submit(flush, number) for number in range(10)]
            assert all(one.result() for one in asked)
            assert [one.result() for one in flushed] == [None] * 10

    run(test)


def test_keys_of_the_changelog_are_told_apart_from_those_of_pages() -> None:
    assert len(set(changelog._KINDS)) == len(changelog._KINDS) == len(KINDS) + 2
