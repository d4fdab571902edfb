"""Settings of an events route.

The server itself (host, port) is the engine's; this is what its events route needs. Nothing here reads the token.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from connectors.secret import Secret
from connectors.sources.config import SourceConfig


class HttpConfig(SourceConfig):
    """One route that takes events by POST."""

    kind: ClassVar = "http"

    name: Annotated[str, Field(description="Name of the source, in metrics and dead letters.", min_length=1)] = "http"
    path: Annotated[str, Field(description="Path of the route.", pattern=r"^/[\w./-]*$")] = "/events"
    token: Annotated[
        Secret | None,
        Field(description="Token that a caller must send as a bearer. Without it only this machine may send."),
    ] = None
    body_bytes_max: Annotated[int, Field(description="Bytes a body may have, unpacked.", ge=1_024, le=1 << 30)] = (
        16 << 20
    )
    body_timeout_s: Annotated[
        float, Field(description="Seconds within which a body must be whole.", ge=1, le=3_600)
    ] = 60.0
    retry_after_s: Annotated[
        int, Field(description="Seconds that a refused caller should wait (Retry-After).", ge=1, le=3_600)
    ] = 1
