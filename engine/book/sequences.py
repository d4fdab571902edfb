"""Sequences made ready to run: what the kernel is told of their steps, and where conditions stand."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rules.expressions.tree import Expr
from rules.steps import Sequence
from state.features import FeatureSpec
from state.features.sequence_spec import (
    AT_LEAST,
    AT_MOST,
    DIFFERENT,
    EQUAL,
    FLOATS,
    LESS,
    MORE,
    SequenceSpec,
    StepSpec,
)
from state.schema import Kind

NO_STEPS: NDArray[np.int64] = np.zeros((0, 2), np.int64)
"""The steps of what is no sequence."""
_CODES = {"==": EQUAL, "!=": DIFFERENT, "<": LESS, "<=": AT_MOST, ">": MORE, ">=": AT_LEAST}


def spec_of_sequence(sequence: Sequence) -> FeatureSpec:
    """Return what `state.features` needs to know of a sequence."""
    steps = tuple(
        StepSpec(
            step.taken,
            tuple(
                (_CODES[one.op] | (FLOATS if one.kind is Kind.FLOAT else 0), one.slot, one.taken)
                for one in step.compared
            ),
        )
        for step in sequence.steps
    )
    return FeatureSpec(
        "sequence", Kind.INT, window_ms=sequence.within_ms, sequence=SequenceSpec(steps, sequence.places)
    )


def wheres_of(sequence: Sequence) -> Iterator[tuple[int, Expr]]:
    """Yield the conditions of its steps, each with the type of event that it is asked about."""
    for step in sequence.steps:
        if step.where is not None:
            yield step.type, step.where


def step_words(sequence: Sequence, where: int) -> tuple[NDArray[np.int64], int]:
    """Return type and index of the condition of each step, -1 for none, and the first index that is left.

    `where` is the index of the first of its conditions.
    """
    words = []
    for step in sequence.steps:
        words.append((step.type, where if step.where is not None else -1))
        where += step.where is not None
    return np.array(words, np.int64), where
