"""What does the cluster cost, from a raw topic of single records to the decisions topic? A real broker, same machine.

1. one worker with both agents on a full raw topic: events a second, CPU-seconds a million in worker and broker;
2. the same split into an intake worker and a decide worker: what each costs (decide is the frames path);
3. some of the events to an agent with a Table, as one writes Faust at first, for a small part of the work: the ratio;
4. failover: a worker is killed with -9 while events come, until the first decision of each partition that moved.

Workers own their partitions and are stopped (SIGSTOP) while the raw topic is filled, so that nothing of their start and
nothing of the filling is counted.
"""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perf import books
from perf.lines import Feed, blocks
from perf.measure import arguments, workplace
from perf.report import keep, table
from tests.parts.kafka.broker import Broker
from tests.parts.kafka.rig import Reader, make_topic
from tests.parts.kafka.workers import PARTITIONS, RAW_PARTITIONS, Cluster

LOOK_S = 0.05
SESSION_MS = 6_000
PLAIN_EVENTS = 20_000
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure and report."""
    given = arguments(__doc__, events=2_000_000, subscribers=400_000, quick_events=100_000, quick_subscribers=5_000)
    lines = b"".join(bytes(block) for block in blocks(Feed(given.subscribers), given.events)).splitlines()
    figures = {
        "events": given.events,
        "subscribers": given.subscribers,
        "one_worker": on_cluster(lambda cluster: throughput(cluster, lines, ["intake,decide"]), 60_000),
        "two_workers": on_cluster(lambda cluster: throughput(cluster, lines, ["decide", "intake"]), 60_000),
        "plain_faust": on_cluster(lambda cluster: plain(cluster, lines), SESSION_MS),
        "failover": on_cluster(lambda cluster: failover(cluster, lines), SESSION_MS),
    }
    print(said(figures))
    keep("cluster", figures, path=given.results)


def on_cluster(measure: Callable[[Cluster], dict[str, Any]], session_timeout_ms: int) -> dict[str, Any]:
    """Measure on a broker and topics of their own."""
    with workplace() as folder:
        broker = Broker(folder / "kafka")
        broker.start()
        cluster = Cluster(
            folder / "cluster", broker, books.small(), recovery_target_s=10, session_timeout_ms=session_timeout_ms
        )
        try:
            return measure(cluster)
        finally:
            cluster.close()
            broker.kill()


def throughput(cluster: Cluster, lines: list[bytes], agents: list[str]) -> dict[str, Any]:
    """Let workers loose on a full raw topic and count until all is folded; the first of them decides."""
    started = [cluster.worker(some.replace(",", "-"), "--agents", some) for some in agents]
    cluster.wait_until_owned(1, 120)
    wait(lambda: all(cluster.status(one) for one in started), 120)
    time.sleep(2)  # the intake's group has assigned its partitions
    for one in started:
        one.signal(signal.SIGSTOP)
    cluster.produce(lines)
    began, cpu, broker = time.monotonic(), [one.cpu_s() for one in started], cluster.broker.cpu_s()
    for one in started:
        one.signal(signal.SIGCONT)
    wait(lambda: cluster.folded(started[0]) >= len(lines), 600)
    seconds, millions = time.monotonic() - began, len(lines) / 1e6
    return {
        "events_per_s": len(lines) / seconds,
        "cpu_s_per_million": {one.name: (one.cpu_s() - was) / millions for one, was in zip(started, cpu, strict=True)},
        "broker_cpu_s_per_million": (cluster.broker.cpu_s() - broker) / millions,
    }


def plain(cluster: Cluster, lines: list[bytes]) -> dict[str, Any]:
    """Give some of the events to plain Faust; return what it costs."""
    some = lines[:PLAIN_EVENTS]
    cluster.produce(some)
    asyncio.run(make_topic(cluster.broker.bootstrap, "plain-counts-changelog", RAW_PARTITIONS))
    command = [sys.executable, str(ROOT / "perf" / "plain_faust.py"), cluster.broker.bootstrap, "raw"]
    done = subprocess.run(
        [*command, str(cluster.folder / "plain"), str(len(some))],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    cpu, rate = done.stdout.split()[-2:]
    return {"cpu_s_per_million": float(cpu), "events_per_s": float(rate)}


def failover(cluster: Cluster, lines: list[bytes]) -> dict[str, Any]:
    """Kill one of two workers while events come; return the longest wait of a partition that it had."""
    workers = [cluster.worker("a"), cluster.worker("b")]
    cluster.wait_until_owned(2, 120)
    part = len(lines) // 100
    for step in range(20):
        cluster.produce(lines[step * part : (step + 1) * part])
    wait(lambda: sum(cluster.folded(one) for one in workers) >= 20 * part, 120)
    moved = {int(number) for number in cluster.status(workers[0])["partitions"]}

    async def first_decisions() -> dict[int, float]:
        reader = await Reader(cluster.broker.bootstrap, "opportune.decisions", PARTITIONS).start()
        await reader.until_quiet()
        before = dict(reader.reached)
        workers[0].signal(signal.SIGKILL)
        killed, seen, step = time.monotonic(), {}, 20
        while set(seen) < moved and time.monotonic() - killed < 60:
            await asyncio.to_thread(cluster.produce, lines[step * part : (step + 1) * part])
            step += 1
            await reader.poll()
            for number in moved - set(seen):
                if reader.reached[number] > before[number]:
                    seen[number] = time.monotonic() - killed
        await reader.stop()
        return seen

    seen = asyncio.run(first_decisions())
    assert set(seen) == moved, f"partitions without a decision: {moved - set(seen)}"
    return {
        "session_timeout_s": SESSION_MS / 1000,
        "first_s": min(seen.values()),
        "last_s": max(seen.values()),
        "moved": len(moved),
    }


def wait(done: Callable[[], bool], seconds: float) -> None:
    """Wait until `done` says so."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not done after {seconds} s"
        time.sleep(LOOK_S)


def said(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    rows = []
    for name in ("one_worker", "two_workers"):
        one = figures[name]
        cpu = ", ".join(f"{part} {cost:.2f}" for part, cost in one["cpu_s_per_million"].items())
        rows.append([name, f"{one['events_per_s']:,.0f}", cpu, f"{one['broker_cpu_s_per_million']:.2f}"])
    text = table(["", "events/s", "worker CPU-s/M", "broker CPU-s/M"], rows)
    rest, moved = figures["plain_faust"], figures["failover"]
    ratio = rest["cpu_s_per_million"] / sum(figures["one_worker"]["cpu_s_per_million"].values())
    costs = f"{rest['cpu_s_per_million']:.0f} CPU-s/M, {rest['events_per_s']:,.0f} events/s"
    text += f"\nplain Faust: {costs}: {ratio:.0f} times as much"
    return f"{text}\nfailover: first decision after {moved['first_s']:.1f} s, last partition {moved['last_s']:.1f} s"


if __name__ == "__main__":
    main()
