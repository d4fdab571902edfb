"""A report as a table for a terminal: aligned, shares beside their denominators, columns of nothing left out."""

import unicodedata
from collections.abc import Iterator, Sequence

from engine.evidence.measures import MEASURES, percent
from engine.evidence.tally import Group
from engine.evidence.units import Lift
from state.visible import visible

GAP = "  "


def report_lines(by: Sequence[str], groups: Sequence[Group], whole: Group) -> Iterator[str]:
    """Yield the lines of a report, its sum last."""
    names = [name for name in MEASURES if whole[name]]
    head = [*by, *names]
    body = [[*map(visible, group.keys), *(figure(group, name) for name in names)] for group in (*groups, whole)]
    yield from aligned(head, body, len(by))


LIFT_HEADS = ("goal", "of", "contacted", "reached", "held out", "reached")
ARM_HEADS = ("goal", "arms", "the first", "reached", "the second", "reached")


def lift_lines(lifts: Sequence[Lift], heads: Sequence[str] = LIFT_HEADS) -> Iterator[str]:
    """Yield the lines of what contacts did to goals, or of how arms differ; then a warning where a contact hurts."""
    head = [*heads, "difference", "interval of 95%", ""]
    body = [
        [
            visible(one.goal), visible(one.scope),
            f"{one.contacted:,}", of(one.contacted_reached, one.contacted),
            f"{one.held_out:,}", of(one.held_out_reached, one.held_out),
            points(one.interval.difference) if one.contacted and one.held_out else "",
            f"{points(one.interval.low)} to {points(one.interval.high)}" if one.contacted and one.held_out else "",
            one.verdict,
        ]
        for one in lifts
    ]  # fmt: skip
    yield from aligned(head, body, 2)
    yield from (f"warning: {visible(one.warning)}" for one in lifts if one.hurts)


def figure(group: Group, name: str) -> str:
    """Return a measure, and what share it is of its denominator, as 20,461 64.48%."""
    measure = MEASURES[name]
    if measure.amount:
        return f"{group[name]:,.2f}"
    return of(int(group[name]), group[measure.of]) if measure.of else f"{int(group[name]):,}"


def of(part: int, whole: float) -> str:
    """Return a count and its share."""
    share = percent(part, whole)
    return f"{part:,} {share:>7}" if share else f"{part:,}"


def points(difference: float) -> str:
    """Return a difference of shares as +1.25 points of a hundred."""
    return f"{100 * difference:+.2f}"


def aligned(head: Sequence[str], body: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    """Yield head and rows with columns of one width each, the first `left` of them to the left."""
    widths = [max(map(width, column)) for column in zip(head, *body, strict=True)]
    for row in (head, *body):
        cells = []
        for number, (text, wide) in enumerate(zip(row, widths, strict=True)):
            fill = " " * (wide - width(text))
            cells.append(text + fill if number < left else fill + text)
        yield GAP.join(cells).rstrip()


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: a Chinese letter takes two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
