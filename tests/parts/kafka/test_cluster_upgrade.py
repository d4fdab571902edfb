"""A rolling upgrade on a real Kafka: workers with different books, then with different releases.

The judge is the fold over the log as it stands in the topic, from its beginning and in one process: activations and
events at the positions that they have there. The release after this one is this one with a higher format, so that the
test needs no history of the repository; what it writes is as foreign to this one as anything a later release writes.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.book.compiled import compile_book
from rules.load import load_book
from state import formats
from state.frame import FrameKind
from tests.engine.world import BOOK, call
from tests.parts.kafka.log_fold import folded_at_once, frames_of
from tests.parts.kafka.rig import records_of
from tests.parts.kafka.workers import START, Cluster, Worker, cluster_on, rows, wait_for_text

pytestmark = [pytest.mark.parts, pytest.mark.slow]

NEXT_RELEASE = f"from state import formats; formats.FORMAT = 3; {START}"
MORE = """
[[rule]]
id = "listener"
on = "call"
when = "long_calls >= 2"
channels = ["alert"]
cap = ["4 per day"]
"""
NOW_MS = int(time.time() * 1000) - 600_000
CALLERS = range(8613800000001, 8613800000041)


def calls(part: int) -> list[bytes]:
    """Five calls of every caller, with the gaps that caps feel."""
    return [
        call(who, NOW_MS + (5 * part + index) * 10_000, seconds=120).strip() for index in range(5) for who in CALLERS
    ]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with cluster_on(tmp_path, {"book.toml": BOOK}) as made:
        (made.folder / "next").mkdir()
        (made.folder / "next" / "book.toml").write_text(BOOK + MORE)
        text = (made.folder / "config.toml").read_text()
        (made.folder / "next.toml").write_text(text.replace('folder = "book"', 'folder = "next"'))
        yield made


def ended(worker: Worker) -> int:
    """Wait until a worker has ended by itself; return its status."""
    assert worker.process is not None
    return worker.process.wait(30)


def test_workers_of_different_books_and_releases_decide_what_one_fold_of_the_log_decides(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cluster.worker("a")
    cluster.wait_until_owned(1, 180)  # the first test of a release compiles every kernel
    cluster.produce(calls(0))
    cluster.read_until(lambda found: rows(found.batches) >= len(CALLERS) * 5)
    other = cluster.worker("b", "--config", "next.toml")
    cluster.wait_until_owned(2)
    cluster.produce(calls(1))
    one.kill()
    one.start()
    cluster.produce(calls(2))
    cluster.wait_until_owned(2)
    listener = 9 * len(CALLERS)  # of fifteen calls a caller
    cluster.read_until(lambda found: rows(found.batches) >= 15 * len(CALLERS) + listener)

    cluster.workers.clear()  # nobody starts again what ends now
    newer = cluster.worker("c", "--config", "next.toml")
    newer.program = NEXT_RELEASE
    newer.kill()
    newer.start()
    told = "what is written in this cluster has format=3, this release reads 1 to 2: upgrade it"
    wait_for_text(cluster.folder / "a.log", told)
    wait_for_text(cluster.folder / "b.log", told)
    assert [ended(old) for old in (one, other)] == [1, 1]
    cluster.produce(calls(3))
    cluster.wait_until_owned(1)
    one.start()
    assert ended(one) == 1, "it does not even join"
    assert one.log.splitlines()[-1] == f"opportune worker: {told}"
    assert "next.toml" not in cluster.command("status", "--cluster", "--once").stderr

    monkeypatch.setattr(formats, "FORMAT", 3)
    books = {
        book.version: compile_book(book) for book in (load_book(cluster.folder / name) for name in ("book", "next"))
    }
    frames = frames_of(cluster.broker.bootstrap, books)
    expected = folded_at_once(frames, books)
    found = cluster.read_until(lambda reader: rows(reader.batches) >= rows(expected)).batches
    assert rows(expected) > 20 * len(CALLERS)
    assert records_of(found) == records_of(expected)
    assert {(partition, batch.position) for partition, batch in found} == {
        (partition, batch.position) for partition, batch in expected
    }
    for log in frames.values():
        assert sum(frame.kind == FrameKind.ACTIVATION for _, frame in log) == 2
