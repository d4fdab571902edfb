"""A computer that can lose power before every step that changes its disk or its store, and run out of room.

`Machine` counts the durable steps of files and store alike; `cut_after` arms a cut. When it strikes, `PowerCut` goes
through the code under test like nothing it can catch, and no step works any more until `lose_power` or `kill`.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.flow.patience import Patience
from state.disk import DiskFullError
from state.store import Write
from tests.fakes.disk import SimulatedDisk
from tests.fakes.store import MemoryStore

STORE = Path("/sim/pages/store")


class PowerCut(BaseException):
    """The computer stops here; not an Exception, so that no code under test survives it."""


class Machine(SimulatedDisk):
    """A disk that counts its steps and stops before an armed one."""

    def __init__(self) -> None:
        super().__init__(on_step=self._count)
        self.steps = 0
        self.store = CountingStore(self)
        self.when_full: Callable[[Patience], None] = lambda _: self.make_room()
        """Called while a write waits for room: makes some, or ends the waiting."""
        self._left: int | None = None

    def cut_after(self, steps: int | None) -> None:
        """Lose power before the step after so many more; None disarms."""
        self._left = steps

    def _count(self, operation: str, path: Path) -> None:
        self.steps += 1
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            raise PowerCut(f"{operation} {path}")

    def make_room(self) -> None:
        """Operations free the disk."""
        self.capacity_bytes = None
        self.store.full = False
        self.store.refusals = 0

    def patience(self) -> Patience:
        """Return what waits for room on this machine, without the wall clock."""
        patience = Patience(rest=lambda _: self.when_full(patience))
        return patience

    def lose_power(self, chance: random.Random) -> None:
        """Forget what was not synced, as chance has it."""
        self._left = None
        self.crash(chance)
        self.store.crash(chance)

    def kill(self, chance: random.Random) -> None:
        """End the process alone: files keep what was written, the store's memory is gone."""
        self._left = None
        self.life += 1
        self._locks.clear()
        self.store.crash(chance)


class CountingStore(MemoryStore):
    """The store of a machine: its steps are the machine's, and it may find no room."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine
        self.full = False

    def write(self, batch: Sequence[Write]) -> bool:
        """Apply a batch."""
        self._machine.step("store write", STORE, self._machine.life)
        if self.full:
            raise DiskFullError(f"write {STORE}: no room left on the disk")
        return super().write(batch)

    def flush(self) -> None:
        """Make every batch durable, or only the oldest when power is lost meanwhile."""
        self._machine.step("store flush", STORE, self._machine.life)
        super().flush()
