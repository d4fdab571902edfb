"""Gauges of the partitions that a worker owns."""

import time
from collections.abc import Callable

from engine.metrics import Gauges
from engine.runtimes.cluster.decide.owned import Owned
from engine.runtimes.cluster.decide.service import Decide
from engine.runtimes.cluster.shared.watchdog import Watchdog
from engine.serve.gauges import ByPartition, add_by_partition, add_folds


def add_owned(gauges: Gauges, decide: Decide, watchdog: Watchdog) -> None:
    """Add the gauges of partitions that are ours, whichever they are when somebody asks."""

    def each(read: Callable[[Owned], float]) -> ByPartition:
        return lambda: ((one.number, read(one)) for one in decide.owned.values())

    add_folds(gauges, lambda: [one.fold for one in decide.owned.values()])
    for name, text, read in (
        ("repeated_events", "Events left out that an intake packed twice.", each(lambda one: one.fold.counts.repeated)),
        ("clock_ahead_seconds", "How far the intakes' clock is ahead of ours.", each(_clock_ahead_s)),
        ("restore_seconds", "What it took to take the partition over.", each(lambda one: one.restored.seconds)),
        ("lag_frames", "Frames of the log that wait to be folded.", _lags(watchdog)),
        (
            "missing_frames",
            "Frames that Kafka has deleted and the partition still needs: it is not decided, or goes on without them.",
            _missing(decide),
        ),
    ):
        add_by_partition(gauges, name, text, read)


def _lags(watchdog: Watchdog) -> ByPartition:
    return lambda: list(watchdog.lags.items())


def _missing(decide: Decide) -> ByPartition:
    return lambda: list(decide.missing.items())


def _clock_ahead_s(one: Owned) -> float:
    """Return by how much the time that a partition folds at is ahead of this worker's clock; 0 on the events' own."""
    if one.fold.events_clock:
        return 0.0
    return max(0.0, one.fold.clock_ms / 1000 - time.time())
