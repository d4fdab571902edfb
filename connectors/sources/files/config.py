"""Settings of a watched directory.

Nothing here touches the disk: a missing directory is reported when the source starts.
"""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from connectors.sources.config import SourceConfig

REPLAYED = ".lines"


class FilesConfig(SourceConfig):
    """One directory whose files are read line by line, oldest first."""

    kind: ClassVar = "files"
    of_files: ClassVar = True
    moves_followed: ClassVar[bool] = True
    """Whether content alone tells a file that was moved; not where equal lines may be put twice, to be read twice."""

    name: Annotated[str, Field(description="Name of the source, in positions, metrics and dead letters.", min_length=1)]
    directory: Annotated[Path, Field(description="Directory to watch.")]
    pattern: Annotated[
        str,
        Field(
            description="Names to read, with * and ?; one that ends in .gz, .bz2, .xz or .zst is unpacked.",
            min_length=1,
        ),
    ] = "*"
    poll_ms: Annotated[
        int, Field(description="Milliseconds between two looks at the directory.", ge=10, le=3_600_000)
    ] = 200
    settle_ms: Annotated[
        int,
        Field(
            description="Milliseconds without a change until a last line without its end, or a cut file, is final.",
            ge=0,
            le=86_400_000,
        ),
    ] = 5_000
    half_line_ms: Annotated[
        int,
        Field(
            description="Milliseconds without a change until a last line that may be half a line is final.",
            ge=0,
            le=86_400_000,
        ),
    ] = 600_000
    follow_links: Annotated[
        bool,
        Field(
            description="Whether symbolic links in the directory are read; whoever may write there chooses where to."
        ),
    ] = False
    dedupe: Annotated[
        bool, Field(description="Whether an event's id acts once, for feeds that may write an event twice.")
    ] = False

    @property
    def deduplicated(self) -> bool:
        """Whether an event's id acts once: a file is read by position, so only where its writer repeats itself."""
        return self.dedupe


class ReplayConfig(FilesConfig):
    """The folder of a source's replayed lines; its files are known by their names, and `REPLAYED` ends each."""

    moves_followed: ClassVar[bool] = False
