"""A backtest as one HTML file: no network, no script; it prints well and reads on a narrow and a dark screen.

The bars are of the hours, one a book, drawn as SVG.
"""

from html import escape

from engine.runtimes.backtest.output import Pivot, Shown, pivots
from state.visible import visible

HEIGHT, BAR, GAP = 120, 8, 6
COLOURS = ("#2563a8", "#c2571a", "#2f7d4f", "#7a4fa3", "#8a6d1f")
STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
.wide{overflow-x:auto}table{border-collapse:collapse}
th,td{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #8884}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
@media print{body{margin:0;max-width:none}h2,tr{break-inside:avoid}}
"""


def page(shown: Shown) -> str:
    """Return the page."""
    notes = "".join(f"<p>{_text(line)}</p>" for line in shown.head)
    sections = "".join(_section(shown, pivot) for pivot in pivots(shown))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Backtest</title><style>{STYLE}</style><h1>Backtest of {_text(' and '.join(shown.books))}</h1>"
        f"{notes}{_bars(shown)}{sections}</html>\n"
    )


def _section(shown: Shown, pivot: Pivot) -> str:
    head = "".join(f"<th scope=col>{_text(name)}</th>" for name in pivot.names)
    head += "".join(f'<th scope=col class="n">{_text(book)}</th>' for book in shown.books)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_text(name)}</td>' for name in names)}"
        f"{''.join(f'<td class=n>{_text(value)}</td>' for value in values)}</tr>"
        for names, values in pivot.rows
    )
    return f'<h2>{_text(pivot.title)}</h2><div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _bars(shown: Shown) -> str:
    """Return decisions by hour as bars, side by side."""
    counts: dict[str, dict[str, int]] = {}
    for row in shown.section("hour"):
        by_book = counts.setdefault(str(row["hour"]), {})
        book = str(row["book"])
        by_book[book] = by_book.get(book, 0) + int(row["value"])
    if not counts:
        return ""
    most = max(max(by_book.values()) for by_book in counts.values())
    hours = sorted(counts)
    step = BAR * len(shown.books) + GAP
    bars = "".join(
        _bar(at * step + index * BAR, counts[hour].get(book, 0), most, index, f"{hour} {book}")
        for at, hour in enumerate(hours)
        for index, book in enumerate(shown.books)
    )
    key = " ".join(
        f'<span style="color:{_colour(index)}">&#9632;</span> {_text(book)}' for index, book in enumerate(shown.books)
    )
    return (
        f"<h2>decided by hour, {_text(hours[0])} to {_text(hours[-1])}, at most {most:,}</h2><p>{key}</p>"
        f'<div class="wide"><svg role="img" aria-label="decisions by hour" width="{step * len(hours)}" '
        f'height="{HEIGHT}">{bars}</svg></div>'
    )


def _bar(left: int, count: int, most: int, index: int, title: str) -> str:
    height = round(HEIGHT * count / most)
    return (
        f'<rect x="{left}" y="{HEIGHT - height}" width="{BAR - 1}" height="{height}" fill="{_colour(index)}">'
        f"<title>{_text(title)}: {count:,}</title></rect>"
    )


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _text(text: str) -> str:
    return escape(visible(text))
