"""Settings of a TCP listener.

Nothing here opens a socket.
"""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from connectors.sources.config import SourceConfig


class TcpConfig(SourceConfig):
    """One port on which events come as lines."""

    kind: ClassVar = "tcp"

    host: Annotated[str, Field(description="Address to listen on; lines carry no password, so keep it inside.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(description="Port to listen on; 0 takes a free one.", ge=0, le=65_535)] = 7100
    connections_max: Annotated[
        int, Field(description="Connections at a time; more wait to be accepted.", ge=1, le=65_536)
    ] = 256
    idle_s: Annotated[
        float, Field(description="Seconds without a byte after which a connection is closed.", ge=1, le=604_800)
    ] = 3_600.0
    tick_ms: Annotated[
        int,
        Field(
            description="Milliseconds that lines are collected before they are handed on; sooner where much comes.",
            ge=1,
            le=1_000,
        ),
    ] = 8
    buffer_bytes: Annotated[
        int, Field(description="Bytes read at a time for one connection.", ge=4_096, le=16 << 20)
    ] = 262_144
    acknowledge: Annotated[
        bool,
        Field(description="Answer with a line each time more lines are durable: how many of this connection so far."),
    ] = False

    @model_validator(mode="after")
    def _columns_are_given(self) -> Self:
        if self.mapping.header:
            raise ValueError("header=true needs a file or a request body; give columns=[...] to a TCP source")
        return self
