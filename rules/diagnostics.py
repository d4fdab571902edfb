"""What is wrong in a rule book, where, and how it is printed.

A `Diagnostic` carries a code that never changes (`rules.codes`), the place (file, line, column, width), the line
itself, and at most one hint, given only when something near exists. `BookErrors` carries all of them, sorted by place.

    BookErrors(ValueError)      every fault of a book, found in one reading

Nothing here reads files. Places inside a TOML string are found by an `Origin` (see `rules.toml`), and only when a
fault is reported: a book without faults never pays for them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol

from state.visible import visible

if TYPE_CHECKING:
    from rules.codes import Advice, Code

__all__ = ["BookErrors", "Diagnostic", "Origin", "Place", "PlainOrigin", "nearest"]

NEAR_CUTOFF = 0.75
NEAR_AMONG = 500
NEAR_CHARS = 64
"""Characters of a name that are compared: names have no more."""
SHOWN_MAX = 50
MESSAGE_MAX = 500
"""Characters of a message that are printed."""
EXCERPT_MAX = 160
"""Characters of a line that are printed, around the fault."""
CUT = "..."


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A stretch of one line. `line` and `column` count from 1; `column` and `width` count characters."""

    file: str
    line: int
    column: int
    width: int = 1
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{visible(self.file)}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault: `message` says what is wrong, `label` stands beside the caret, `hint` says what to try.

    `level` is "error" of what makes a book unusable, else "warning".
    """

    code: Code | Advice
    message: str
    place: Place
    label: str = ""
    hint: str = ""
    level: str = "error"

    def __str__(self) -> str:
        return self.render()

    @property
    def summary(self) -> str:
        """One line: `file:line:column: error[R201]: message (hint)`."""
        tail = f" ({visible(self.hint)})" if self.hint else ""
        return f"{self.place}: {self.level}[{self.code}]: {clipped(self.message)}{tail}"

    def render(self) -> str:
        """The printed form: code and message, clickable place, excerpt, caret with label, hint."""
        number = str(self.place.line)
        gutter = " " * len(number)
        lines = [f"{self.level}[{self.code}]: {clipped(self.message)}", f"{gutter}--> {self.place}"]
        if self.place.excerpt:
            excerpt, at = _window(self.place)
            marked = excerpt[at:][: max(self.place.width, 1)].removesuffix(CUT) or " "
            caret = blank(excerpt[:at]) + "^" * max(columns(marked), 1)
            lines += [
                f"{gutter} |",
                f"{number} | {excerpt}",
                f"{gutter} | {caret} {visible(self.label)}".rstrip(),
            ]
        if self.hint:
            lines.append(f"{gutter} = hint: {visible(self.hint)}")
        return "\n".join(lines)


class BookErrors(ValueError):  # noqa: N818 - it carries many errors, and its name says so
    """A book cannot be used: all of its faults at once, in the order of their places.

    `stopped`: there were so many that the reading ended before the book.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], *, stopped: bool = False) -> None:
        self.stopped = stopped
        self.diagnostics = tuple(sorted(set(diagnostics), key=lambda fault: (fault.place, fault.code, fault.message)))
        super().__init__(self.render())

    def __reduce__(self) -> tuple[Callable[..., BookErrors], tuple[tuple[Diagnostic, ...], bool]]:
        return _errors, (self.diagnostics, self.stopped)

    def render(self) -> str:
        """The first faults, printed one below the other, and the number of all."""
        count = len(self.diagnostics)
        shown = [*map(str, self.diagnostics[:SHOWN_MAX])]
        more = f", the first {SHOWN_MAX} shown" if count > SHOWN_MAX else ""
        most = "; reading stopped there" if self.stopped else ""
        return "\n\n".join([*shown, f"{count} fault{'s' if count != 1 else ''} in the book{more}{most}"])


def _errors(diagnostics: tuple[Diagnostic, ...], stopped: bool) -> BookErrors:
    return BookErrors(diagnostics, stopped=stopped)


class Origin(Protocol):
    """Where a text came from: turns character offsets inside the text into places in its file."""

    def place(self, start: int, end: int) -> Place:
        """The place of the characters `start` to `end` (exclusive) of the text; a stretch over lines is cut."""
        ...


@dataclass(frozen=True, slots=True)
class PlainOrigin:
    """The text is the whole file: what tools and tests use for an expression without a book."""

    file: str
    text: str

    def place(self, start: int, end: int) -> Place:
        """Count lines and characters in the text itself."""
        begin = self.text.rfind("\n", 0, start) + 1
        excerpt = self.text[begin:].partition("\n")[0]
        width = max(1, min(end, begin + len(excerpt)) - start)
        return Place(self.file, self.text.count("\n", 0, start) + 1, start - begin + 1, width, excerpt)


def clipped(message: str) -> str:
    """A message on one line, cut where it is long: names that a book made up stand in it."""
    message = visible(message)
    return message if len(message) <= MESSAGE_MAX else message[: MESSAGE_MAX - len(CUT)] + CUT


def _window(place: Place) -> tuple[str, int]:
    """What is shown of a line, and where in it the fault stands."""
    at = place.column - 1
    if len(place.excerpt) <= EXCERPT_MAX:
        return place.excerpt, at
    start = max(0, min(at - EXCERPT_MAX // 2, len(place.excerpt) - EXCERPT_MAX))
    shown = place.excerpt[start : start + EXCERPT_MAX]
    head = CUT if start else ""
    tail = CUT if start + EXCERPT_MAX < len(place.excerpt) else ""
    return head + shown + tail, at - start + len(head)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names what was probably meant, or nothing when nothing is near.

    Of very many names only those are looked at that begin as `name` does, and of these the first `NEAR_AMONG`.
    """
    among = list(known)
    if len(among) > NEAR_AMONG:
        among = [one for one in among if one[:1] == name[:1]][:NEAR_AMONG]
    found = get_close_matches(name[:NEAR_CHARS], among, n=1, cutoff=NEAR_CUTOFF)
    return f"did you mean `{found[0]}`?" if found else ""


def columns(text: str) -> int:
    """How many terminal columns a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def blank(text: str) -> str:
    """White space as wide as the text, tabs kept, so that a caret stands below what it marks."""
    return "".join("\t" if sign == "\t" else " " * columns(sign) for sign in text)
