"""A small disk for one process and its children: a tmpfs in a mount namespace of their own."""

import ctypes
import errno
import os
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x0002_0000, 0x1000_0000
MS_REC, MS_PRIVATE = 0x4000, 0x4_0000
NO_SMALL_DISK = "no small disk here"
NO_SMALL_DISK_STATUS = 77


def mount_small_disk(folder: Path, size: int) -> None:
    """Put a disk of `size` bytes at `folder`, for this process only; OSError where the system does not let us."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder.mkdir(parents=True, exist_ok=True)
    user, group = os.geteuid(), os.getegid()  # inside the namespace they have no name at first
    for done in (
        libc.unshare(CLONE_NEWNS if user == 0 else CLONE_NEWNS | CLONE_NEWUSER),
        map_to_ourselves(user, group),
        libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
        libc.mount(b"none", str(folder).encode(), b"tmpfs", 0, f"size={size},mode=0777".encode()),
    ):
        if done != 0:
            number = ctypes.get_errno()
            sys.stderr.write(f"{NO_SMALL_DISK}: {os.strerror(number)}\n")
            sys.stderr.flush()
            os._exit(NO_SMALL_DISK_STATUS)


def map_to_ourselves(user: int, group: int) -> int:
    """Name user and group in the user namespace just made, or they may make no file; 0, or -1 with errno set."""
    own = Path("/proc/self")
    try:
        if user != 0:
            (own / "uid_map").write_text(f"{user} {user} 1", encoding="ascii")
            (own / "setgroups").write_text("deny", encoding="ascii")  # before a group may be named
            (own / "gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    except OSError as error:
        ctypes.set_errno(error.errno or errno.EPERM)
        return -1
    return 0
