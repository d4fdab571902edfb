"""The data directory: what lies where, which process holds it, and what may never change in it.

    opportune.json   partitions and contacts_max, fixed at the first start
    lock             held by the process that runs the engine
    log/P, journal/P log and journal of partition P
    pages            the store of pages and sleeping subscribers
    books            every rule book that was active
    strings          texts by their hashes, in a directory that began with format 1
    dead             dead letters;  replay  lines put back by `opportune dead replay`
    audit            who commanded what: private files, see connectors.audit
    outbox           what dispatch has tried and how it ended
    http.json        address and name of the engine that runs here, while it does

Readers (`decisions`, `why`, `dead`) open the same folders without the lock, beside a running engine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from state.disk import Disk, Lock, RealDisk, read_whole, write_whole

FORMAT = 1
AUDIT = "audit"
"""Folder of the audit log, beside the file that says where the front listens."""
_FIXED = ("format", "partitions", "contacts_max")


class DataDirError(Exception):
    """The data directory cannot be used as configured; the text names setting, value and bound."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What a data directory was made with."""

    partitions: int
    contacts_max: int


class DataDir:
    """Paths and the lock of one data directory."""

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self.root = root
        self.disk = disk or RealDisk()
        self._lock: Lock | None = None

    def hold(self) -> None:
        """Create the directory where missing and take its lock; LockedError names the process that has it."""
        self.disk.make_folder(self.root)
        self._lock = self.disk.lock(self.root / "lock")

    def release(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def fix(self, wanted: Fixed) -> None:
        """Write what is fixed at the first start; later, hold the configuration against it.

        A file that is gone, or was written by half, is written again if the logs agree with the configuration.
        """
        if self._record() is None:
            self._check_partitions(wanted.partitions)
            record = {"format": FORMAT, "partitions": wanted.partitions, "contacts_max": wanted.contacts_max}
            write_whole(self.disk, self.root / "opportune.json", orjson.dumps(record))
            return
        fixed = self.fixed()
        for name in ("partitions", "contacts_max"):
            have, want = getattr(fixed, name), getattr(wanted, name)
            if have != want:
                raise DataDirError(f"{name}={want} must be {have}, as {self.root} was made")

    def fixed(self) -> Fixed:
        """Return what the directory was made with; DataDirError when it holds no data."""
        record = self._record()
        if record is None:
            logs = self.disk.names(self.root / "log")
            what = "opportune.json is missing or broken" if logs else "it has no opportune.json"
            raise DataDirError(f"{self.root} holds no data: {what}")
        if record["format"] != FORMAT:
            raise DataDirError(f"format={str(record['format'])[:40]} of {self.root} must be {FORMAT}")
        return Fixed(record["partitions"], record["contacts_max"])

    def _record(self) -> dict[str, Any] | None:
        """Return what stands in `opportune.json`; None where it is missing or not whole."""
        if "opportune.json" not in self.disk.names(self.root):
            return None
        try:
            record = orjson.loads(read_whole(self.disk, self.root / "opportune.json"))
        except ValueError:
            return None
        whole = isinstance(record, dict) and all(isinstance(record.get(name), int) for name in _FIXED)
        return record if whole else None

    def _check_partitions(self, wanted: int) -> None:
        """Refuse a number of partitions that the logs contradict."""
        have = len([name for name in self.disk.names(self.root / "log") if name.isdecimal()])
        if have not in (0, wanted):
            record = self.root / "opportune.json"
            raise DataDirError(
                f"partitions={wanted} must be {have}, of which there are logs; {record}, which says so, is broken"
            )

    @property
    def address(self) -> Path:
        """The file that says where the running engine listens."""
        return self.root / "http.json"

    @property
    def trials(self) -> Path:
        """The file that every text to a test number is written down in."""
        return self.root / "trials.ndjson"

    def log(self, partition: int) -> Path:
        """Return the folder of a partition's log."""
        return self.root / "log" / str(partition)

    def journal(self, partition: int) -> Path:
        """Return the folder of a partition's journal."""
        return self.root / "journal" / str(partition)

    @property
    def desk(self) -> Path:
        """The folder of the desk's panels."""
        return self.root / "desk"

    @property
    def pages(self) -> Path:
        """The store's folder."""
        return self.root / "pages"

    @property
    def books(self) -> Path:
        """The shelf's folder."""
        return self.root / "books"

    @property
    def strings(self) -> Path:
        """The folder of texts of format 1."""
        return self.root / "strings"

    @property
    def dead(self) -> Path:
        """The folder of dead letters."""
        return self.root / "dead"

    @property
    def replay(self) -> Path:
        """The folder of lines put back."""
        return self.root / "replay"

    @property
    def audit(self) -> Path:
        """The folder of the audit log."""
        return self.root / AUDIT

    @property
    def outbox(self) -> Path:
        """The folder of the outbox."""
        return self.root / "outbox"
