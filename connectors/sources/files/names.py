"""Which file is which: names, fingerprints, and the keys under which positions are stored.

A key is `source:name#length-digest`: the digest is that of the file's first `length` bytes, as many as it had when it
was first seen, at most `FINGERPRINT_BYTES_MAX`. A file that grew still begins with them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

FINGERPRINT_BYTES_MAX = 4096


class Stat(NamedTuple):
    """Size and time of a file's last change."""

    size: int
    changed_ns: int


@dataclass(slots=True)
class File:
    """A file and how far it was read.

    `seen` is what it looked like when it held nothing new; `waiting` says that an unfinished last line was left then.
    """

    path: Path
    key: str
    position: int = 0
    finished: bool = False
    seen: Stat | None = None
    waiting: bool = False

    @property
    def packed(self) -> bool:
        """Return whether the file is gzip."""
        return self.path.name.endswith(".gz")

    def over(self, stat: Stat) -> bool:
        """Return whether there is nothing to read in the file as it looks now."""
        if self.packed and self.finished:
            return True
        if self.seen == stat:
            return not self.waiting
        return not self.packed and stat.size == self.position


def stat_of(path: Path) -> Stat:
    """Return what a file looks like."""
    status = path.stat()
    return Stat(status.st_size, status.st_mtime_ns)


class Names:
    """The files of one source by name, joined with the positions of the last run."""

    def __init__(self, source: str, positions: Mapping[str, int]) -> None:
        self._prefix = f"{source}:"
        self._files: dict[str, File] = {}
        self._stored: dict[str, list[tuple[str, int]]] = {}
        for key, position in positions.items():
            name, mark, _ = key.removeprefix(self._prefix).rpartition("#")
            if key.startswith(self._prefix) and mark:
                self._stored.setdefault(name, []).append((key, position))

    def wanted(self, path: Path, pattern: str) -> bool:
        """Return whether a directory entry is a file of this source."""
        return fnmatchcase(path.name, pattern) and not path.name.startswith(".") and path.is_file()

    def find(self, path: Path, stat: Stat) -> File | None:
        """Return the file at `path` as it is known; None for one that is still empty."""
        known = self._files.get(path.name)
        if known is not None and known.seen == stat:
            return known
        if stat.size == 0:
            return None
        with path.open("rb") as stream:
            start = stream.read(FINGERPRINT_BYTES_MAX)
        if known is None or not _matches(known.key, start):
            known = self._stored_file(path, start) or File(path, self._key(path, start))
            self._files[path.name] = known
        if not known.packed and stat.size < known.position:
            known.position, known.finished = 0, False
        return known

    def _stored_file(self, path: Path, start: bytes) -> File | None:
        for key, position in self._stored.get(path.name, ()):
            if _matches(key, start):
                return File(path, key, position if position >= 0 else ~position, position < 0)
        return None

    def _key(self, path: Path, start: bytes) -> str:
        return f"{self._prefix}{path.name}#{len(start)}-{_digest(start)}"


def _matches(key: str, start: bytes) -> bool:
    length, _, digest = key.rpartition("#")[2].partition("-")
    return length.isdigit() and len(start) >= int(length) and _digest(start[: int(length)]) == digest


def _digest(start: bytes) -> str:
    return hashlib.blake2b(start, digest_size=6).hexdigest()
