"""A watched directory, read line by line, oldest file first.

    source = FilesSource(config, positions)
    await source.start()
    while (chunk := source.next_chunk(bytes_max)) is not None: ...

A file is known by its name and by a fingerprint of its first bytes, so that a new file under an old name is read from
its start, while one that was copied, or grew, is read on from where it was left. A position counts unpacked bytes; once
the end was reached it is stored as `~position` (negative), so that a finished .gz is never unpacked again. A plain file
that grows later is read on.

A last line without its line end waits until the file has not changed for `settle_ms` (not at all when draining). What
cannot be read (no permission, a broken .gz) is listed in `faults` and left alone until it changes.

Not to be shared by threads. Rotation by renaming within the pattern is not followed: a new name is a new file.
"""

import logging
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from connectors.sources.contract import Chunk, Fault
from connectors.sources.files.config import FilesConfig
from connectors.sources.files.lines import Buffers, LineReader
from connectors.sources.files.names import File, Names, Stat, stat_of

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
        self._names = Names(config.name, positions)
        self._buffers = Buffers()
        self._polled_ns: int | None = None
        self._work: list[tuple[File, Stat]] = []
        self._reader: LineReader | None = None

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
        self._buffers.put(chunk.data)

    def holds(self, key: str) -> bool:
        """Return whether the file of a key is still in the directory; of another kind of key nothing is known: true."""
        name = key.removeprefix(f"{self.config.name}:").rpartition("#")[0]
        return not name or (self.config.directory / name).exists()

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

    def _open_next(self) -> LineReader | None:
        while self._work or self._poll():
            file, stat = self._work.pop(0)
            final = self._settled(stat)
            try:
                return LineReader(self.config, file, stat, self._buffers, final=final)
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
        for path in self._paths():
            if not self._names.wanted(path, self.config.pattern):
                continue
            try:
                stat = stat_of(path)
                file = self._names.find(path, stat)
            except OSError as fault:
                self._fault(str(path), fault)
                continue
            if file is None or file.over(stat):
                continue
            if file.seen == stat and not self._settled(stat):
                waiting = True
            else:
                self._work.append((file, stat))
        self._work.sort(key=lambda item: (item[1].changed_ns, item[0].path.name))
        self.exhausted = not self._work and not waiting
        return bool(self._work)

    def _paths(self) -> list[Path]:
        """Return what lies in the directory; nothing, and a fault, while it is away."""
        try:
            return list(self.config.directory.iterdir())
        except OSError as fault:
            self._fault(str(self.config.directory), fault)
            return []

    def _settled(self, stat: Stat) -> bool:
        return self._drain or self._now_ns() - stat.changed_ns >= self.config.settle_ms * 1_000_000

    def _give_up(self, file: File, fault: Exception) -> None:
        """Give a file up until it changes; one that ends too early may still be on its way."""
        # A size and time that no file has: one that appears later differs, and is read.
        stat = stat_of(file.path) if file.path.exists() else Stat(-1, -1)
        if isinstance(fault, EOFError) and not self._settled(stat):
            file.seen, file.waiting = stat, True
            return
        file.seen, file.waiting = stat, False
        self._fault(str(file.path), fault)

    def _fault(self, path: str, fault: Exception) -> None:
        found = Fault(path, f"{type(fault).__name__}: {fault}")
        if found not in self.faults and len(self.faults) < FAULTS_MAX:
            self.faults.append(found)
            log.warning("source %s: %s cannot be read: %s", self.config.name, path, found.reason)
