"""Time, power and the disk."""

from engine.flow.patience import Patience
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

    def _when_full(self, patience: Patience) -> None:
        """Operations make room while the engine waits, or end it."""
        if self.chance.random() < 0.5:
            self.trace.append("  a write waits until there is room")
            self.counted["waited for room"] += 1
            self.machine.make_room()
        else:
            patience.end()
