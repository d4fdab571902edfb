"""Settings of a watched directory.

Nothing here touches the disk: a directory that is missing is told when the source opens.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from connectors.sources.mapping import Mapping


class FilesConfig(BaseModel):
    """One directory whose files are read line by line, oldest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(description="Name of the source, in positions, metrics and dead letters.", min_length=1)]
    directory: Annotated[Path, Field(description="Directory to watch.")]
    pattern: Annotated[
        str, Field(description="Names to read, with * and ?; a name that ends in .gz is unpacked.", min_length=1)
    ] = "*"
    poll_ms: Annotated[
        int, Field(description="Milliseconds between two looks at the directory.", ge=10, le=3_600_000)
    ] = 200
    settle_ms: Annotated[
        int,
        Field(
            description="Milliseconds without a change until a last line without its end, or a cut .gz, is final.",
            ge=0,
            le=86_400_000,
        ),
    ] = 5_000
    dedupe: Annotated[
        bool, Field(description="Whether an event's id acts once, for feeds that may write an event twice.")
    ] = False
    mapping: Annotated[Mapping, Field(description="How its lines are read.")] = Mapping()
