"""How a dispatcher is doing: its parts write it, the runtime reads it."""

from dataclasses import dataclass

from state.disk import DiskFullError


@dataclass(slots=True)
class Health:
    """What stands in the way of sending, if anything does.

    `fault` is for the status table: the last difficulty in words, empty after a commit that succeeded.
    """

    fault: str = ""
    failure: Exception | None = None
    """What ended dispatch."""
    disk_full: DiskFullError | None = None
    """What the disk said, while it has no room; attempts wait."""
    log_away: bool = False
    """Whether the log did not take the last reports."""
    stopping: bool = False
