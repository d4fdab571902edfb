"""Which file is which: identity by inode and content, and the keys under which positions are stored.

A key is `source:name#length-digest@inode`: the digest is that of the file's first `length` bytes, unpacked, as many as
it had when it was first seen, at most `START_BYTES_MAX`; `.2` and so on follows where a replaced file would get a key
that was used before. Keys of older releases lack the inode, and their digest of a .gz is that of its packed bytes.

    known inode, same start, same bytes before the position   the same file, grown or renamed
    known inode, another content                              replaced: a new file, read whole
    unknown inode, content of a file that is gone or replaced moved, copied or packed: read on where that was left
    unknown inode, content of a file that is still there      a copy in the making, until it has rested; then a file

Over a restart a stored position belongs to the file with its inode and start, else to the one with its name and start,
else to one with its start alone, where that has at least `START_BYTES_MIN` bytes. After ten minutes what is gone is
forgotten: a file of the same content that comes later is another one.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import FileIO
from pathlib import Path

from connectors.sources.columns.footer import has_footer, is_whole
from connectors.sources.contract import reached
from connectors.sources.files.config import REPLAYED, FilesConfig
from connectors.sources.files.entries import Entry, Stat, open_file, printable
from connectors.sources.files.packing import is_packed, unpacked_start

START_BYTES_MAX = 4096
START_BYTES_MIN = 64
HEAD_BYTES_MAX = 512
TAIL_BYTES_MAX = 64
LEFT_MAX = 4096
LEFT_NS = 600 * 10**9
"""After it a file of the content of one that is gone is another file."""
_PACKED_BYTES = 1 << 16
_COLUMNS_BYTES = 1 << 15
_MARK = re.compile(r"#(\d+)-([0-9a-f]+)(?:@(\d+))?(?:\.\d+)?\Z")


@dataclass(slots=True)
class File:
    """A file and how far it was read.

    `head` and `tail` are its first bytes and the last before `position`; empty where only the key is known of it.
    `seen` is what it looked like when it held nothing new; `waiting` says that an unfinished last line was left then,
    to be looked at again after `rest_ms` without a change. `left_ns` is when it was missed first.
    """

    path: Path
    key: str
    position: int = 0
    finished: bool = False
    head: bytes = b""
    tail: bytes = b""
    seen: Stat | None = None
    waiting: bool = False
    rest_ms: int = 0
    left_ns: int = 0
    of_columns: bool = False
    recoded: bool = False

    @property
    def packed(self) -> bool:
        """Return whether the file is packed."""
        return not self.of_columns and is_packed(self.path.name)

    @property
    def by_bytes(self) -> bool:
        """Return whether positions are those of the bytes that lie there: not unpacked or recoded ones, nor rows."""
        return not self.packed and not self.of_columns and not self.recoded

    def over(self, stat: Stat) -> bool:
        """Return whether there is nothing to read in the file as it looks now."""
        if self.finished and (self.packed or self.of_columns):
            return True
        if self.seen == stat:
            return not self.waiting
        return self.by_bytes and stat.size == self.position

    def is_in(self, look: "_Look") -> bool:
        """Return whether what was read of this file stands in the one looked at."""
        begins = look.start.startswith(self.head) and _matches(self.key, look)
        by_bytes = not look.packed and not self.of_columns and not self.recoded
        return begins and (not by_bytes or (look.stat.size >= self.position and look.has_tail(self)))

    def may_become(self, look: "_Look") -> bool:
        """Return whether the one looked at is this file, or the start of a copy of it."""
        if len(look.start) < len(self.head):
            return self.head.startswith(look.start)
        return bool(self.head) and look.start.startswith(self.head) and _may_match(self.key, look)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a file holds now: its first bytes, unpacked and, for the keys of older releases, as they stand there."""

    path: Path
    stat: Stat
    start: bytes
    raw: bytes
    packed: bool
    follow_links: bool
    whole: bool = True

    def has_tail(self, file: File) -> bool:
        """Return whether the bytes before the file's position are still those that were read there."""
        if not file.tail:
            return True
        with open_file(self.path, self.follow_links) as stream:
            stream.seek(file.position - len(file.tail))
            return stream.read(len(file.tail)) == file.tail


