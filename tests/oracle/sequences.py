"""How far a subscriber has come in the steps of a sequence: runs in so many places, each free or open."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rules.model import Feature
from rules.steps import Sequence, Step
from state.schema import EventType
from tests.oracle.clock import Zone

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MS_MAX = 1 << 50


@dataclass
class Run:
    """What has been taken of the steps: how many, since when, until when, with which values by their numbers."""

    steps: int = 0
    begun_ms: int = 0
    last_ms: int = 0
    taken: dict[int, Any] = field(default_factory=dict)


class Runs:
    """Told of the steps that an event fits, in the order of the log; the sequence is that of the book in force."""

    def __init__(self, feature: Feature, zone: Zone) -> None:
        assert feature.sequence is not None
        self.within_ms = feature.sequence.within_ms
        self.places = [Run() for _ in range(feature.sequence.places)]

    def move(
        self, sequence: Sequence, types: tuple[EventType, ...], fitting: set[int], at_ms: int, values: Any
    ) -> bool:
        """Take an event with these values by name; return whether a run has ended with it."""
        at_ms = min(max(at_ms, 1), MS_MAX)
        self.within_ms = sequence.within_ms
        ended = False
        for number in range(len(sequence.steps) - 1, 0, -1):
            step = sequence.steps[number]
            own = [one.name for one in types[step.type].fields]
            for run in [one for one in self.places if one.steps == number] if number in fitting else ():
                if run.steps != number or at_ms < run.last_ms or at_ms - run.begun_ms >= sequence.within_ms:
                    continue
                if not all(
                    _holds(one.op, values.get(own[one.slot]), run.taken.get(one.taken)) for one in step.compared
                ):
                    continue
                if number == len(sequence.steps) - 1:
                    run.steps, ended = 0, True
                else:
                    self._take(run, sequence, number, own, at_ms, values)
        if 0 in fitting:
            free = next((one for one in self.places if not one.steps), None)
            first = min(self.places, key=lambda one: one.begun_ms)
            run_ = free if free is not None else first if first.begun_ms <= at_ms else None
            if run_ is not None:
                run_.begun_ms, run_.taken = at_ms, {}
                own = [one.name for one in types[sequence.steps[0].type].fields]
                self._take(run_, sequence, 0, own, at_ms, values)
        return ended

    def _take(self, run: Run, sequence: Sequence, number: int, own: list[str], at_ms: int, values: Any) -> None:
        """Take a step; of this run and another that stands there with the same, the one that began later goes on."""
        run.steps, run.last_ms = number + 1, at_ms
        first = sum(len(step.taken) for step in sequence.steps[:number])
        step: Step = sequence.steps[number]
        for capture, slot in enumerate(step.taken, first):
            value = values.get(own[slot])
            if value is not None:
                run.taken[capture] = value
        for other in self.places:
            if other is not run and other.steps == run.steps and other.taken == run.taken:
                (run if run.begun_ms < other.begun_ms else other).steps = 0
                return

    def value(self, at_ms: int) -> int:
        """The step of the run that is furthest and has not gone by."""
        at_ms = min(max(at_ms, 1), MS_MAX)
        return max((one.steps for one in self.places if at_ms - one.begun_ms < self.within_ms), default=0)


def _holds(op: str, own: Any, taken: Any) -> bool:
    return own is not None and taken is not None and COMPARE[op](own, taken)
