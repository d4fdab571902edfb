"""Fields of a line that are made of others: `left(imei, 8)`, `{lac}-{ci}`, `{date} {time}`.

    template = piece | text with {piece}          {{ and }} stand for the brackets themselves
    piece    = name | left(piece, n) | right(piece, n) | mid(piece, first, n) | lower(piece)

The functions are those of conditions: letters are counted, `mid` from 1, `lower` knows A to Z. A name is that of a
field of the line, as it is written there: a number has its digits, a bool is true or false. Where a field has no value,
or nothing is left of all, the derived field has none. What it says is read as a value of a delimited line is: by the
kind of the field that it becomes.

Nothing else can be written, so nothing can be run. Here a template is parsed, and worked out the slow and obvious way.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

DERIVED_MAX = 32
PARTS_MAX = 16
STEPS_MAX = 4
COUNT_MAX = 65536
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)
_CALL = re.compile(r"\s*(left|right|mid|lower)\s*\((.*)\)\s*", re.DOTALL)
_NAME = re.compile(r"[^{}(),\"']+")
_NUMBERS = {"left": 1, "right": 1, "mid": 2, "lower": 0}


@dataclass(frozen=True, slots=True)
class Step:
    """A function and its numbers."""

    function: str
    numbers: tuple[int, ...] = ()

    def of(self, text: str) -> str:
        """Return what the function makes of a text."""
        return _FUNCTIONS[self.function](text, *self.numbers)


@dataclass(frozen=True, slots=True)
class Part:
    """A text that stands for itself, or, with a `name`, what the steps make of a field's value."""

    text: str = ""
    name: str = ""
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A derived field, part by part."""

    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields that it is made of."""
        return tuple(dict.fromkeys(part.name for part in self.parts if part.name))

    def of(self, values: Mapping[str, str]) -> str | None:
        """Return what the template makes of a line's values; None where one is missing, or nothing is left."""
        made = []
        for part in self.parts:
            text = values.get(part.name, "") if part.name else part.text
            if not text:
                return None
            for step in part.steps:
                text = step.of(text)
            made.append(text)
        return "".join(made) or None


def template_of(name: str, written: str) -> Template:
    """Return the template of a derived field; ValueError says what is wrong with it."""
    parts = _parts(name, written) if "{" in written or "}" in written else [_piece(name, written, written)]
    if not any(part.name for part in parts):
        raise _refused(name, written, "names no field")
    if len(parts) > PARTS_MAX:
        raise _refused(name, written, f"has {len(parts)} parts, must have <= {PARTS_MAX}")
    return Template(tuple(parts))


def _parts(name: str, written: str) -> list[Part]:
    parts: list[Part] = []
    text, at = "", 0
    while at < len(written):
        sign = written[at]
        if written[at : at + 2] in ("{{", "}}"):
            text, at = text + sign, at + 2
        elif sign == "{":
            end = written.find("}", at)
            if end < 0:
                raise _refused(name, written, f"has a bracket at character {at + 1} that is not closed")
            parts += [Part(text)] if text else []
            parts.append(_piece(name, written, written[at + 1 : end]))
            text, at = "", end + 1
        elif sign == "}":
            raise _refused(name, written, f"has a bracket at character {at + 1} that was not opened")
        else:
            text, at = text + sign, at + 1
    return [*parts, *([Part(text)] if text else [])]


def _piece(name: str, written: str, piece: str) -> Part:
    """Return what `left(mid(x, 1, 3), 2)` says: the innermost name, and the steps from the inside."""
    steps: list[Step] = []
    while (call := _CALL.fullmatch(piece)) is not None:
        numbers = _NUMBERS[call[1]]
        inner, *rest = call[2].rsplit(",", numbers) if numbers else [call[2]]
        counts = [int(one) for one in rest if re.fullmatch(r"\s*[0-9]{1,6}\s*", one)]
        if len(counts) != numbers or any(count > COUNT_MAX for count in counts):
            raise _refused(name, written, f"{call[1]} must have {numbers} whole numbers >= 0 and <= {COUNT_MAX}")
        if call[1] == "mid" and counts[0] < 1:
            raise _refused(name, written, f"mid counts letters from 1, first={counts[0]} must be >= 1")
        steps.insert(0, Step(call[1], tuple(counts)))
        piece = inner
    if len(steps) > STEPS_MAX:
        raise _refused(name, written, f"has {len(steps)} functions around a name, must have <= {STEPS_MAX}")
    if not _NAME.fullmatch(piece.strip()):
        raise _refused(
            name, written, f"{piece.strip()!r} is no name of a field, must be one or left, right, mid, lower of one"
        )
    return Part(name=piece.strip(), steps=tuple(steps))


def _refused(name: str, written: str, why: str) -> ValueError:
    return ValueError(f"derived.{name}={written!r} {why}")


_FUNCTIONS: dict[str, Callable[..., str]] = {
    "left": lambda text, count: text[:count],
    "right": lambda text, count: text[max(len(text) - count, 0) :],
    "mid": lambda text, first, count: text[first - 1 : first - 1 + count],
    "lower": lambda text: text.translate(_SMALL),
}
