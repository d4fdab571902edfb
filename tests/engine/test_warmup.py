"""The warm-up: after it no event waits for a compiler."""

import asyncio
import gc
from pathlib import Path

from numba.core.dispatcher import Dispatcher

from engine.runtimes.warmup import warm_up
from perf import books, lines
from perf.measure import isolated
from perf.offered import offer
from perf.product import configure, running

SUBSCRIBERS = 5_000


def signatures() -> set[tuple[str, str]]:
    """Return the kernels of this process, with the types of arguments that they are ready for."""
    kernels = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
    return {(kernel.py_func.__qualname__, str(types)) for kernel in kernels for types in kernel.signatures}


def taken_up_late(folder: Path) -> list[str]:
    """Return the kernels that a flow needs and the warm-up left out."""
    lines.write_everybody(folder / "all" / "a.ndjson", lines.Feed(SUBSCRIBERS))
    with running(configure(folder, books.small(), subscribers=SUBSCRIBERS, threads=2, partitions=2)) as engine:
        warm_up(None)
        before = signatures()
        engine.take_files(folder / "all")
        asyncio.run(offer(engine, lines.Feed(SUBSCRIBERS), SUBSCRIBERS, 1.0))
        engine.core.partitions[0].flusher.finish(engine.core.partitions[0].log.next_position - 1)
        return [name for name, _ in sorted(signatures() - before)]


def test_a_flow_from_files_and_sockets_with_a_sweep_needs_no_kernel_that_the_warm_up_left_out(tmp_path: Path) -> None:
    assert isolated(taken_up_late, tmp_path) == []
