"""What the settings of every source have in common. Nothing here opens anything."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from connectors.sources.mapping import Mapping


class SourceConfig(BaseModel):
    """One source, an entry of `sources.KIND`; a kind derives from it and sets `kind` to the name of its folder.

    `read_by` is the command that reads sources of this kind.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    read_by: ClassVar[Literal["run", "worker"]] = "run"

    name: Annotated[str, Field(description="Name of the source, in metrics and dead letters.", min_length=1)]
    mapping: Annotated[Mapping, Field(description="How its lines are read.")] = Mapping()
    id_space: Annotated[
        str,
        Field(
            description="Name that redundant sources share: an id acts once over all of them; empty: their own name."
        ),
    ] = ""

    @property
    def deduplicated(self) -> bool:
        """Whether an event's id acts once; true where a sender that got no answer sends its lines again."""
        return True

    @classmethod
    def check_together(cls, entries: Sequence[Self]) -> None:
        """Refuse entries of this kind that exclude each other: ValueError names them."""
