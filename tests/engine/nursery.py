"""Starts engines quickly: a process that has everything loaded and compiled forks one for each line it reads.

A started engine is a real process with a pid, files and an end of its own: it can be killed with -9. Each has a keeper,
which waits for it and writes its exit status; engines die with their keepers, keepers with this process, and this
process ends with its standard input.

    line in    {"argv": [...], "folder": PATH, "name": NAME, "env": {...}, "disk_bytes": N | null, "disk_at": PATH}
    line out   pid
    files      NAME.out, NAME.err, and, when it has ended, NAME.exit (negative: the signal)
"""

import ctypes
import errno
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine.runtimes.embedded
import engine.serve.summary  # noqa: F401 the same
from engine.commands import main as command_line
from engine.runtimes.warmup import warm_up
from tests.parts.small_disk import mount_small_disk

PR_SET_PDEATHSIG = 1
LOADED = (
    "connectors.kafka.topics",
    "engine.runtimes.backtest.output",
    "engine.runtimes.backtest.page",
    "engine.runtimes.refold",
    "engine.runtimes.rehearsal",
    "engine.commands.shared.client",
    "engine.commands.shared.faults",
    "engine.commands.shared.reader",
    "engine.feed.run",
    "engine.runtimes.cluster.shared.topics",
    "engine.settings.compatibility",
)
"""What commands import when they run, beside the engine: loaded once here, not once a process."""


def main() -> None:
    """Load everything once, then fork on demand."""
    for name in LOADED:
        importlib.import_module(name)
    warm_up(None)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order = json.loads(line)
        source, target = os.pipe()
        if os.fork() == 0:
            keep(order, target)
        os.close(target)
        with os.fdopen(source) as answer:
            sys.stdout.write(answer.read() + "\n")
        sys.stdout.flush()


def keep(order: dict[str, Any], target: int) -> None:
    """Be the keeper of one engine."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    die_with_parent()
    folder, name = Path(order["folder"]), order["name"]
    pid = os.fork()
    if pid == 0:
        os.close(target)
        be_engine(order, folder, name)
    os.write(target, str(pid).encode())
    os.close(target)
    _, status = os.waitpid(pid, 0)
    draft = folder / f"{name}.draft"
    draft.write_text(str(os.waitstatus_to_exitcode(status)))
    draft.rename(folder / f"{name}.exit")
    os._exit(0)


def be_engine(order: dict[str, Any], folder: Path, name: str) -> None:
    """Run the command line in this process and end it."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for fd, suffix in ((1, "out"), (2, "err")):
        file = os.open(folder / f"{name}.{suffix}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, fd)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.update(order["env"])
    fill_disk_on_demand(folder / "disk.full")
    if order["disk_bytes"] is not None:
        mount_small_disk(folder / order["disk_at"], order["disk_bytes"])
    status = 1
    try:
        status = command_line(order["argv"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 as the interpreter would at the end of a program
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def fill_disk_on_demand(mark: Path) -> None:
    """While the file `mark` exists, every write of the state's files fails for want of room."""

    def full(function: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any) -> Any:
            if mark.exists():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args)

        return write

    for name in ("posix_fallocate", "pwrite", "pwritev"):
        setattr(os, name, full(getattr(os, name)))


def die_with_parent() -> None:
    """Let the kernel end this process when its parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
