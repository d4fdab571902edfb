"""Settings of a spool."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from connectors.gateways.config import GatewayConfig


class SpoolConfig(GatewayConfig):
    """A gateway that appends each message to an NDJSON file: the default, for trials and for other systems to read."""

    addresses_numbers: ClassVar = False
    example_name: ClassVar = "spool"
    example: ClassVar = {"kind": "spool", "folder": "var/spool"}

    kind: Annotated[Literal["spool"], Field(description="Messages as lines of JSON in a file.")]
    folder: Annotated[Path, Field(description="Folder of `out.ndjson` (written) and `in.ndjson` (read).")]
    file_bytes_max: Annotated[
        int, Field(ge=4096, description="A longer `out.ndjson` is renamed to `out-NUMBER.ndjson`; bytes.")
    ] = 256 * 1024 * 1024
    sync: Annotated[bool, Field(description="Whether a message counts as accepted only when it is on disk.")] = True
    batch_max: Annotated[int, Field(ge=1, description="Messages written together.")] = 500
    poll_ms: Annotated[int, Field(ge=10, description="Milliseconds between two looks at `in.ndjson`.")] = 500

    def for_worker(self, worker: str) -> Self:
        """Return the settings with a folder of the worker's own: two processes cannot write one file."""
        return self.model_copy(update={"folder": self.folder / worker})
