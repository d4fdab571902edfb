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


class Healthy:
    """What a dispatcher says of its health."""

    _health: Health

    @property
    def failure(self) -> Exception | None:
        """The fault that ended dispatch, if one did."""
        return self._health.failure

    @property
    def disk_full(self) -> DiskFullError | None:
        """What the disk said, while it has no room."""
        return self._health.disk_full

    @property
    def fault(self) -> str:
        """The last difficulty in words, empty when there is none."""
        return self._health.fault

    @property
    def log_away(self) -> bool:
        """Whether the log did not take the last reports."""
        return self._health.log_away
