"""A watched directory, read line by line, oldest file first.

    source = FilesSource(config, positions)
    await source.start()
    while (chunk := source.next_chunk(bytes_max)) is not None: ...

A file is known by its inode and content (`names` says how): one that was renamed, packed, or copied and then cut, is
read once, and one that was replaced is read whole. One that leaves the pattern by renaming is read to its end. A
position counts unpacked bytes; once the end was reached it is stored as `~position` (negative), so that a finished .gz
is never unpacked again. A plain file that grows later is read on.

A last line without its line end waits until the file has rested (not at all when draining): `settle_ms` where it is a
whole JSON value, `half_line_ms` where it may be half a line. What cannot be read (no permission, a broken .gz) is
listed in `faults` and left alone until it changes. Symbolic links are left alone unless `follow_links` is set.

Not to be shared by threads.
"""

import logging
import time
import zlib
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.sources.contract import Chunk, Fault
from connectors.sources.files.config import FilesConfig
from connectors.sources.files.entries import Entry, Stat, entries_of, printable, stat_of
from connectors.sources.files.lines import Buffers, LineReader, ReplacedError
from connectors.sources.files.names import File, Names

if TYPE_CHECKING:
    from connectors.sources.files.tables import TableReader

log = logging.getLogger(__name__)

FAULTS_MAX = 100
_BROKEN = (OSError, EOFError, zlib.error)


class FilesSource:
    """The contract's `PulledSource`: chunks from the files of a directory.

    `positions` are those stored with the last frame, of all sources.
    """

    def __init__(
        self,
        config: FilesConfig,
        positions: Mapping[str, int],
        *,
        drain: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.config = config
        self.exhausted = False
        self.faults: list[Fault] = []
        self._drain = drain
        self._now_ns = now_ns
        self._names = Names(config, positions)
        self._surveyed = False
        self._buffers = Buffers()
        self._polled_ns: int | None = None
        self._work: list[tuple[File, Stat]] = []
        self._reader: LineReader | TableReader | None = None

    async def start(self) -> None:
        """Check that the directory is there; NotADirectoryError names it otherwise."""
        if not self.config.directory.is_dir():
            raise NotADirectoryError(f"{self.config.name}.directory={str(self.config.directory)!r} is not a directory")

    def next_chunk(self, bytes_max: int) -> Chunk | None:
        """Return the next lines, about `bytes_max` of them; None when there are none now.

        `exhausted` then says whether everything that lies in the directory was read to its end.
        """
        while True:
            reader = self._reader or self._open_next()
            if reader is None:
                return None
            self._reader = reader
            try:
                chunk = reader.next_chunk(bytes_max, self._now_ns())
            except _BROKEN as fault:
                self._give_up(reader.file, fault)
                chunk = None
            if chunk is not None:
                return chunk
            reader.close()
            self._reader = None

    def recycle(self, chunk: Chunk) -> None:
        """Take back the buffer of a chunk that is read no more; to call this is only faster than not to."""
        if chunk.table is None:
            self._buffers.put(chunk.data)

    def holds(self, key: str) -> bool:
        """Return whether the file of a key is still in the directory; of another kind of key nothing is known: true."""
        name, mark, _ = key.removeprefix(f"{self.config.name}:").rpartition("#")
        if not mark:
            return True
        if not self._surveyed:
            self._entries()
        return not self._surveyed or self._names.has(key) or self._lies_outside(name)

    def _lies_outside(self, name: str) -> bool:
        """Return whether a file of that name is there which the pattern leaves out."""
        return not self._names.fits(name, self.config.pattern) and (self.config.directory / name).exists()

    def status(self) -> dict[str, int]:
        """Return no figures: what is read shows in the pipeline's."""
        return {}

    async def stop(self) -> None:
        """Do nothing: the pipeline ends its reading by itself."""

    def close(self) -> None:
        """Close the file that is open."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _opened(self, file: File, stat: Stat) -> "LineReader | TableReader":
        if self.config.mapping.is_of_columns:
            from connectors.sources.files.tables import TableReader  # noqa: PLC0415 Arrow takes a while to import

            return TableReader(self.config, file, stat)
        return LineReader(self.config, file, stat, self._buffers, self._rested_ms(stat))

    def _open_next(self) -> "LineReader | TableReader | None":
        while self._work or self._poll():
            file, stat = self._work.pop(0)
            try:
                return self._opened(file, stat)
            except (ReplacedError, FileNotFoundError):
                continue  # the next look at the directory finds it under its new name
            except _BROKEN as fault:
                self._give_up(file, fault)
        return None

    def _poll(self) -> bool:
        """Read the directory, unless that was done just now; return whether there is work."""
        now_ns = self._now_ns()
        rested_ns = now_ns - self._polled_ns if self._polled_ns is not None else -1
        if not self._drain and 0 <= rested_ns < self.config.poll_ms * 1_000_000:
            return False
        self._polled_ns = now_ns
        waiting = False
        for entry in self._entries():
            stat = entry.stat
            try:
                file = self._names.find(entry, settled=self._settled(stat))
            except OSError as fault:
                self._fault(entry.path, fault)
                continue
            if file is None or file.over(stat):
                continue
            if file.seen == stat and self._rested_ms(stat) < file.rest_ms:
                waiting = True
            else:
                self._work.append((file, stat))
        self._work.sort(key=lambda item: (item[1].changed_ns, item[0].path.name))
        self.exhausted = not self._work and not waiting
        return bool(self._work)

    def _entries(self) -> list[Entry]:
        """Return the files that lie in the directory, known ones first; none, and a fault, while it is away."""
        config, names = self.config, self._names
        try:
            found = list(entries_of(config.directory, follow_links=config.follow_links, on_link=self._link))
        except OSError as fault:
            self._fault(config.directory, fault)
            return []
        found = [entry for entry in found if names.wanted(entry, config.pattern)]
        names.look(found, self._now_ns())
        self._surveyed = True
        found.sort(key=lambda entry: not names.knows(entry))  # whether a file was replaced shows before its copy
        return found

    def _link(self, path: Path) -> None:
        self._fault(path, OSError("is a symbolic link, and follow_links is false"))

    def _settled(self, stat: Stat) -> bool:
        return self._rested_ms(stat) >= self.config.settle_ms

    def _rested_ms(self, stat: Stat) -> float:
        """Return how long a file has not changed; without end when draining."""
        return inf if self._drain else (self._now_ns() - stat.changed_ns) / 1_000_000

    def _give_up(self, file: File, fault: Exception) -> None:
        """Give a file up until it changes; one that ends too early may still be on its way."""
        # A size and time that no file has: one that appears later differs, and is read.
        stat = stat_of(file.path) if file.path.exists() else Stat(-1, -1)
        if isinstance(fault, EOFError) and not self._settled(stat):
            file.seen, file.waiting, file.rest_ms = stat, True, self.config.settle_ms
            return
        file.seen, file.waiting = stat, False
        self._fault(file.path, fault)

    def _fault(self, path: Path, fault: Exception) -> None:
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
        found = Fault(printable(str(path)), printable(f"{type(fault).__name__}: {reason}"))
        if found not in self.faults and len(self.faults) < FAULTS_MAX:
            self.faults.append(found)
            log.warning("source %s: %s cannot be read: %s", self.config.name, found.path, found.reason)
