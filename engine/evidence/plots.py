"""Plots as inline SVG: no script, no network, colours of the page's own, figures beside every mark.

A plot is drawn in a box of `WIDTH` units and scales with the page; text from outside is escaped here.
"""

from collections.abc import Sequence
from html import escape

from engine.evidence.measures import percent
from engine.evidence.table import points
from engine.evidence.units import Lift
from state.masking import masked
from state.visible import visible

WIDTH = 640
BAR = 28
LABEL = 150
LABEL_CHARS = 52
FIGURE = 150
LEFT = 70


def words(text: str) -> str:
    """Return a text from outside as it may stand in a page: visible, escaped, without a subscriber's number."""
    return escape(masked(visible(text)))


def bars(rows: Sequence[tuple[str, float, float]], text: str) -> str:
    """Return bars, (label, amount, what it is a share of) each, longest is widest."""
    most = max((amount for _, amount, _ in rows), default=0.0) or 1.0
    room = WIDTH - LABEL - FIGURE
    drawn = []
    for number, (label, amount, whole) in enumerate(rows):
        y = number * BAR
        long = max(1.0, room * amount / most) if amount else 0.0
        share = percent(amount, whole)
        drawn.append(
            f'<text x="0" y="{y + 18}" class="label">{words(label)}</text>'
            f'<rect x="{LABEL}" y="{y + 4}" width="{long:.1f}" height="{BAR - 10}" rx="2" class="bar"/>'
            f'<text x="{LABEL + long + 8:.1f}" y="{y + 18}" class="figure">{amount:,.0f}'
            f"{f' · {share}' if share else ''}</text>"
        )
    return _box(len(rows) * BAR, text, "".join(drawn))


def columns(days: Sequence[tuple[str, Sequence[float]]], names: Sequence[str], text: str) -> str:
    """Return a group of columns a day, one a name."""
    high, foot = 180, 40
    most = max((value for _, values in days for value in values), default=0.0) or 1.0
    step = (WIDTH - LEFT) / max(1, len(days))
    wide = min(26.0, step * 0.8 / max(1, len(names)))
    every = -(-len(days) // 10)
    drawn = [
        f'<line x1="{LEFT - 4}" x2="{WIDTH}" y1="{high}" y2="{high}" class="axis"/>',
        f'<text x="{LEFT - 10}" y="16" class="tick end">{most:,.0f}</text>',
        f'<text x="{LEFT - 10}" y="{high}" class="tick end">0</text>',
    ]
    for number, (day, values) in enumerate(days):
        left = LEFT + number * step
        for place, value in enumerate(values):
            tall = (high - 4) * value / most
            drawn.append(
                f'<rect x="{left + place * wide:.1f}" y="{high - tall:.1f}" width="{max(0.5, wide - 1):.1f}" '
                f'height="{tall:.1f}" class="c{place}"><title>{words(day)} {names[place]}: {value:,.0f}</title></rect>'
            )
        if number % every == 0:
            drawn.append(f'<text x="{left:.1f}" y="{high + 16}" class="tick">{words(day[5:])}</text>')
    for place, name in enumerate(names):
        x = LEFT + place * 120
        drawn.append(f'<rect x="{x}" y="{high + 26}" width="10" height="10" class="c{place}"/>')
        drawn.append(f'<text x="{x + 15}" y="{high + 35}" class="tick">{words(name)}</text>')
    return _box(high + foot, text, "".join(drawn))


def intervals(lifts: Sequence[Lift], text: str) -> str:
    """Return where each difference lies, with 0 in the middle: a dot, and a line from low to high."""
    sure = [one for one in lifts if one.contacted and one.held_out]
    reach = max((max(abs(one.interval.low), abs(one.interval.high)) for one in sure), default=0.0) or 1.0
    middle, room, tall = WIDTH / 2, WIDTH / 2 - 20, 46
    high = len(sure) * tall + 24
    drawn = [f'<line x1="{middle}" x2="{middle}" y1="0" y2="{high - 20}" class="axis"/>']
    for number, one in enumerate(sure):
        y = number * tall + 32
        low, up, at = (
            middle + room * x / reach for x in (one.interval.low, one.interval.high, one.interval.difference)
        )
        kind = "bad" if one.interval.high < 0 else "good" if one.interval.low > 0 else "open"
        drawn.append(
            f'<text x="0" y="{y - 12}" class="label">{words(f"{one.goal}, {one.scope}"[:LABEL_CHARS])}</text>'
            f'<text x="{WIDTH}" y="{y - 12}" class="figure end">{points(one.interval.difference)} '
            f"({points(one.interval.low)} to {points(one.interval.high)})</text>"
            f'<line x1="{low:.1f}" x2="{up:.1f}" y1="{y}" y2="{y}" class="reach {kind}"/>'
            f'<circle cx="{at:.1f}" cy="{y}" r="5" class="{kind}"/>'
        )
    drawn.append(
        f'<text x="20" y="{high - 4}" class="tick">{points(-reach)}</text>'
        f'<text x="{middle}" y="{high - 4}" class="tick middle">0 points</text>'
        f'<text x="{WIDTH - 20}" y="{high - 4}" class="tick end">{points(reach)}</text>'
    )
    return _box(high, text, "".join(drawn))


def _box(high: float, text: str, drawn: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {max(1, high):.0f}" role="img" aria-label="{words(text)}" '
        f'xmlns="http://www.w3.org/2000/svg">{drawn}</svg>'
    )
