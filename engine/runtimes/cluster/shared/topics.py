"""Names and settings of the topics of a cluster."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.kafka.topics import Topic
from engine.settings.config import Config

MESSAGE_BYTES_MAX = 8 << 20
OUTBOX_SEGMENT_BYTES = 32 << 20
"""A dispatcher deletes what its outbox needs no more; brokers free a file of this size at a time."""
RECEIPT_HOURS = 24
"""How long a partition may be without a dispatcher and lose no receipt that another one was given."""
MOMENT_HOURS = 1
HOUR_MS = 3_600_000
TOMBSTONE_MS = 7 * 24 * HOUR_MS
"""How long a worker may be away and still go on from its own copy of the pages."""


@dataclass(frozen=True, slots=True)
class Names:
    """The topics under a prefix."""

    prefix: str

    @property
    def log(self) -> str:
        """Frames."""
        return f"{self.prefix}log"

    @property
    def decisions(self) -> str:
        """The journal."""
        return f"{self.prefix}decisions"

    @property
    def pages(self) -> str:
        """The changelog of pages and sleeping rows."""
        return f"{self.prefix}pages"

    @property
    def texts(self) -> str:
        """Texts by their hashes, of a cluster that began with format 1."""
        return f"{self.prefix}texts"

    @property
    def dead(self) -> str:
        """Dead letters."""
        return f"{self.prefix}dead"

    @property
    def control(self) -> str:
        """Books, which one is active, and the switches."""
        return f"{self.prefix}control"

    @property
    def outbox(self) -> str:
        """What dispatch has tried and how it ended."""
        return f"{self.prefix}outbox"

    @property
    def receipts(self) -> str:
        """Receipts and replies on their way to the dispatcher that they concern."""
        return f"{self.prefix}receipts"

    @property
    def moments(self) -> str:
        """What dispatchers say to the intake on the events' own clock."""
        return f"{self.prefix}moments"

    @property
    def decide(self) -> str:
        """The group that owns partitions of `log`."""
        return f"{self.prefix}decide"

    @property
    def dispatch(self) -> str:
        """The group that sends the decisions of partitions."""
        return f"{self.prefix}dispatch"

    @property
    def intake(self) -> str:
        """The group that reads the raw topics."""
        return f"{self.prefix}intake"


def worker_name(config: Config) -> str:
    """Return what a worker is called among the brokers' clients: its machine, and the folder of its data."""
    return f"{platform.node()}/{config.data.directory.name}"


def topics_of(config: Config, raw_partitions: int = 0) -> list[Topic]:
    """Return every topic of a cluster as it must be.

    Raw topics belong to their producers and must only exist, unless `raw_partitions` says that they may be made.
    """
    names, partitions, replicas = Names(config.cluster.prefix), config.data.partitions, config.cluster.replicas
    large = {"max.message.bytes": str(MESSAGE_BYTES_MAX), "min.insync.replicas": str(max(1, replicas - 1))}
    compact = {"cleanup.policy": "compact", "delete.retention.ms": str(TOMBSTONE_MS), **large}
    deleted = {"cleanup.policy": "delete", **large}

    def kept(hours: int) -> dict[str, str]:
        return deleted | {"retention.ms": str(hours * HOUR_MS if hours else -1)}

    own = [
        Topic(names.log, partitions, replicas, kept(config.log.log_hours_max)),
        Topic(names.decisions, partitions, replicas, kept(config.log.journal_hours_max)),
        Topic(names.pages, partitions, replicas, compact),
        Topic(names.dead, 1, replicas, kept(config.log.journal_hours_max)),
        Topic(names.control, 1, replicas, compact),
        Topic(names.outbox, partitions, replicas, kept(0) | {"segment.bytes": str(OUTBOX_SEGMENT_BYTES)}),
        Topic(names.receipts, 1, replicas, kept(RECEIPT_HOURS)),
    ]
    if config.data.clock == "events":
        own.append(Topic(names.moments, 1, replicas, kept(MOMENT_HOURS)))
    return own + list(_raw(config, raw_partitions))


def _raw(config: Config, partitions: int) -> Iterator[Topic]:
    for source in config.sources.kafka:
        yield Topic(source.topic, partitions, config.cluster.replicas, made=partitions > 0)
