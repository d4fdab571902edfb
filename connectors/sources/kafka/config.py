"""Settings of a raw topic. Nothing here opens a socket."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.sources.mapping import Mapping


class RawConfig(BaseModel):
    """One topic of events as their producers write them; read by `opportune worker`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(description="Name of the source, in metrics and dead letters.", min_length=1)]
    topic: Annotated[str, Field(description="Topic to read; its producers keep a subscriber in one partition.")]
    blocks: Annotated[
        bool,
        Field(description="Whether a record holds many lines; else it is one event."),
    ] = False
    dedupe: Annotated[
        bool, Field(description="Whether an event's id acts once, for producers that may send a record twice.")
    ] = False
    mapping: Annotated[Mapping, Field(description="How its lines are read.")] = Mapping()

    @model_validator(mode="after")
    def _columns_are_given(self) -> Self:
        if self.mapping.header:
            raise ValueError("header=true needs a file or a request body; give columns=[...] to a Kafka source")
        return self
