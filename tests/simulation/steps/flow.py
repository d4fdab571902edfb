"""Workers, the commit thread, and pages."""

from engine.flow.queues import IDLE_WAIT_S
from tests.simulation.judges import BrokenError
from tests.simulation.steps.parts import Parts

DRAIN_STEPS_MAX = 20_000


class FlowSteps(Parts):
    """The flow goes on, a step of any thread after the other."""

    def _work(self) -> None:
        """Workers find tasks and do them, a step of any of them after the other."""
        for _ in range(self.chance.choice((1, 2, 4, 8, 12))):
            self.life.flow.work()
        self.counted["several tasks of workers were on their way"] += self.life.flow.in_flight > 1

    def _commit(self) -> None:
        for _ in range(self.chance.choice((1, 2, 4, 8))):
            self.life.flow.commit()

    def _drain(self) -> None:
        """Read, fold and commit all that waits."""
        life, flow = self.life, self.life.flow
        for _ in range(DRAIN_STEPS_MAX):
            if not life.busy and life.read and not life.pipeline.stages.due:
                return
            worked, committed = flow.work(), flow.commit()
            if not worked and not committed:
                self.clock.passed_s += IDLE_WAIT_S
        raise BrokenError("what was taken becomes durable", f"after {DRAIN_STEPS_MAX} steps of every thread")

    def _ask(self) -> None:
        """Read a subscriber's state between two frames, as the desk does."""
        subscriber = self.chance.choice(self.traffic.lively)
        self.judges.asked.append(self.life.pipeline.ask(subscriber, lambda one: one.attributes(subscriber)))

    def _sweep(self) -> None:
        partition = self.chance.choice(self.life.core.partitions)
        position = partition.log.next_position - 1
        if position >= 0:
            partition.flusher.step(position, self.chance.choice((1, 1, 2, 8)))

    def _pump(self) -> None:
        for partition in self.life.core.partitions:
            partition.flusher.pump(self.chance.choice((1, 2, 100)))

    def _retain(self) -> None:
        self.life.core.let_go()