class Names:
    """The files of one source, joined with the positions of the last run."""

    def __init__(self, config: FilesConfig, positions: Mapping[str, int]) -> None:
        self._prefix = f"{config.name}:"
        self._follow_links = config.follow_links
        self._moves_followed = config.moves_followed
        self._of_columns = config.mapping.is_of_columns
        self._recoded = config.mapping.is_recoded
        self._now_ns = 0
        self._files: dict[tuple[int, int], File] = {}
        self._left: dict[str, File] = {}
        self._stored: dict[str, File] = {}
        for key, position in positions.items():
            if key.startswith(self._prefix) and _MARK.search(key):
                name = _name_of_key(key, self._prefix)
                self._stored[key] = self._file(Path(name), key, reached(position), finished=position < 0)
        self._keys = set(self._stored)

    def wanted(self, entry: Entry, pattern: str) -> bool:
        """Return whether a directory entry is a file of this source, or was when it was seen first."""
        return self.fits(entry.path.name, pattern) or entry.stat.place in self._files

    @staticmethod
    def fits(name: str, pattern: str) -> bool:
        """Return whether the name is one of this source."""
        return fnmatchcase(name, pattern) and not name.startswith(".")

    def has(self, key: str) -> bool:
        """Return whether a file that is there now has this key."""
        return any(file.key == key for file in self._files.values())

    def look(self, entries: Iterable[Entry], now_ns: int) -> None:
        """Take note of what lies in the directory: which files are gone or were cut, and whose stored positions are."""
        self._now_ns = now_ns
        for key in [key for key, file in self._left.items() if now_ns - file.left_ns > LEFT_NS]:
            del self._left[key]
        places = {entry.stat.place: entry for entry in entries}
        for place, file in list(self._files.items()):
            entry = places.get(place)
            if entry is None or (file.by_bytes and entry.stat.size < file.position):
                self._leave(place)
        if self._stored:
            self._claim([entry for place, entry in places.items() if place not in self._files and entry.stat.size])
            for file in self._stored.values():
                file.left_ns = now_ns
            self._left |= self._stored
            self._stored = {}

    def knows(self, entry: Entry) -> bool:
        """Return whether the inode is that of a known file."""
        return entry.stat.place in self._files

    def find(self, entry: Entry, *, settled: bool) -> File | None:
        """Return the file at `entry`; None while it is empty, lacks its footer, or may be a copy in the making."""
        path, stat = entry
        known = self._files.get(stat.place)
        if known is not None and known.seen == stat:
            known.path = path
            return known
        if stat.size == 0:
            return None
        look = self._look(entry)
        if not look.whole and not settled:
            return None
        if known is not None and known.is_in(look):
            return self._know(look, known)
        if known is not None:
            self._leave(stat.place)
        file = self._taken_over(look)
        if file is None and not settled and self._may_be_copy(look):
            return None
        return self._know(look, file or self._file(path, self._key(look)))

    def _file(self, path: Path, key: str, position: int = 0, *, finished: bool = False) -> File:
        return File(path, key, position, finished, of_columns=self._of_columns, recoded=self._recoded)

    def _know(self, look: _Look, file: File) -> File:
        if look.packed and not file.packed:
            file.finished = False  # it may have grown between our last look and its packing
        file.path, file.head = look.path, look.start[:HEAD_BYTES_MAX]
        self._files[look.stat.place] = file
        return file

    def _leave(self, place: tuple[int, int]) -> None:
        file = self._files.pop(place)
        file.seen, file.waiting, file.left_ns = None, False, self._now_ns
        self._left[file.key] = file
        if len(self._left) > LEFT_MAX:
            del self._left[next(iter(self._left))]

    def _claim(self, entries: list[Entry]) -> None:
        """Give stored positions to the files that they belong to."""
        looks = []
        for entry in entries:
            try:
                looks.append(self._look(entry))
            except OSError:
                continue  # named as a fault when it is to be read
        marks = ((_inode_of_key, _inode_of), (_name_of_key, _name_of))
        for of_key, of_look in marks if self._moves_followed else marks[1:]:
            stored: dict[str, list[str]] = {}
            for key in self._stored:
                stored.setdefault(of_key(key, self._prefix), []).append(key)
            looks = [look for look in looks if not self._claimed(look, stored.get(of_look(look), ()))]
        starts = [key for key, file in self._stored.items() if self._tells(file)]
        for look in looks if starts else ():
            self._claimed(look, starts)

    def _tells(self, file: File) -> bool:
        """Return whether the content of a file that is gone tells it under another name.

        The folder of replayed lines has the source's name too: its files are never the source's own.
        """
        if not self._moves_followed or file.path.name.endswith(REPLAYED):
            return False
        return bool(file.head) or _length_of(file.key) >= START_BYTES_MIN

    def _claimed(self, look: _Look, keys: Iterable[str]) -> bool:
        """Give a file the first of some stored positions that is its own; return whether there is one."""
        for key in keys:
            if key in self._stored and self._stored[key].is_in(look):
                self._know(look, self._stored.pop(key))
                return True
        return False

    def _taken_over(self, look: _Look) -> File | None:
        """Return the file that is gone, or was replaced, and whose content this is."""
        for key in reversed(self._left):
            file = self._left[key]
            if (self._tells(file) or _name_of(look) == file.path.name) and file.is_in(look):
                return self._left.pop(key)
        return None

    def _may_be_copy(self, look: _Look) -> bool:
        return self._moves_followed and any(file.may_become(look) for file in self._files.values())

    def _look(self, entry: Entry) -> _Look:
        path, stat = entry
        if self._of_columns:
            with open_file(path, self._follow_links) as stream:
                start, whole = _start_of_columns(stream, stat.size), is_whole(stream, stat.size)
            return _Look(path, stat, start, start, False, self._follow_links, whole)
        packed = is_packed(path.name)
        with open_file(path, self._follow_links) as stream:
            raw = stream.read(_PACKED_BYTES if packed else START_BYTES_MAX)
        start = unpacked_start(path.name, raw, START_BYTES_MAX) if packed else raw
        return _Look(path, stat, start, raw[:START_BYTES_MAX], packed, self._follow_links)

    def _key(self, look: _Look) -> str:
        key = base = f"{self._prefix}{_name_of(look)}#{len(look.start)}-{_digest(look.start)}@{_inode_of(look)}"
        number = 1
        while key in self._keys:
            number += 1
            key = f"{base}.{number}"
        self._keys.add(key)
        return key


