"""Carries dirty pages from memory to the store, and back at start. (Surface first; bodies follow.)

Fold thread, between two batches:  flusher.step(position); after redo: flusher.redo_done()
Commit thread, after the journal's sync: flusher.durable(position)
Writer: flusher.start() runs a thread; a simulation calls flusher.pump() instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.store import Store

Snapshot = dict[str, Any]  # orjson-able: source positions, active book version, paused set, clock


@dataclass(frozen=True, slots=True)
class Recovered:
    redo_from: int  # first log position to fold again; 0: everything
    snapshot: Snapshot | None  # of the state before `redo_from`; None: fresh
    slot_stamps: NDArray[np.int64]  # (capacity,) rows at or below a slot's stamp change nothing; -1 for free slots


class Flusher:
    def __init__(self, partition: int, table: Any, contacts: Any, store: Store, snapshot: Callable[[], Snapshot]) -> None: ...

    redo_from: int  # durable: the log may forget what is before
    dirty_pages: int
    sleeping: int

    def recover(self) -> Recovered: ...
    def redo_done(self) -> None: ...
    def step(self, position: int, pages_max: int) -> int:
        """Copy up to `pages_max` dirty pages of the state as of `position` (last folded); begins sweeps; returns pages copied."""
        ...

    def pages_due(self, position: int) -> int:
        """How many pages to copy now so that the redo budget holds."""
        ...

    def durable(self, position: int) -> None: ...
    def pump(self, batches_max: int = 1_000_000) -> int: ...
    def start(self) -> None: ...
    def close(self) -> None: ...
    def put_to_sleep(self, slots: NDArray[np.int32], position: int) -> None: ...
    def wake(self, subscribers: NDArray[np.int64], slots: NDArray[np.int32], position: int) -> NDArray[np.int64]:
        """For rows newly inserted by lookup: fill the slots of those found asleep; return each one's stamp (-1: really new)."""
        ...
