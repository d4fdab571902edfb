"""Files as the durable parts see them: a real disk, and a simulated one that forgets what was not synced. (Surface first.)"""

from pathlib import Path
from typing import Protocol


class DiskError(Exception):
    """A file operation failed; DiskFull, Locked, Damaged and Gone are its kinds."""


class DiskFull(DiskError): ...  # noqa: N818


class Locked(DiskError): ...  # noqa: N818


class Disk(Protocol):
    def lock(self, path: Path) -> "Lock": ...


class Lock(Protocol):
    def release(self) -> None: ...


class RealDisk: ...