def _inode_of(look: _Look) -> str:
    return str(look.stat.inode)


def _name_of(look: _Look) -> str:
    return printable(look.path.name)


def _inode_of_key(key: str, _: str) -> str:
    mark = _MARK.search(key)
    return (mark[3] if mark is not None else None) or ""


def _name_of_key(key: str, prefix: str) -> str:
    return _MARK.sub("", key.removeprefix(prefix))


def _length_of(key: str) -> int:
    mark = _MARK.search(key)
    return int(mark[1]) if mark is not None else 0


def _matches(key: str, look: _Look) -> bool:
    """Return whether a file begins as a key says; those of older releases speak of a .gz as it is packed."""
    mark = _MARK.search(key)
    if mark is None:
        return False
    length = int(mark[1])
    return any(len(start) >= length and _digest(start[:length]) == mark[2] for start in {look.start, look.raw})


def _may_match(key: str, look: _Look) -> bool:
    return len(look.start) < _length_of(key) or _matches(key, look)


def _start_of_columns(stream: FileIO, size: int) -> bytes:
    """Return what tells a file of columns: many such begin alike, with the same names and a column that counts.

    One with a footer is told by its start and its end, a stream, which may grow, by its start alone.
    """
    start = stream.read(2 * _COLUMNS_BYTES)
    if has_footer(stream, size) and size > len(start):
        stream.seek(size - _COLUMNS_BYTES)
        return start[:_COLUMNS_BYTES] + stream.read(_COLUMNS_BYTES)
    return start


def _digest(start: bytes) -> str:
    return hashlib.blake2b(start, digest_size=6).hexdigest()
