"""What does the cluster cost, from a raw topic to the decisions topic? A real broker, same machine.

1. single records, by one worker and by two that do both, and by an intake and a decide worker: what each agent costs;
2. blocks of lines in place of single records, by one worker;
3. frames that already stand in the log, by a decide worker alone;
4. some of the events to an agent with a Table, as one writes Faust at first, for a small part of the work: the ratio.

Workers own their partitions and are stopped (SIGSTOP) while a topic is filled, so that nothing of their start and
nothing of the filling is counted. `bench_failover` and `bench_cluster_latency` ask how long things take.
"""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perf import books
from perf.lines import Feed, blocks
from perf.measure import arguments, wait, workplace
from perf.report import keep, table
from tests.parts.kafka.rig import make_topic, partition_of_line
from tests.parts.kafka.workers import RAW_PARTITIONS, Cluster, Worker, cluster_on

SESSION_MS = 60_000
PLAIN_EVENTS, QUICK_PLAIN_EVENTS = 20_000, 2_000
BLOCK_LINES = 500
ROOT = Path(__file__).resolve().parents[1]

Agents = Mapping[str, str]
"""The agents of each worker, by its name; the first one decides."""
BOTH, TWO = {"a": "intake,decide"}, {"a": "intake,decide", "b": "intake,decide"}
SPLIT = {"decide": "decide", "intake": "intake"}


def main() -> None:
    """Measure and report."""
    given = arguments(__doc__, events=2_000_000, subscribers=400_000, quick_events=100_000, quick_subscribers=5_000)
    lines = b"".join(bytes(block) for block in blocks(Feed(given.subscribers), given.events)).splitlines()
    measures: dict[str, Measure] = {
        "one_worker": lambda cluster: single(cluster, lines, BOTH),
        "two_workers": lambda cluster: single(cluster, lines, TWO),
        "split": lambda cluster: single(cluster, lines, SPLIT),
        "blocks": lambda cluster: in_blocks(cluster, lines),
        "frames": lambda cluster: frames(cluster, lines),
        "plain_faust": lambda cluster: plain(cluster, lines[: QUICK_PLAIN_EVENTS if given.quick else PLAIN_EVENTS]),
    }
    wanted = ("one_worker", "frames", "plain_faust") if given.quick else tuple(measures)
    figures = {name: on_cluster(measures[name], blocks=name == "blocks") for name in wanted}
    print(said(figures))
    keep("cluster", {"events": given.events, "subscribers": given.subscribers, **figures}, path=given.results)


Measure = Callable[[Cluster], dict[str, Any]]


def on_cluster(measure: Measure, *, blocks: bool) -> dict[str, Any]:
    """Measure on a broker and topics of their own."""
    settings = {"recovery_target_s": 10, "session_timeout_ms": SESSION_MS, "blocks": blocks}
    with workplace() as folder, cluster_on(folder, books.small(), **settings) as cluster:
        return measure(cluster)


def single(cluster: Cluster, lines: list[bytes], agents: Agents) -> dict[str, Any]:
    """Let workers loose on a topic of single records."""
    workers = stopped(cluster, agents)
    cluster.produce(lines)
    return let_loose(cluster, workers, len(lines))


def in_blocks(cluster: Cluster, lines: list[bytes]) -> dict[str, Any]:
    """Let a worker loose on a topic of blocks; each holds lines of one raw partition."""
    workers = stopped(cluster, BOTH)
    parted: list[list[bytes]] = [[] for _ in range(RAW_PARTITIONS)]
    for line in lines:
        parted[partition_of_line(line, RAW_PARTITIONS)].append(line)
    longest = max(map(len, parted))
    records = [part[at : at + BLOCK_LINES] for at in range(0, longest, BLOCK_LINES) for part in parted]
    cluster.produce_blocks(b"\n".join(record) for record in records)
    return let_loose(cluster, workers, len(lines))


def frames(cluster: Cluster, lines: list[bytes]) -> dict[str, Any]:
    """Let a decide worker loose on the frames that an intake has written before."""
    deciding, packing = stopped(cluster, SPLIT)
    cluster.produce(lines)
    packing.signal(signal.SIGCONT)
    wait("every event is packed", lambda: cluster.packed(packing) >= len(lines), 600)
    packing.kill()
    return let_loose(cluster, [deciding], len(lines))


def stopped(cluster: Cluster, agents: Agents) -> list[Worker]:
    """Start workers and stop them when all is assigned."""
    started = [cluster.worker(name, "--agents", some) for name, some in agents.items()]
    cluster.wait_until_owned(sum("decide" in some for some in agents.values()), 120)
    wait("every worker answers", lambda: all(cluster.status(one) for one in started), 120)
    time.sleep(2)  # the intake's group has assigned its partitions
    for one in started:
        one.signal(signal.SIGSTOP)
    return started


def let_loose(cluster: Cluster, workers: list[Worker], events: int) -> dict[str, Any]:
    """Let workers go on and count until all is folded."""
    began, cpu, broker = time.monotonic(), [one.cpu_s() for one in workers], cluster.broker.cpu_s()
    for one in workers:
        one.signal(signal.SIGCONT)
    wait(f"{events} events are folded", lambda: sum(map(cluster.folded, workers)) >= events, 600)
    seconds, millions = time.monotonic() - began, events / 1e6
    return {
        "events_per_s": events / seconds,
        "cpu_s_per_million": {one.name: (one.cpu_s() - was) / millions for one, was in zip(workers, cpu, strict=True)},
        "broker_cpu_s_per_million": (cluster.broker.cpu_s() - broker) / millions,
    }


def plain(cluster: Cluster, lines: list[bytes]) -> dict[str, Any]:
    """Give some of the events to plain Faust; return what it costs."""
    cluster.produce(lines)
    asyncio.run(make_topic(cluster.broker.bootstrap, "plain-counts-changelog", RAW_PARTITIONS))
    command = [sys.executable, str(ROOT / "perf" / "plain_faust.py"), cluster.broker.bootstrap, "raw"]
    done = subprocess.run(
        [*command, str(cluster.folder / "plain"), str(len(lines))],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    cpu, rate = done.stdout.split()[-2:]
    return {"cpu_s_per_million": float(cpu), "events_per_s": float(rate)}


def said(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    rows = []
    for name, one in figures.items():
        if name != "plain_faust":
            parts = one["cpu_s_per_million"]
            cpu = " + ".join(f"{part} {cost:.2f}" for part, cost in parts.items())
            rows.append([name, f"{one['events_per_s']:,.0f}", cpu, f"{one['broker_cpu_s_per_million']:.2f}"])
    text = table(["", "events/s", "worker CPU-s/M", "broker CPU-s/M"], rows)
    rest = figures["plain_faust"]
    ratio = rest["cpu_s_per_million"] / sum(figures["one_worker"]["cpu_s_per_million"].values())
    costs = f"{rest['cpu_s_per_million']:.0f} CPU-s/M, {rest['events_per_s']:,.0f} events/s"
    return f"{text}\nplain Faust: {costs}: {ratio:.0f} times as much"


if __name__ == "__main__":
    main()
