"""What the kernel of sequences is told of one: its steps, as words at an address.

A step takes cells along (captures), and compares its own cells with those that earlier steps took along. Captures are
numbered through all steps, those of a step behind each other.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

EQUAL, DIFFERENT, LESS, AT_MOST, MORE, AT_LEAST = range(6)
"""How an own cell is compared with one that was taken along."""
FLOATS = 8
"""Bit of a comparison: the cells are floats."""

STEPS, PLACES, CAPTURES = range(0, 24, 8)
"""Words at the head, as offsets in bytes: how many steps, runs that a subscriber may have open, and captures."""
STEP_WORDS = 4
FIRST_CAPTURE, CAPTURE_COUNT, COMPARES_AT, COMPARES_COUNT = range(0, 32, 8)
"""Words of a step: its captures; where its comparisons begin, in bytes from the head, and how many they are."""
HEAD_WORDS, COMPARE_WORDS = 3, 3
RUN_HEAD_WORDS = 2
"""Words of a run before what it took along: see `state.features.kinds.sequence`."""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A step: the slots of the cells that it takes along, and its comparisons: how, own slot, number of the capture."""

    captures: tuple[int, ...] = ()
    compares: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class SequenceSpec:
    """The steps of a sequence, and how many runs of it a subscriber may have open."""

    steps: tuple[StepSpec, ...]
    places: int

    @property
    def run_words(self) -> int:
        """Words of one run."""
        return RUN_HEAD_WORDS + sum(len(step.captures) for step in self.steps)

    @cached_property
    def program(self) -> NDArray[np.int64]:
        """The words: head, steps, slots of the captures, comparisons."""
        slots = [slot for step in self.steps for slot in step.captures]
        words = [len(self.steps), self.places, len(slots)]
        captured, compares_at = 0, 8 * (HEAD_WORDS + STEP_WORDS * len(self.steps) + len(slots))
        for step in self.steps:
            words += [captured, len(step.captures), compares_at, len(step.compares)]
            captured += len(step.captures)
            compares_at += 8 * COMPARE_WORDS * len(step.compares)
        words += slots
        words += [word for step in self.steps for compare in step.compares for word in compare]
        return np.array(words, np.int64)


NO_SEQUENCE = SequenceSpec((), 0)
"""That of all other kinds."""
