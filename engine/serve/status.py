"""What an engine says about itself: one plain dict for `/status`, the live table and the summary of a drained run."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import Counter

from engine.flow.core import Core
from engine.flow.pipeline import Pipeline

Status = dict[str, Any]


class StatusBoard:
    """Gathers figures from the parts of an engine.

    Args:
        core, pipeline: of the engine.
        fault: the fault of the book on disk, empty when it is good.
        doors: figures of dispatch and desk by name, read when somebody asks.
    """

    def __init__(self, core: Core, pipeline: Pipeline, fault: Callable[[], str]) -> None:
        self._core = core
        self._pipeline = pipeline
        self._fault = fault
        self._began_s = time.monotonic()
        self.doors: dict[str, Callable[[], Mapping[str, Any]]] = {}

    def read(self) -> Status:
        """Return the figures of now."""
        core, decider = self._core, self._core.partitions[0].decider
        active = core.active
        uptime_s = time.monotonic() - self._began_s
        flowed_s = time.monotonic() - core.first_s if core.first_s else 0.0
        repeated = sum(partition.counts.repeated for partition in core.partitions)
        events = int(_total(core.metrics.events)) - repeated
        return {
            "uptime_s": round(uptime_s, 3),
            "book": {
                "version": active.book.version if active else "",
                "rules": len(active.book.rules) if active else 0,
                "fault": self._fault(),
                "renewed": list(core.renewed),
            },
            "recovery": {
                "seconds": round(core.recovery.seconds, 3),
                "subscribers": core.recovery.subscribers,
                "refolded": core.recovery.refolded,
            },
            "events": events,
            "dedupe_reach_s": min(partition.dedupe.reach_ms for partition in core.partitions) / 1000,
            "dedupe_window_s": core.config.state.dedupe_window_s,
            "doubled": sum(partition.counts.doubled for partition in core.partitions),
            "events_per_s": round(events / flowed_s, 1) if flowed_s else 0.0,
            "flowed_s": round(flowed_s, 3),
            "dead_letters": int(_total(core.metrics.dead)),
            "queued_bytes": self._pipeline.queued_bytes,
            "latency_ms": {
                "event_to_decision_p50": core.metrics.to_decision.quantile(0.5) * 1000,
                "event_to_decision_p99": core.metrics.to_decision.quantile(0.99) * 1000,
            },
            "decisions": decisions_of(core),
            "outcomes": outcomes_of(core),
            "partitions": [self._partition(number) for number in range(len(core.partitions))],
            "paused": [list(name) for name in sorted(decider.paused - decider.killed)],
            "killed": [list(name) for name in sorted(decider.killed)],
            **{name: dict(read()) for name, read in self.doors.items()},
        }

    def _partition(self, number: int) -> Status:
        partition = self._core.partitions[number]
        return {
            "log": partition.log.next_position,
            "journal": partition.journal.next_position,
            "redo_distance": partition.log.next_position - partition.flusher.redo_from,
            "dirty_pages": partition.flusher.dirty_pages,
            "subscribers": partition.table.count,
            "sleeping": partition.flusher.sleeping,
            "clock_ms": partition.clock_ms,
        }


def decisions_of(core: Core) -> dict[str, dict[str, int]]:
    """Return how many candidates each rule had, by what became of them."""
    found: dict[str, dict[str, int]] = {}
    for family in core.metrics.decisions.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.value:
                found.setdefault(sample.labels["rule"], {})[sample.labels["gate"]] = int(sample.value)
    return found


def outcomes_of(core: Core) -> dict[str, dict[str, int]]:
    """Return how many decisions ended in each state, by the error that was given ("" for none)."""
    found: dict[str, dict[str, int]] = {}
    for family in core.metrics.outcomes.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.value:
                found.setdefault(sample.labels["state"], {})[sample.labels["error"]] = int(sample.value)
    return found


def _total(counter: Counter) -> float:
    return sum(
        float(sample.value)
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    )
