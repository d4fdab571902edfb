"""Texts with named gaps: `尊敬的{name}用户，本月已用{spend:.2f}元`.

A gap is `{name}`, `{name:format}` or, with words for a value that is unknown, `{name|words}`, `{name:format|words}`;
`{{` and `}}` are plain braces. There is no code in a text: a name is looked up, never evaluated. Names are the event's
fields, attributes, features, `at`, `logged`, `subscriber` (the number), and `offer.title`, `offer.script`,
`offer.link`.

    kind            format            shown
    number          d  .0f ... .6f    whole, or with that many decimals; a comma before them groups thousands
    time            %Y %m %d %H %M    and other signs between them, in the operator's zone; `%m-%d %H:%M` unless said
    text            .1 ... .200       cut to that many characters
    set             none              the members, with `、` between them
    bool            none              是 or 否
    duration        s m h d           whole units, rounded down

A text with an unknown value and no words for it is not sent (`rules.gates.text`); where it is shown all the same, on a
card or in a reason, it is nothing, and so are a time outside the years 1 to 9999 and a number that is not finite. A
value inside a link (`https://...{name}`) is URL-encoded. Signs that turn the direction of writing, and control
characters, are refused in a text and taken out of values.

`parse` finds the gaps, `check_format` judges them, `forbidden` finds signs, `Template.render` fills the gaps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from urllib.parse import quote

from rules.memory import remembered
from state.schema import Kind

__all__ = ["GAPS_MAX", "Gap", "Shown", "Template", "TemplateFault", "check_format", "forbidden", "parse"]

GAPS_MAX = 32
TIME_FORMAT = "%m-%d %H:%M"

Shown = int | float | bool | str | Sequence[str] | None

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)?")
_NUMBER = re.compile(r",?(?:d|\.[0-6]f)")
_TEXT = re.compile(r"\.(?:[1-9]|[1-9]\d|1\d\d|200)", re.ASCII)
_TIME = re.compile(r"(?:[^%{}]|%[YmdHM])+")
_DURATIONS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_IN_LINK = re.compile(r"://[^\s\"<>\u0080-\uffff]*\Z")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line ends, and those that turn the direction of writing."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Gap:
    """A place to fill. `start` and `end` are offsets of its name in the text, for diagnostics.

    `words` stand for a value that is unknown, None where there are none; `in_link` says that the gap is part of a link.
    """

    name: str
    format: str
    start: int
    end: int
    words: str | None = None
    in_link: bool = False


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """Braces that do not match, or a gap without a good name."""

    message: str
    start: int
    end: int


@dataclass(frozen=True)
class Template:
    """A text with gaps. `parts` are plain texts and gaps in order; `kinds` says how to show each gap's name."""

    text: str
    parts: tuple[str | Gap, ...]
    kinds: tuple[tuple[str, Kind, bool], ...] = ()

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """The gaps in reading order."""
        return tuple(part for part in self.parts if isinstance(part, Gap))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names the text uses, each once."""
        return tuple(dict.fromkeys(gap.name for gap in self.gaps))

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """The names without which the text has a gap that nothing fills, as `names` has them."""
        bare = {gap.name for gap in self.gaps if gap.words is None}
        return tuple(name for name in self.names if name in bare)

    @cached_property
    def _shown_as(self) -> dict[str, tuple[Kind, bool]]:
        return {name: (kind, duration) for name, kind, duration in self.kinds}

    def missing(self, values: Mapping[str, Shown]) -> tuple[str, ...]:
        """Return the names that the text needs and `values` lacks, in reading order."""
        return tuple(name for name in self.needed if values.get(name) is None)

    def render(self, values: Mapping[str, Shown], zone: tzinfo = UTC) -> str:
        """Fill the gaps. Times are epoch milliseconds, sets their members.

        A missing or None value shows the gap's words, or nothing.
        """
        kinds = self._shown_as
        shown = []
        for part in self.parts:
            if isinstance(part, str):
                shown.append(part)
            elif (value := values.get(part.name)) is not None:
                said = _show(value, part.format, *kinds.get(part.name, (Kind.STRING, False)), zone)
                said = _FORBIDDEN.sub("", said)
                shown.append(quote(said, safe="") if part.in_link else said)
            else:
                shown.append(part.words or "")
        return "".join(shown)


@remembered
def parse(text: str) -> Template | TemplateFault:
    """The parts of a text, kinds not yet known; or the first fault of its braces."""
    parts: list[str | Gap] = []
    plain = so_far = ""
    at = 0
    for match in _PIECE.finditer(text):
        plain += text[at : match.start()]
        at = match.end()
        if match[0] in ("{{", "}}"):
            plain += match[0][0]
        elif match[1] is None:
            return TemplateFault(f"a single `{match[0]}`: write `{match[0] * 2}` for the sign itself", *match.span())
        else:
            head, bar, words = match[1].partition("|")
            name, _, form = head.partition(":")
            if not _NAME.fullmatch(name):
                return TemplateFault(f"`{name}` is not a name: a gap is `{{name}}` or `{{name:format}}`", *match.span())
            so_far += plain
            in_link = _IN_LINK.search(so_far) is not None
            start = match.start(1)
            parts += [plain, Gap(name, form, start, start + len(name), words if bar else None, in_link)]
            plain = ""
            so_far += "x"
    parts.append(plain + text[at:])
    if len(parts) > 2 * GAPS_MAX + 1:
        return TemplateFault(f"gaps={len(parts) // 2} must be <= {GAPS_MAX}", 0, len(text))
    return Template(text, tuple(part for part in parts if part != ""))


def forbidden(text: str) -> tuple[int, str] | None:
    """Where the first sign stands that no text may have, and its name; None where there is none."""
    found = _FORBIDDEN.search(text)
    return (found.start(), f"U+{ord(found[0]):04X}") if found else None


def check_format(form: str, kind: Kind, duration: bool) -> str:
    """What is wrong with a format for values of a kind; empty when nothing is."""
    if not form:
        return ""
    if duration:
        return "" if form in _DURATIONS else f"`{form}` must be one of s, m, h, d for a duration"
    if kind in (Kind.INT, Kind.FLOAT):
        return "" if _NUMBER.fullmatch(form) else f"`{form}` must be `d` or `.0f` ... `.6f` for a number"
    if kind is Kind.TIME:
        return "" if _TIME.fullmatch(form) else f"`{form}` must be made of %Y %m %d %H %M for a time"
    if kind is Kind.STRING:
        return "" if _TEXT.fullmatch(form) else f"`{form}` must be `.1` ... `.200` for a text"
    return f"`{form}`: a {kind.name.lower()} takes no format"


def _show(value: Shown, form: str, kind: Kind, duration: bool, zone: tzinfo) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, str):
        return value[: int(form[1:])] if form else value
    if not isinstance(value, int | float):
        return "、".join(value or ())
    if not math.isfinite(value):
        return ""
    if kind is Kind.TIME:
        return _time(int(value), form or TIME_FORMAT, zone)
    return str(int(value) // _DURATIONS[form or "s"]) if duration else _number(value, form)


def _number(value: int | float, form: str) -> str:
    if form:
        return format(round(value), form) if form.endswith("d") else format(float(value), form)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value) if isinstance(value, int) else format(value, ".6g")


def _time(at_ms: int, form: str, zone: tzinfo) -> str:
    try:
        at = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)
    except OverflowError:
        return ""
    signs = {"%Y": f"{at.year:04d}", "%m": f"{at.month:02d}", "%d": f"{at.day:02d}"}
    signs |= {"%H": f"{at.hour:02d}", "%M": f"{at.minute:02d}"}
    return re.sub(r"%[YmdHM]", lambda match: signs[match[0]], form)
