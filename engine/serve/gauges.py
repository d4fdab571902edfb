"""Gauges of an embedded engine, read when Prometheus asks."""

from collections.abc import Callable, Iterator, Mapping

from engine.flow.core import Core
from engine.flow.partition import Partition
from engine.flow.pipeline import Pipeline

Rows = Iterator[tuple[dict[str, str], float]]


def add_gauges(core: Core, pipeline: Pipeline, gateways: Callable[[], Mapping[str, Mapping[str, int | str]]]) -> None:
    """Add the gauges of partitions, intake, gateways and book to the core's metrics."""
    gauges = core.metrics.gauges

    def by_partition(read: Callable[[Partition], float]) -> Callable[[], Rows]:
        return lambda: (({"partition": str(one.number)}, read(one)) for one in core.partitions)

    gauges.add(
        "opportune_intake_queued_bytes",
        "Bytes taken from sources and not yet durable.",
        (),
        lambda: iter([({}, float(pipeline.queued_bytes))]),
    )
    gauges.add(
        "opportune_gateway_links",
        "Links of a gateway that are up.",
        ("gateway",),
        lambda: (({"gateway": name}, float(told["links_up"])) for name, told in gateways().items()),
    )
    for name, text, read in (
        ("subscribers", "Subscribers in memory.", lambda one: one.table.count),
        ("sleeping_subscribers", "Subscribers asleep on disk.", lambda one: one.flusher.sleeping),
        ("dirty_pages", "Pages changed since they were flushed.", lambda one: one.flusher.dirty_pages),
        (
            "redo_distance_frames",
            "Frames that a restart would fold again.",
            lambda one: one.log.next_position - one.flusher.redo_from,
        ),
        ("log_frames", "Frames in the log since its beginning.", lambda one: one.log.next_position),
        ("doubled_events", "Events left out because their id was seen.", lambda one: one.counts.doubled),
    ):
        gauges.add(f"opportune_{name}", text, ("partition",), by_partition(read))
    gauges.book(lambda: {"version": core.active.book.version if core.active is not None else ""})
