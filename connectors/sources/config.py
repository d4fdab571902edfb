"""What the settings of every source have in common. Nothing here opens anything."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.sources.mapping import Mapping


class SourceConfig(BaseModel):
    """One source, an entry of `sources.KIND`; a kind derives from it and sets `kind` to the name of its folder.

    `read_by` is the command that reads sources of this kind, `of_files` whether it reads whole files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    read_by: ClassVar[Literal["run", "worker"]] = "run"
    of_files: ClassVar[bool] = False

    name: Annotated[str, Field(description="Name of the source, in metrics and dead letters.", min_length=1)]
    mapping: Annotated[Mapping, Field(description="How its lines are read.")] = Mapping()
    id_space: Annotated[
        str,
        Field(
            description="Name that redundant sources share: an id acts once over all of them; empty: their own name."
        ),
    ] = ""

    @model_validator(mode="after")
    def _format_is_read(self) -> Self:
        mapping = self.mapping
        if mapping.is_of_columns and not self.of_files:
            raise ValueError(f"mapping.format={mapping.format!r} is read from files only, must be of lines here")
        if mapping.is_recoded and not self.of_files:
            raise ValueError(f"mapping.encoding={mapping.encoding!r} is read from files only")
        return self

    @property
    def deduplicated(self) -> bool:
        """Whether an event's id acts once; true where a sender that got no answer sends its lines again."""
        return True

    @classmethod
    def check_together(cls, entries: Sequence[Self]) -> None:
        """Refuse entries of this kind that exclude each other: ValueError names them."""
