"""Time, power and the disk."""

from state.disk import DiskFullError
from tests.simulation.steps.parts import Parts
from tests.simulation.traffic import HOUR_MS


class FaultSteps(Parts):
    """What happens to the machine."""

    def _pass_time(self) -> None:
        self.clock.go(
            self.chance.choice((200, 1_000, 1_000, 20_000, 20_000, 300_000, 300_000, HOUR_MS, 7 * HOUR_MS, -3_000))
        )

    def _arm(self) -> None:
        self.machine.cut_after(self.chance.choice((0, 1, 2, 3, 5, 8, 13, 30, 60)))

    def _fill_disk(self) -> None:
        if self.chance.random() < 0.3:
            self.machine.store.full = True
        else:
            self.machine.capacity_bytes = self.machine.used_bytes() + self.chance.choice((0, 100, 5_000, 20_000))

    def _refuse(self) -> None:
        self.machine.store.refusals = self.chance.randint(1, 5)

    def _wait_for_room(self, fault: DiskFullError) -> None:
        """The flow found the disk full: operations make room, or end the engine."""
        self.counted["the flow waited for room on the disk"] += 1
        if self.chance.random() < 0.3:
            raise fault
        self._make_room()

    def _make_room(self) -> None:
        self.machine.capacity_bytes = None
        self.machine.store.full = False
        self.machine.store.refusals = 0
