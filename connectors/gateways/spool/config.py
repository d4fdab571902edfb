"""Settings of a spool."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class SpoolConfig(BaseModel):
    """A folder that another system reads messages from, and may write receipts and replies to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Annotated[Literal["spool"], Field(description="Messages as lines of JSON in a file.")]
    folder: Annotated[Path, Field(description="Folder of `out.ndjson` (written) and `in.ndjson` (read).")]
    file_bytes_max: Annotated[
        int, Field(ge=4096, description="A longer `out.ndjson` is renamed to `out-NUMBER.ndjson`; bytes.")
    ] = 256 * 1024 * 1024
    sync: Annotated[bool, Field(description="Whether a message counts as accepted only when it is on disk.")] = True
    batch_max: Annotated[int, Field(ge=1, description="Messages written together.")] = 500
    poll_ms: Annotated[int, Field(ge=10, description="`in.ndjson` is looked at so often; milliseconds.")] = 500
