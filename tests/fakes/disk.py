"""A disk in memory that forgets, at a crash, what was not synced.

It follows the promises of `state.disk.Disk` that a real file system keeps and no more: a write survives a crash only
after `sync` of its file, a name only after `sync_folder`; whatever was not synced survives in any subset of 512-byte
sectors. Its faults come from the caller's own random numbers, so one seed is one history.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from state.disk import Buffer, DiskError, DiskFullError, LockedError

SECTOR_BYTES = 512


@dataclass(slots=True)
class _Content:
    """A file's bytes as readers see them, and as they would be after a crash."""

    path: Path
    seen: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    written: list[tuple[int, int]] = field(default_factory=list)  # spans not yet synced
    kept: int = 1 << 62  # shortest length since the last sync

    def settle(self) -> None:
        """Make what readers see durable."""
        del self.durable[min(self.kept, len(self.seen)) :]
        self.durable.extend(bytes(len(self.seen) - len(self.durable)))
        for start, end in self.written:
            self.durable[start:end] = self.seen[start:end]
        self.written.clear()
        self.kept = 1 << 62


class SimulatedFile:
    """A handle on a simulated file; dead after a crash."""

    def __init__(self, disk: "SimulatedDisk", content: _Content) -> None:
        self._disk = disk
        self._content = content
        self._life = disk.life

    def write(self, parts: Sequence[Buffer], offset: int) -> None:
        """Write all parts into the part that a crash may forget."""
        data = b"".join(parts)
        end = offset + len(data)
        self._disk.step("write", self._content.path, self._life)
        self._grow(max(len(self._content.seen), end))
        self._content.seen[offset:end] = data
        self._content.written.append((offset, end))

    def read(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes."""
        self._disk.alive(self._life)
        return bytes(self._content.seen[offset : offset + length])

    def sync(self) -> None:
        """Make the file's bytes durable, unless the disk was told to lie."""
        self._disk.step("sync", self._content.path, self._life)
        if self._disk.forgetful is None or not self._disk.forgetful(self._content.path):
            self._content.settle()

    def allocate(self, length: int) -> None:
        """Reserve room."""
        self._disk.step("allocate", self._content.path, self._life)
        self._grow(max(len(self._content.seen), length))

    def truncate(self, length: int) -> None:
        """Set the length."""
        self._disk.step("truncate", self._content.path, self._life)
        self._grow(max(len(self._content.seen), length))
        del self._content.seen[length:]
        self._content.kept = min(self._content.kept, length)
        self._content.written = [(low, min(high, length)) for low, high in self._content.written if low < length]

    def size(self) -> int:
        """Return the length in bytes."""
        self._disk.alive(self._life)
        return len(self._content.seen)

    def close(self) -> None:
        """Nothing is held."""

    def _grow(self, length: int) -> None:
        added = length - len(self._content.seen)
        if added > 0:
            self._disk.take_room(added, self._content.path)
            self._content.seen.extend(bytes(added))


class SimulatedLock:
    """A lock that a crash releases."""

    def __init__(self, held: set[Path], path: Path) -> None:
        self._held = held
        self._path = path

    def release(self) -> None:
        """Let others have it."""
        self._held.discard(self._path)


class SimulatedDisk:
    """A file system in memory with crashes, torn writes and a capacity.

    Args:
        capacity_bytes: room for all files together; None for no bound. May be changed at any time.
        on_step: called with (operation, path) before every step that changes the disk; raising there is a crash point.
        forgetful: when it answers True for a path, a sync of that file does nothing: a planted bug for simulations.
    """

    def __init__(
        self,
        *,
        capacity_bytes: int | None = None,
        on_step: Callable[[str, Path], None] | None = None,
        forgetful: Callable[[Path], bool] | None = None,
    ) -> None:
        self.capacity_bytes = capacity_bytes
        self.on_step = on_step
        self.forgetful = forgetful
        self.life = 0
        self._names: dict[Path, _Content] = {}
        self._durable_names: dict[Path, _Content] = {}
        self._locks: set[Path] = set()

    def make_folder(self, folder: Path) -> None:
        """Folders exist by being named."""

    def names(self, folder: Path) -> list[str]:
        """Return the names in the folder, sorted."""
        return sorted(path.name for path in self._names if path.parent == folder)

    def open(self, path: Path, *, writable: bool) -> SimulatedFile:
        """Open a file, created empty when missing and `writable`."""
        if path not in self._names:
            if not writable:
                raise DiskError(f"open {path}: No such file or directory")
            self.step("create", path, self.life)
            self._names[path] = _Content(path)
        return SimulatedFile(self, self._names[path])

    def remove(self, path: Path) -> None:
        """Remove a name; it may come back after a crash until the folder is synced."""
        self.step("remove", path, self.life)
        if self._names.pop(path, None) is None:
            raise DiskError(f"remove {path}: No such file or directory")

    def rename(self, source: Path, target: Path) -> None:
        """Rename; atomic, but durable only after the folder is synced."""
        self.step("rename", source, self.life)
        self._names[target] = self._names.pop(source)
        self._names[target].path = target

    def sync_folder(self, folder: Path) -> None:
        """Make the names in the folder durable."""
        self.step("sync folder", folder, self.life)
        self._durable_names = {p: c for p, c in self._durable_names.items() if p.parent != folder}
        self._durable_names |= {p: c for p, c in self._names.items() if p.parent == folder}

    def lock(self, path: Path) -> SimulatedLock:
        """Take the lock."""
        if path in self._locks:
            raise LockedError(f"{path.parent} is held by process simulated")
        self._locks.add(path)
        return SimulatedLock(self._locks, path)

    def later(self, task: Callable[[], None]) -> None:
        """Do it now: its steps are crash points like any other."""
        task()

    def crash(self, chance: random.Random) -> None:
        """Lose power: every change that was not synced survives or not, sector by sector, as `chance` has it."""
        self.life += 1
        self._locks.clear()
        for folder in sorted({path.parent for path in self._names | self._durable_names}):
            self._settle_names(folder, chance)
        for path in sorted(self._names):
            self._settle(self._names[path], chance)
        self._durable_names = dict(self._names)

    def stays(self, path: Path, start: int, end: int) -> bool:
        """Tell whether these bytes of a file are on the medium, and the name that leads to them."""
        content = self._names[path]
        named = self._durable_names.get(path) is content
        return named and content.durable[start:end] == content.seen[start:end]

    def damage(self, path: Path, offset: int, flip: int = 0xFF) -> None:
        """Flip bits of one byte on the medium, as rot does."""
        content = self._names[path]
        content.seen[offset] ^= flip
        content.durable[offset] ^= flip

    def step(self, operation: str, path: Path, life: int) -> None:
        """Announce a step that changes the disk."""
        self.alive(life)
        if self.on_step is not None:
            self.on_step(operation, path)

    def alive(self, life: int) -> None:
        """Refuse handles from before a crash."""
        if life != self.life:
            raise DiskError("this handle was opened before the crash")

    def used_bytes(self) -> int:
        """Return the room all files take."""
        return sum(len(content.seen) for content in self._names.values())

    def take_room(self, added: int, path: Path) -> None:
        """Refuse growth above the capacity."""
        if self.capacity_bytes is not None and self.used_bytes() + added > self.capacity_bytes:
            raise DiskFullError(f"write {path}: no room left on the disk")

    def _settle_names(self, folder: Path, chance: random.Random) -> None:
        """Names changed since the folder's last sync: each is as before or as after.

        A rename shows as one name gone and one replaced; file systems keep the order of changes in a folder, so the
        folder as a whole is taken either from before or from after.
        """
        before = {p: c for p, c in self._durable_names.items() if p.parent == folder}
        after = {p: c for p, c in self._names.items() if p.parent == folder}
        if before.keys() == after.keys() and all(before[p] is after[p] for p in before):
            return
        for path in after:
            del self._names[path]
        self._names |= before if chance.random() < 0.5 else after
        for path, content in self._names.items():
            content.path = path

    def _settle(self, content: _Content, chance: random.Random) -> None:
        """Keep a random subset of the unsynced sectors, over a length that is the old or the new."""
        if not content.written and len(content.seen) == len(content.durable):
            return
        length = chance.choice((len(content.durable), len(content.seen)))
        settled = bytearray(content.durable[:length].ljust(length, b"\0"))
        loss = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for start, end in content.written:
            for sector in range(start // SECTOR_BYTES, (end + SECTOR_BYTES - 1) // SECTOR_BYTES):
                low, high = max(start, sector * SECTOR_BYTES), min(end, (sector + 1) * SECTOR_BYTES, length)
                if low < high and chance.random() >= loss:
                    settled[low:high] = content.seen[low:high]
        content.seen = settled
        content.durable = bytearray(settled)
        content.written.clear()
        content.kept = 1 << 62
