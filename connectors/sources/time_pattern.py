"""How a time is written, by a pattern: %Y/%m/%d %H:%M:%S.

    %Y four digits   %y the last two of 20xx   %m %d %H %M %S two digits, or one where none stand beside it
    %f a fraction, up to nine digits           %z Z, +08:00, +0800 or +08     %% a percent sign
    %b Jan to Dec, in letters of any size      %I %p an hour of 1 to 12, and AM or PM

Lines whose times have %b or %I go to the strict path, one by one.

Everything else stands for itself. Year, month and day must be there; what else is missing is zero.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

KNOWN = "YymdHMSfzbIp"
_NAMES = {
    "Y": "year", "y": "year", "m": "month", "d": "day", "H": "hour", "M": "minute", "S": "second", "f": "fraction",
    "z": "zone", "b": "month_name", "I": "half_hour", "p": "half",
}  # fmt: skip
_NEEDED = ("year", "month", "day")
_TWO_DIGITS = "mdHMSI"
_LETTERS = "zbp"
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SAME = {"month_name": "month", "half_hour": "hour"}


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a pattern: a text that stands for itself, or (`name`) what is read, of so many digits."""

    letter: str
    name: str = ""
    least: int = 0
    most: int = 0

    @property
    def of_digits(self) -> bool:
        """Whether it ends or begins with a digit."""
        return self.most > 0 or self.letter.isdigit()


def steps_of(pattern: str) -> tuple[Step, ...]:
    """Return the steps of a pattern; ValueError says what is wrong with it."""
    letters = _letters(pattern)
    steps: list[Step] = []
    for place, (letter, read) in enumerate(letters):
        before = letters[place - 1] if place else ("", False)
        after = letters[place + 1] if place + 1 < len(letters) else ("", False)
        steps.append(_step(letter, beside=_digits(*before) or _digits(*after)) if read else Step(letter))
    _check(pattern, steps)
    return tuple(steps)


def expression_of(steps: tuple[Step, ...]) -> re.Pattern[str]:
    """Return the regular expression that reads what the steps say, its groups by their names."""
    return re.compile("".join(map(_expression, steps)), re.ASCII)


def _letters(pattern: str) -> list[tuple[str, bool]]:
    """Return each letter of a pattern, and whether it stands behind a percent sign."""
    found: list[tuple[str, bool]] = []
    letters = iter(pattern)
    for letter in letters:
        if letter != "%":
            found.append((letter, False))
            continue
        directive = next(letters, "")
        if directive == "%":
            found.append(("%", False))
        elif directive and directive in KNOWN:
            found.append((directive, True))
        else:
            known = " ".join(f"%{one}" for one in KNOWN)
            raise ValueError(f"time_format={pattern!r} has %{directive}, must be of {known} %%")
    return found


def _digits(letter: str, read: bool) -> bool:
    return letter not in _LETTERS if read else letter.isdigit()


def _step(letter: str, *, beside: bool) -> Step:
    name = _NAMES[letter]
    if letter == "Y":
        return Step(letter, name, 4, 4)
    if letter == "f":
        return Step(letter, name, 1, 9)
    if letter in _LETTERS:
        return Step(letter, name)
    return Step(letter, name, 1 if letter in _TWO_DIGITS and not beside else 2, 2)


def _check(pattern: str, steps: list[Step]) -> None:
    names = [_SAME.get(step.name, step.name) for step in steps if step.name]
    for name in _NEEDED:
        if name not in names:
            raise ValueError(f"time_format={pattern!r} has no {name}, must have %Y, %m and %d")
    if len(names) != len(set(names)):
        raise ValueError(f"time_format={pattern!r} reads something twice, must read each part once")
    letters = {step.letter for step in steps if step.name}
    if len(letters & {"I", "p"}) == 1:
        raise ValueError(f"time_format={pattern!r} must have %I and %p together")
    if any(one.name == "fraction" and other.of_digits for one, other in pairwise(steps)):
        raise ValueError(f"time_format={pattern!r} has digits behind %f, which has as many as there are")
    odd = [step.letter for step in steps if not step.name and (step.letter in '"\\' or not step.letter.isprintable())]
    if odd:
        raise ValueError(f"time_format={pattern!r} has {odd[0]!r}, must have no quote, backslash or control character")


def _expression(step: Step) -> str:
    if not step.name:
        return re.escape(step.letter)
    if step.name == "zone":
        return r"(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?)"
    if step.name == "month_name":
        return rf"(?P<month_name>(?i:{'|'.join(MONTHS)}))"
    if step.name == "half":
        return r"(?P<half>[AaPp][Mm])"
    return rf"(?P<{step.name}>\d{{{step.least},{step.most}}})"
