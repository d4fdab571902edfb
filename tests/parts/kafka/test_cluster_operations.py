"""What operators ask of a cluster on a real Kafka, and tell it: why, dead letters, lists, status, lost frames.

One cluster for all of it, because a broker and its workers take long to start; each step has subscribers of its own.
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import NotLeaderForPartitionError

from engine.runtimes.cluster.shared.publisher import BOOK_BYTES_MAX
from state.hashing import partition_of
from tests.engine.world import BOOK, call, line
from tests.parts.kafka.workers import (
    PARTITIONS,
    ROOT,
    START,
    Cluster,
    cluster_on,
    decided_embedded,
    rows,
    wait_for_text,
)

pytestmark = [pytest.mark.parts, pytest.mark.slow]

LISTS = '\n[lists.do-not-disturb]\nexcludes = "commercial"\n'
NOW_MS = int(time.time() * 1000) - 600_000
CALLERS = range(8613800000001, 8613800000013)
MARKS = 3
"""Offsets that the transactions of two replays take in a raw partition: a line given up and the ends of both."""
DIES_BEFORE_COMMIT = "import os, aiokafka; aiokafka.AIOKafkaProducer.commit_transaction = lambda _: os._exit(9); "


def calls(subscriber: int, count: int, start: int = 0) -> list[bytes]:
    return [call(subscriber, NOW_MS + (start + index) * 1000, seconds=120).strip() for index in range(count)]


LINES = [one for group in zip(*(calls(who, 7) for who in CALLERS), strict=True) for one in group]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with cluster_on(tmp_path, {"book.toml": BOOK + LISTS}, recovery_target_s=10.0) as made:
        made.worker("a")
        made.worker("b")
        made.produce(LINES)
        made.wait_until_owned(2, 180)  # the first test of a release compiles every kernel
        yield made


def until(asked: Callable[[], Any], wanted: Callable[[Any], object], seconds: float = 30.0) -> Any:
    """Ask until the answer is the wanted one."""
    deadline = time.monotonic() + seconds
    while not wanted(found := asked()):
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    return found


def why(cluster: Cluster, subscriber: int) -> list[dict[str, Any]]:
    done = cluster.command("why", str(subscriber), "--cluster", "--format", "ndjson")
    assert done.returncode == 0, done.stderr
    return [json.loads(one) for one in done.stdout.splitlines()]


def gates(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(one["rule"], one["gate"], one.get("detail")) for one in records]


def why_tells_from_the_topics_what_it_tells_on_one_machine(tmp_path: Path, cluster: Cluster) -> None:
    expected = rows(decided_embedded(tmp_path, {"book.toml": BOOK + LISTS}, LINES))
    cluster.read_until(lambda one: rows(one.batches) >= expected)
    (tmp_path / "config.toml").write_text(f'[data]\ndirectory = "{tmp_path / "data"}"\npartitions = {PARTITIONS}\n')

    def told(*words: str) -> str:
        out = cluster.command("why", *words).stdout
        assert "long-care: decided on sms\n    facts: kind = long, long_calls = 1, name = unknown\n" in out
        return re.sub(r", id \S+\n", "\n", out)

    for who in (CALLERS[0], CALLERS[-1]):
        assert told(str(who), "--cluster") == told(f"+{who}", "--config", str(tmp_path / "config.toml"))
    assert (
        cluster.command("why", "8613899999999", "--cluster").stdout == "8613899999999: no rule was ever a candidate\n"
    )


def a_dead_letter_is_listed_edited_and_put_back_once_also_when_the_replay_dies(
    tmp_path: Path, cluster: Cluster
) -> None:
    whole, lost = 8613800000100, 8613800000101
    broken = [
        line(type="cal", msisdn=whole, time=NOW_MS, kind="long", seconds=60).strip(),
        line(type="call", msisdn=lost, time=NOW_MS, kind=7, seconds=60).strip(),
    ]
    cluster.produce(broken)
    listed = until(
        lambda: cluster.command("dead", "list", "--cluster").stdout, lambda found: found.count("\n") == 2
    ).splitlines()
    assert any(re.match(r"raw/\d@\d+\.0  feed  raw/\d:1  unknown_type  type='cal'  ", one) for one in listed), listed
    letters = [
        json.loads(one)
        for one in cluster.command("dead", "list", "--cluster", "--format", "ndjson").stdout.split("\n")
        if one
    ]
    file = tmp_path / "letters.ndjson"
    file.write_text(
        "".join(
            json.dumps(one | {"raw": one["raw"].replace('"cal"', '"call"')}) + "\n"
            for one in letters
            if 'cal"' in one["raw"]
        )
    )
    replay = ["dead", "replay", "--cluster", "--edited", str(file)]

    killed = subprocess.run(
        [sys.executable, "-c", DIES_BEFORE_COMMIT + START, *replay],
        cwd=cluster.folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert killed.returncode == 9
    assert len(cluster.command("dead", "list", "--cluster").stdout.splitlines()) == 2, "it left nothing behind"
    assert cluster.command(*replay).stdout == "feed: 1 lines handed over\n"
    assert cluster.command(*replay).stdout == "nothing to replay\n"

    assert gates(until(lambda: why(cluster, whole), len)) == [("long-care", None, None)]
    everything = cluster.command("dead", "list", "--cluster", "--all").stdout.splitlines()
    assert [one.endswith("  replayed") for one in everything if "unknown_type" in one] == [True]
    assert "unknown_type" not in cluster.command("dead", "list", "--cluster").stdout
    assert gates(why(cluster, whole)) == [("long-care", None, None)]


def who_is_put_on_a_list_by_any_worker_is_left_alone_from_then_on(tmp_path: Path, cluster: Cluster) -> None:
    listed, free = 8613800000200, 8613800000201
    file = tmp_path / "numbers.txt"
    file.write_text(f"+{listed}\n\n")

    done = cluster.command("lists", "add", "do-not-disturb", "--file", str(file), "--data", "b")
    assert done.stdout == "1 subscribers are on the list do-not-disturb\n", done.stderr
    cluster.produce(calls(listed, 1) + calls(free, 1))
    until(lambda: why(cluster, free), len)
    assert gates(until(lambda: why(cluster, listed), len)) == [("long-care", "list", "do-not-disturb")]

    unknown = cluster.command("lists", "add", "do-not-distrub", str(listed), "--data", "b")
    assert unknown.stderr.endswith("list='do-not-distrub' is not in the book; did you mean `do-not-disturb`?\n")
    assert cluster.command("lists", "remove", "do-not-disturb", str(listed), "--data", "a").returncode == 0
    cluster.produce(calls(listed, 1, start=5))
    assert gates(until(lambda: why(cluster, listed), lambda found: len(found) == 2))[1] == ("long-care", None, None)


def status_tells_owners_lags_book_and_dead_letters_from_the_brokers(cluster: Cluster) -> None:
    def asked() -> dict[str, Any]:
        status: dict[str, Any] = json.loads(cluster.command("status", "--cluster", "--once", "--format", "json").stdout)
        return status

    status = until(asked, lambda found: all(one["owner"] for one in found["partitions"]))
    assert all(0 <= one["uncommitted"] <= one["end"] - one["first"] for one in status["partitions"]), status
    assert all(0 <= one["uncommitted"] <= MARKS for one in status["raw"]), status["raw"]
    assert status["sending"] == [], "nobody ever sent here"

    assert [one["partition"] for one in status["partitions"]] == list(range(PARTITIONS))
    assert {one["owner"].rpartition("/")[2] for one in status["partitions"]} == {"a", "b"}
    assert len(status["raw"]) == 4
    assert status["dead_letters"] == {"waiting": 1, "replayed": 1}
    assert status["book"]["rules"] == 3
    table = cluster.command("status", "--cluster", "--once").stdout
    assert re.search(r"^opportune\.log/7 +0 +[\d,]+ +\d+  \S+/[ab] at 127\.0\.0\.1$", table, re.MULTILINE), table


def a_book_of_megabytes_is_published_and_one_that_fits_no_record_is_refused(cluster: Cluster) -> None:
    before = cluster.status(cluster.workers[0])["book"]
    padding = cluster.folder / "book" / "padding.toml"
    padding.write_text(f"# {'x' * (BOOK_BYTES_MAX - 100_000)}\n")
    told = until(lambda: {cluster.status(one)["book"] for one in cluster.workers}, lambda books: before not in books)
    assert len(told) == 1

    padding.write_text(f"# {'x' * BOOK_BYTES_MAX}\n")
    wait_for_text(cluster.folder / "a.log", f"of its texts must be <= {BOOK_BYTES_MAX}")
    assert {cluster.status(one)["book"] for one in cluster.workers} == told
    padding.unlink()
    until(lambda: {cluster.status(one)["book"] for one in cluster.workers}, {before}.__eq__)


def an_outage_of_the_broker_is_told_in_a_line_or_two_and_its_end_in_another(cluster: Cluster) -> None:
    log = cluster.folder / "a.log"
    cluster.restart_broker()

    def held_back(lines: str) -> int:
        return sum(int(count) for count in re.findall(r"; (\d+) lines were held back", "\n".join(lines)))

    lines = until(lambda: log.read_text(encoding="utf-8").splitlines(), lambda lines: held_back(lines) > 20)
    assert [one for one in lines if " aiokafka." in one and ("Unable" in one or "Failed fetch" in one)] == []
    assert sum("does not answer" in one for one in lines) < 8, "also those of a busy machine"
    cluster.supervise()


async def delete_before(bootstrap: str, partition: int, position: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        for _ in range(50):  # delete_records asks nobody for a topic's leader
            await admin._client.set_topics(["opportune.log"])
            with contextlib.suppress(NotLeaderForPartitionError):
                await admin.delete_records({TopicPartition("opportune.log", partition): RecordsToDelete(position)})
                return
            await asyncio.sleep(0.2)
        raise AssertionError("opportune.log has no leader after ten seconds")
    finally:
        await admin.close()


def a_partition_whose_frames_kafka_deleted_too_early_is_held_and_the_others_go_on(cluster: Cluster) -> None:
    lost, kept = CALLERS[0], next(who for who in CALLERS if partition_of(who, 8) != partition_of(CALLERS[0], 8))
    hole = partition_of(lost, PARTITIONS)
    one, other = cluster.workers
    one.kill()
    other.kill()
    cluster.workers.remove(other)
    asyncio.run(delete_before(cluster.broker.bootstrap, hole, 3))

    one.start()
    wait_for_text(
        cluster.folder / "a.log",
        f"PARTITION {hole} IS NOT DECIDED: partition {hole} needs opportune.log from position 0 on, the first that "
        "Kafka still has is 3: 3 positions are deleted",
    )
    cluster.produce(calls(lost, 1, start=90) + calls(kept, 1, start=90))
    before = len(why(cluster, lost))
    until(lambda: why(cluster, kept), lambda found: len(found) > 7)
    assert len(why(cluster, lost)) == before
    assert str(hole) in cluster.status(one)["held"]
    assert f'opportune_missing_frames{{partition="{hole}"}} 3.0' in cluster.page(one, "/metrics").decode()

    one.kill()
    config = cluster.folder / "config.toml"
    config.write_text(config.read_text().replace("[cluster]", '[cluster]\nmissing_frames = "skip"'))
    one.start()
    wait_for_text(cluster.folder / "a.log", "going on without them, as cluster.missing_frames says")
    cluster.wait_until_owned(1)
    time.sleep(1.0)  # its book's activation went with the deleted frames; a new one stands after them by now
    cluster.produce(calls(lost, 1, start=95))
    until(lambda: why(cluster, lost), lambda found: len(found) > before)


def test_operators_ask_a_cluster_and_tell_it(tmp_path: Path, cluster: Cluster) -> None:
    why_tells_from_the_topics_what_it_tells_on_one_machine(tmp_path, cluster)
    a_dead_letter_is_listed_edited_and_put_back_once_also_when_the_replay_dies(tmp_path, cluster)
    who_is_put_on_a_list_by_any_worker_is_left_alone_from_then_on(tmp_path, cluster)
    status_tells_owners_lags_book_and_dead_letters_from_the_brokers(cluster)
    a_book_of_megabytes_is_published_and_one_that_fits_no_record_is_refused(cluster)
    an_outage_of_the_broker_is_told_in_a_line_or_two_and_its_end_in_another(cluster)
    a_partition_whose_frames_kafka_deleted_too_early_is_held_and_the_others_go_on(cluster)
