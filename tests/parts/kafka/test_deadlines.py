"""Rules with `after` in a cluster on a real Kafka, by the wall's clock: each deadline comes once, through `kill -9`."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.book.compiled import compile_book
from rules.load import load_text
from state.decisions import DecisionBatch
from tests.engine.world import line
from tests.parts.kafka.events_day import ids_of
from tests.parts.kafka.log_fold import folded_at_once, frames_of
from tests.parts.kafka.workers import cluster_on, rows

pytestmark = [pytest.mark.parts, pytest.mark.slow]

PARTITIONS = 2
FIRST, COUNT = 8613800000000, 60
BOOK = """
campaign = "care"
[book]
zone = "Asia/Shanghai"
max_age = "1h"
[events.mms]
fields = { message = "string!" }
[events.fetch]
fields = { message = "string!" }
[channels.sms]
[[rule]]
id = "not-fetched"
after = "mms"
within = "4s"
unless = "fetch"
key = "message"
channels = ["sms"]
text.sms = "{message} waits since {armed:%H:%M}"
"""


def lines_of(kind: str, numbers: Sequence[int], at_ms: int) -> list[bytes]:
    """One line a subscriber, of one message each."""
    return [line(type=kind, msisdn=FIRST + one, time=at_ms, message=f"m{one}").strip() for one in numbers]


def told(batches: list[tuple[int, DecisionBatch]]) -> Counter[int]:
    """How often each subscriber is decided about."""
    return Counter(who - FIRST for _, batch in batches for who in batch.subscriber.tolist())


def records_in(batches: list[tuple[int, DecisionBatch]]) -> list[tuple[object, ...]]:
    """All records, with place, outcome and gate."""
    return sorted(record for partition, batch in batches for record in ids_of(partition, batch))


def test_deadlines_come_once_though_their_owner_is_killed_and_what_ends_them_in_time_ends_them(tmp_path: Path) -> None:
    fetched, late = range(0, COUNT, 3), range(1, COUNT, 3)
    waits = set(range(COUNT)) - set(fetched)
    with cluster_on(tmp_path, {"book.toml": BOOK}, partitions=PARTITIONS, lateness_s=1) as cluster:
        a, _ = (cluster.worker(name) for name in ("a", "b"))
        cluster.wait_until_owned(2)
        now_ms = time.time_ns() // 1_000_000
        cluster.produce(lines_of("mms", range(COUNT), now_ms))
        cluster.produce(lines_of("fetch", fetched, now_ms + 3_999))
        cluster.workers.remove(a)
        a.kill()
        found = cluster.read_until(lambda one: rows(one.batches) >= len(waits)).batches
        cluster.produce(lines_of("fetch", late, now_ms + 2_000))  # too late: it has been said
        found = cluster.read_until(lambda _: True, 1).batches
        compiled = compile_book(load_text({"book.toml": BOOK}))
        books = {compiled.book.version: compiled}
        frames = frames_of(cluster.broker.bootstrap, books, PARTITIONS)

    assert told(found) == Counter(waits)
    folded = folded_at_once(frames, books)
    assert records_in(folded) == records_in(found), "the log, folded by one machine's decider"
