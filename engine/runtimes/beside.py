"""Compile shares of the kernels beside each other, a process for each core: the compiler itself uses one.

Machine code goes through the kernel cache on disk, so nothing is handed back: whoever needs it finds it there. A share
that was not compiled, for whatever reason, is compiled by its user.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from state.jit import cache_folder, is_kept

MODULE = "engine.runtimes.warmup"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the warm-up that stands alone.

    Args:
        name: what another process is told.
        run: compiles it.
        module: one whose kernels it compiles and no other share; where they are kept, nothing is to be done.
        weight: seconds that it takes, about: shares are dealt out by it.
    """

    name: str
    run: Callable[[], None]
    module: str
    weight: float


def compile_beside(shares: Sequence[Share], show: Callable[[str], None], say: Callable[[str], None]) -> None:
    """Compile what is not kept yet of `shares`, this process doing one part itself; one core leaves it all to it.

    `show` is called with the name of every kernel that another process compiles, `say` with why there is none.
    """
    missing = [share for share in shares if not is_kept(share.module)]
    own, *others = _deal(missing, len(os.sched_getaffinity(0)))
    with _started(others, show, say):
        for share in own:
            share.run()


def _deal(shares: Sequence[Share], processes: int) -> list[list[Share]]:
    """Return the shares of each process, the heaviest first to the one that has least."""
    piles: list[list[Share]] = [[] for _ in range(max(1, min(processes, len(shares))))]
    for share in sorted(shares, key=lambda one: -one.weight):
        min(piles, key=lambda pile: sum(one.weight for one in pile)).append(share)
    return piles


@contextmanager
def _started(
    piles: Sequence[Sequence[Share]], show: Callable[[str], None], say: Callable[[str], None]
) -> Iterator[None]:
    """Run a process for each pile; at the end wait for them, or end them where this one failed."""
    running: list[tuple[subprocess.Popen[str], threading.Thread]] = []
    try:
        for pile in piles:
            process = _start([share.name for share in pile])
            reader = threading.Thread(target=_read, args=(process, show), daemon=True)
            reader.start()
            running.append((process, reader))
    except OSError as fault:
        say(f"no process beside this one: {fault.strerror or fault}")
    try:
        yield
    except BaseException:
        for process, _ in running:
            process.kill()
        raise
    finally:
        for process, reader in running:
            reader.join()
            if process.wait() > 0:
                say(f"the process beside this one ended with status {process.returncode}")


def _start(names: list[str]) -> subprocess.Popen[str]:
    """Start this module's user for some shares, with our packages and our cache whatever the current folder is."""
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    environment = os.environ | {"PYTHONPATH": paths, "OPPORTUNE_KERNEL_CACHE": str(cache_folder("state.jit").parent)}
    return subprocess.Popen(  # noqa: S603 our own interpreter and names of ours
        [sys.executable, "-P", "-m", MODULE, *names],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _read(process: subprocess.Popen[str], show: Callable[[str], None]) -> None:
    """Show each kernel that a process names, to its end."""
    assert process.stdout is not None
    with process.stdout as names:
        for name in names:
            show(name.rstrip("\n"))
