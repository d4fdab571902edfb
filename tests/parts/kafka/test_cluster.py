"""The cluster on a real Kafka: what three workers decide, and what becomes of it when they die.

The judge is the embedded engine, which has decided the same lines; nothing of the cluster's own reading is used. Every
field is compared but those that the log gives: position, row and the time of appending.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from perf import books
from perf.lines import Feed, blocks
from rules.gates import Gate
from state.decisions import DecisionBatch
from state.hashing import stable_id
from tests.parts.kafka.rig import records_of
from tests.parts.kafka.workers import PARTITIONS, Cluster, cluster_on, decided_embedded, rows
from tests.parts.prometheus_server import Prometheus

pytestmark = [pytest.mark.parts, pytest.mark.slow]

EVENTS = 200_000
SUBSCRIBERS = 4_000


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return b"".join(bytes(block) for block in blocks(Feed(SUBSCRIBERS), EVENTS)).splitlines()


@pytest.fixture(scope="module")
def expected(lines: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, DecisionBatch]]:
    return decided_embedded(tmp_path_factory.mktemp("embedded"), books.small(), lines)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with cluster_on(tmp_path, books.small()) as made:
        yield made


def rules_of(batches: list[tuple[int, DecisionBatch]]) -> set[int]:
    """Return the rules that have records."""
    return {rule for _, batch in batches for rule in batch.rule.tolist()}


def same(found: list[tuple[int, DecisionBatch]], expected: list[tuple[int, DecisionBatch]]) -> None:
    """Compare every record; a difference is told by numbers, not by a million lines."""
    assert rows(expected) > 1000
    left, right = records_of(found), records_of(expected)
    lacking, odd = set(right) - set(left), set(left) - set(right)
    assert (len(left), len(lacking), len(odd)) == (len(right), 0, 0), [*list(lacking)[:2], *list(odd)[:2]]


def test_three_workers_decide_what_one_machine_decides(
    tmp_path: Path, cluster: Cluster, lines: list[bytes], expected: list[tuple[int, DecisionBatch]]
) -> None:
    cluster.produce(lines[: EVENTS // 2])
    workers = [cluster.worker(name) for name in ("a", "b", "c")]
    cluster.produce(lines[EVENTS // 2 :])
    cluster.produce_to("opportune.log", [b"no frame"] * PARTITIONS)

    reader = cluster.read_until(lambda one: rows(one.batches) >= rows(expected))

    same(reader.batches, expected)
    printed = cluster.command("decisions", "--cluster", "--format", "ndjson").stdout.splitlines()
    assert len({json.loads(line)["id"] for line in printed}) == len(printed) == rows(expected)
    with Prometheus(tmp_path / "prometheus", [cluster.port(worker) for worker in workers]) as prometheus:
        prometheus.wait_for("sum(up)", 3)
        prometheus.wait_for("sum(opportune_events_total)", EVENTS)
        prometheus.wait_for("count(opportune_subscribers)", PARTITIONS)
        prometheus.wait_for("sum(opportune_lag_frames)", 0)
    assert [worker.stop() for worker in workers] == [0, 0, 0], workers[0].log


def test_a_rule_that_is_paused_stops_in_every_partition_within_a_second(
    cluster: Cluster, lines: list[bytes], expected: list[tuple[int, DecisionBatch]]
) -> None:
    workers = [cluster.worker(name) for name in ("a", "b")]
    cluster.wait_until_owned(2)
    cluster.produce(lines[: EVENTS // 4])
    before = cluster.read_until(lambda one: rows(one.batches) > 100 and len(rules_of(one.batches)) > 1)
    name, number = "r0000", stable_id("r0000")
    assert number in rules_of(before.batches)

    paused = cluster.command("pause", "rule", name, "--data", "b")
    assert paused.returncode == 0, paused.stderr
    time.sleep(1.0)
    cluster.produce(lines[EVENTS // 4 : EVENTS // 2])
    after = cluster.read_until(lambda one: rows(one.batches) > 1.6 * rows(before.batches))

    later = [batch for number, batch in after.batches if batch.position > before.reached[number]]
    gates = np.concatenate([batch.gate[batch.rule == number] for batch in later])
    assert gates.shape[0] > 10
    assert set(gates.tolist()) == {Gate.PAUSED}
    assert cluster.command("pause", "rule", "r9999", "--data", "b").stderr.endswith("is not in the book\n")
    assert [worker.stop() for worker in workers] == [0, 0]
