"""What the settings of every gateway have in common."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field


class GatewayConfig(BaseModel):
    """One gateway; a kind derives from it and narrows `kind` to the name of its folder.

    `rate_per_s` is kept by dispatch, not by the gateway. `example_name` and `example` are a table of this kind as
    `config.toml` shows it, switched off, where no gateway has that name: only what must be given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    addresses_numbers: ClassVar[bool] = True
    """Whether every message must name a number; a kind that hands lines or requests to a system needs none."""
    example_name: ClassVar[str]
    example: ClassVar[Mapping[str, Any]]

    rate_per_s: Annotated[
        float,
        Field(
            gt=0,
            le=1_000_000,
            description="Messages on the air a second that this gateway is given, all channels together: every part "
            "of a long text counts, as message centres count them.",
        ),
    ] = 100.0
    kind: Annotated[str, Field(description="Which kind of gateway this is.")]

    def for_worker(self, _worker: str) -> Self:
        """Return these settings as one of several processes opens them; `_worker` is its own name among them."""
        return self
