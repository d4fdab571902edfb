"""Status: a live table of the running engine, or of a cluster."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.commands.shared.error import CommandError

if TYPE_CHECKING:
    from engine.serve.status import Status
    from engine.settings.config import Config

HELP = "Show a live table of the running engine or the cluster; --once prints it once."
CLUSTER_S = 5.0
"""Asking brokers costs more than asking an engine: they are asked less often."""
CLEAR = "\x1b[H\x1b[2J"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the ways of showing."""
    parser.add_argument("--once", action="store_true", help="print the table once and end")
    parser.add_argument("--cluster", action="store_true", help="of the cluster, as its brokers know it")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Show the table until interrupted."""
    import asyncio

    import orjson

    from engine.commands.shared.client import ask
    from engine.settings.reading import load_config
    from state.visible import visible, visible_json

    config = load_config(args.config)
    before: Status | None = None
    while True:
        status = asyncio.run(_of_cluster(config)) if args.cluster else ask(config, "/status")
        if "agents" in status and args.format == "table":
            raise CommandError("a worker runs here; opportune status --cluster tells of all of them")
        if args.format == "json":
            sys.stdout.write(visible_json(orjson.dumps(status).decode()) + "\n")
        else:
            lines = _cluster_table(status) if args.cluster else _table(status, before)
            text = "\n".join(map(visible, lines)) + "\n"
            sys.stdout.write(text if args.once else CLEAR + text)
        sys.stdout.flush()
        if args.once:
            return 0
        before = status
        time.sleep(max(config.metrics.status_ms / 1000, CLUSTER_S if args.cluster else 0))


async def _of_cluster(config: Config) -> Status:
    from engine.runtimes.cluster.ask.overview import overview

    return await overview(config)


def _cluster_table(status: Status) -> Iterator[str]:
    book, dead = status["book"], status["dead_letters"]
    yield f"book {book['version'] or 'none'}, {book['rules']} rules   workers {len(status['workers'])}"
    yield f"dead letters {dead['waiting']:,} waiting, {dead['replayed']:,} replayed"
    for name, title, lag, whose in (
        ("partitions", "partition", "uncommitted", "owner"),
        ("raw", "raw topic", "uncommitted", "packed by"),
        ("sending", "decisions", "waiting", "sent by"),
    ):
        if status[name]:
            yield ""
            yield f"{title:<28} {'first':>12} {'end':>12} {lag:>12}  {whose}"
        for one in status[name]:
            place = f"{one['topic']}/{one['partition']}"
            owner = f"{one['owner']} at {one['host']}" if one["owner"] else "NOBODY"
            yield f"{place:<28} {one['first']:>12,} {one['end']:>12,} {one[lag]:>12,}  {owner}"


def _table(status: Status, before: Status | None) -> Iterator[str]:
    rate = status["events_per_s"]
    if before is not None and status["uptime_s"] > before["uptime_s"]:
        rate = (status["events"] - before["events"]) / (status["uptime_s"] - before["uptime_s"])
    latency = status["latency_ms"]
    dead = status["dead_letters"]
    yield f"up {status['uptime_s']:.0f} s   events {status['events']:,}   {rate:,.0f}/s   dead letters {dead:,}"
    yield (
        f"event to decision p50 <= {latency['event_to_decision_p50']:.0f} ms, "
        f"p99 <= {latency['event_to_decision_p99']:.0f} ms   queued {status['queued_bytes']:,} bytes"
    )
    if status["dedupe_reach_s"] < status["dedupe_window_s"]:
        yield (
            f"DOUBLED IDS ARE KNOWN FOR {status['dedupe_reach_s']:,.0f} s, not for {status['dedupe_window_s']:,.0f}: "
            "state.dedupe_ids_max holds no more"
        )
    book = status["book"]
    yield f"book {book['version']}, {book['rules']} rules" + ("   THE BOOK ON DISK IS BAD" if book["fault"] else "")
    yield from book["fault"].splitlines()[:12]
    yield from (f"HISTORY STARTS ANEW: feature {name}" for name in book.get("renewed", ()))
    yield ""
    yield f"{'partition':>9} {'log':>10} {'journal':>9} {'redo':>9} {'dirty':>8} {'subscribers':>12} {'sleeping':>9}"
    for number, one in enumerate(status["partitions"]):
        yield (
            f"{number:>9} {one['log']:>10,} {one['journal']:>9,} {one['redo_distance']:>9,} {one['dirty_pages']:>8,} "
            f"{one['subscribers']:>12,} {one['sleeping']:>9,}"
        )
    yield ""
    yield f"{'rule':<34}{'decided':>9}  stopped by"
    for rule, gates in sorted(status["decisions"].items(), key=lambda item: -item[1].get("decided", 0))[:20]:
        stopped = ", ".join(f"{gate} {count:,}" for gate, count in gates.items() if gate != "decided")
        yield f"{rule:<34}{gates.get('decided', 0):>9,}  {stopped}"
    for name in ("dispatch", "desk"):
        if name in status:
            yield f"{name}: " + ", ".join(f"{key} {value}" for key, value in status[name].items() if value != "")
    for name, figures in status["gateways"].items():
        yield f"gateway {name}: " + ", ".join(f"{key} {value}" for key, value in figures.items() if value != "")
    for name, figures in status["sources"].items():
        yield from (f"NOT READ, source {name}: {fault}" for fault in figures.get("faults", ()))
    for word in ("paused", "killed"):
        for kind, name in status[word]:
            yield f"{word.upper()}: {kind} {name}"
