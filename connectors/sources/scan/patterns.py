"""The steps of a time's pattern as words, for `times.pattern_time`."""

import numpy as np
from numpy.typing import NDArray

from connectors.sources.scan import layout as at
from connectors.sources.time_pattern import Step, steps_of

_PARTS = {
    "Y": 0, "m": 1, "d": 2, "H": 3, "M": 4, "S": 5,
    "f": at.STEP_FRACTION, "y": at.STEP_SHORT_YEAR, "z": at.STEP_ZONE,
}  # fmt: skip
_NEVER = (at.STEP_LETTER, ord("\n"), 0)  # no line has one: the strict path judges


def pattern_words(time_format: str) -> NDArray[np.int64]:
    """Return int64[k, 3], the steps of a format; none where it is no pattern."""
    if "%" not in time_format:
        return np.zeros((0, 3), np.int64)
    steps = steps_of(time_format)
    spelt = any(step.name and step.letter in "bIp" for step in steps)
    if spelt or any(step.letter == "z" and step.name for step in steps[:-1]):
        return np.array([_NEVER], np.int64)
    return np.array([word for step in steps for word in _words(step)], np.int64)


def _words(step: Step) -> list[tuple[int, int, int]]:
    if step.name:
        return [(_PARTS[step.letter], step.least, step.most)]
    return [(at.STEP_LETTER, byte, 0) for byte in step.letter.encode()]
