"""Settings of a raw topic. Nothing here opens a socket."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from connectors.sources.config import SourceConfig


class RawConfig(SourceConfig):
    """One topic of events as their producers write them; read by `opportune worker`."""

    kind: ClassVar = "kafka"
    read_by: ClassVar = "worker"

    topic: Annotated[str, Field(description="Topic to read; its producers keep a subscriber in one partition.")]
    blocks: Annotated[
        bool,
        Field(description="Whether a record holds many lines; else it is one event."),
    ] = False
    dedupe: Annotated[
        bool, Field(description="Whether an event's id acts once, for producers that may send a record twice.")
    ] = False

    @model_validator(mode="after")
    def _columns_are_given(self) -> Self:
        if self.mapping.header:
            raise ValueError("header=true needs a file or a request body; give columns=[...] to a Kafka source")
        return self

    @property
    def deduplicated(self) -> bool:
        """Whether an event's id acts once: records are read by offset, so only where producers repeat themselves."""
        return self.dedupe

    @classmethod
    def check_together(cls, entries: Sequence[Self]) -> None:
        """Refuse two sources of one topic: the group would give each only some of its partitions."""
        readers: dict[str, str] = {}
        for source in entries:
            first = readers.setdefault(source.topic, source.name)
            if first != source.name:
                raise ValueError(
                    f"topic={source.topic!r} must be read by one source, not by {first!r} and {source.name!r}; one "
                    "source takes events of all types: name them by mapping.types, their fields by mapping.rename"
                )
