"""What the disk alone does meanwhile: a process that writes a little and syncs, at the pace of a log.

Its file was written before and keeps its size, so a sync has nothing to carry but data, and no part of the engine is in
it. Where it waits, everybody's syncs wait: a pause of the engine that is also here is the machine's.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

FILE_BYTES = 8 << 20
WRITE_BYTES = 8 << 10
EVERY_S = 0.01


@dataclass
class Syncs:
    """How long syncs took, once the measurement is over; milliseconds."""

    p50_ms: float = 0.0
    p999_ms: float = 0.0
    max_ms: float = 0.0


def write_and_sync(path: Path, ends: Connection) -> None:
    """Write and sync until told to end; answer with the seconds that each sync took."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(handle, bytes(FILE_BYTES), 0)
    os.fsync(handle)
    ends.send(None)
    took_s: list[float] = []
    while not ends.poll(EVERY_S):
        os.pwrite(handle, bytes(WRITE_BYTES), len(took_s) * WRITE_BYTES % FILE_BYTES)
        began = time.perf_counter()
        os.fdatasync(handle)
        took_s.append(time.perf_counter() - began)
    os.close(handle)
    ends.send(took_s)


@contextmanager
def watched(folder: Path) -> Iterator[Syncs]:
    """Watch the disk of a folder while the block runs."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=write_and_sync, args=(folder / "bare", theirs))
    process.start()
    ours.recv()
    syncs = Syncs()
    try:
        yield syncs
        ours.send(None)
        took_ms = np.array(ours.recv()) * 1e3
        syncs.p50_ms, syncs.p999_ms = (float(one) for one in np.percentile(took_ms, [50, 99.9]))
        syncs.max_ms = float(took_ms.max())
    finally:
        ours.close()
        process.join()
