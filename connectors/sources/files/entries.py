"""What lies in a watched directory: regular files, opened so that nothing else can take their place.

Symbolic links are left alone unless the settings follow them, and a name that is no UTF-8, or has control characters,
is shown with escapes. Which file is which is not known here: see `names`.
"""

import os
import re
import stat as modes
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import NamedTuple

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Stat(NamedTuple):
    """Size and time of a file's last change, and which file it is on its machine."""

    size: int
    changed_ns: int
    device: int = 0
    inode: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode


class Entry(NamedTuple):
    """A file in the directory."""

    path: Path
    stat: Stat


def entries_of(directory: Path, *, follow_links: bool, on_link: Callable[[Path], None]) -> Iterator[Entry]:
    """Yield the regular files of a directory, and call `on_link` for links left alone; OSError: it cannot be read."""
    with os.scandir(directory) as found:
        for one in found:
            try:
                if not follow_links and one.is_symlink():
                    on_link(directory / one.name)
                elif one.is_file(follow_symlinks=follow_links):
                    yield Entry(directory / one.name, _stat(one.stat(follow_symlinks=follow_links)))
            except OSError:
                continue  # it went while the directory was read


def stat_of(path: Path) -> Stat:
    """Return what a file looks like."""
    return _stat(path.stat())


def lies_at(path: Path) -> bool:
    """Return whether something is there; nothing is where it cannot be asked for, as under a name that is too long."""
    try:
        return path.exists()
    except OSError:
        return False


def open_file(path: Path, follow_links: bool) -> FileIO:
    """Open a regular file to read; OSError for a link that is not followed, and for whatever else has its name."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    stream = FileIO(os.open(path, flags), "rb")
    if not modes.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError("is no regular file")
    return stream


def printable(name: str) -> str:
    """Return a file's name as text that can be stored and shown: bytes that are no UTF-8 and controls are escaped."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _stat(status: os.stat_result) -> Stat:
    return Stat(status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino)
