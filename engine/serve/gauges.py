"""Gauges of both runtimes, read when Prometheus asks."""

from collections.abc import Callable, Iterable, Mapping

from engine.flow.core import Core
from engine.flow.fold import Fold
from engine.flow.partition import Partition
from engine.flow.pipeline import Pipeline
from engine.metrics import Gauges
from rules.model import Book

ByPartition = Callable[[], Iterable[tuple[int, float]]]
"""Returns (partition, value) of the partitions that are here now."""
Gateways = Callable[[], Mapping[str, Mapping[str, int | str]]]


def add_by_partition(gauges: Gauges, name: str, text: str, read: ByPartition) -> None:
    """Add the gauge `opportune_NAME` with a label for the partition."""
    gauges.add(
        f"opportune_{name}",
        text,
        ("partition",),
        lambda: (({"partition": str(number)}, float(value)) for number, value in read()),
    )


def add_folds(gauges: Gauges, folds: Callable[[], Iterable[Fold]]) -> None:
    """Add the gauges of partitions that are folded here."""

    def each(read: Callable[[Fold], float]) -> ByPartition:
        return lambda: ((one.number, read(one)) for one in folds())

    for name, text, read in (
        ("subscribers", "Subscribers in memory.", lambda one: one.table.count),
        ("sleeping_subscribers", "Subscribers asleep on disk.", lambda one: one.flusher.sleeping),
        (
            "deadlines_refused",
            "Deadlines since the start that were not armed: as many were open as a subscriber may have for a rule.",
            lambda one: one.deadlines.refused,
        ),
        (
            "dedupe_reach_seconds",
            "How far back doubled ids are known now: the window, or less where dedupe_ids_max did not hold it.",
            lambda one: one.dedupe.reach_ms / 1000,
        ),
        ("deadlines_fired", "Deadlines since the start that came.", lambda one: one.deadlines.fired),
        ("dirty_pages", "Pages changed since they were flushed.", lambda one: one.flusher.dirty_pages),
        (
            "untracked_decisions",
            "Decisions since the start that a change of their subscriber takes back no more: its list was full.",
            lambda one: one.contacts.untracked,
        ),
    ):
        add_by_partition(gauges, name, text, each(read))


def add_gateways(gauges: Gauges, gateways: Gateways) -> None:
    """Add the gauge of the gateways' links."""
    gauges.add(
        "opportune_gateway_links",
        "Links of a gateway that are up.",
        ("gateway",),
        lambda: (({"gateway": name}, float(figures["links_up"])) for name, figures in gateways().items()),
    )


def add_book(gauges: Gauges, active: Callable[[], Book | None]) -> None:
    """Say which book is active; none is shown as an empty version."""

    def read() -> dict[str, str]:
        book = active()
        return {"version": book.version if book is not None else ""}

    gauges.book(read)


def add_book_fault(gauges: Gauges, fault: Callable[[], str]) -> None:
    """Say whether the book on disk is refused: a state, so that one that was bad from the start is seen too."""
    gauges.add(
        "opportune_book_refused",
        "1 while the book on disk has faults and another one serves.",
        (),
        lambda: iter([({}, float(bool(fault())))]),
    )


def add_local(core: Core, pipeline: Pipeline, gateways: Gateways) -> None:
    """Add the gauges of an embedded engine: partitions, intake, gateways and book."""
    gauges = core.metrics.gauges

    def each(read: Callable[[Partition], float]) -> ByPartition:
        return lambda: ((one.number, read(one)) for one in core.partitions)

    gauges.add(
        "opportune_intake_queued_bytes",
        "Bytes taken from sources and not yet durable.",
        (),
        lambda: iter([({}, float(pipeline.queued_bytes))]),
    )
    add_gateways(gauges, gateways)
    add_folds(gauges, lambda: core.partitions)
    for name, text, read in (
        (
            "redo_distance_frames",
            "Frames that a restart would fold again.",
            lambda one: one.log.next_position - one.flusher.redo_from,
        ),
        ("log_frames", "Frames in the log since its beginning.", lambda one: one.log.next_position),
        ("doubled_events", "Events left out because their id was seen.", lambda one: one.counts.doubled),
    ):
        add_by_partition(gauges, name, text, each(read))
    add_book(gauges, lambda: core.active.book if core.active is not None else None)
