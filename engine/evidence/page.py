"""A report as one HTML page: nothing is loaded from anywhere, it prints, and follows the reader's light or dark.

What stands in it from outside, names of rules and terminals, is escaped; a run of digits as long as a subscriber's
number is masked. No subscriber is in it.
"""

from collections.abc import Sequence

from engine.evidence.measures import MEASURES
from engine.evidence.plots import bars, columns, intervals, words
from engine.evidence.table import ARM_HEADS, LIFT_HEADS, figure, of, points
from engine.evidence.tally import Group
from engine.evidence.units import Lift

FUNNEL = ("candidates", "decided", "sent", "delivered", "shown", "accepted", "converted")
BY_DAY = ("decided", "sent", "shown", "accepted")
DAYS_MAX = 366
ROWS_MAX = 2_000
"""Rows of the table: a page is for reading, `--format csv` for everything."""

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;--line:#d0d7de;--c0:#8c959f;--c1:#0969da;
--c2:#bf8700;--c3:#1a7f37;--bad:#cf222e}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--paper:#0d1117;--line:#3d444d;--c0:#656c76;
--c1:#4493f8;--c2:#d29922;--c3:#3fb950;--bad:#f85149}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:75rem;padding:1.5rem 1rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.25rem 0;color:var(--soft)}
svg{display:block;width:100%;max-width:42rem;height:auto}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:0 2rem}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.87rem;width:100%}
th,td{padding:.35rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft)}th.key,td.key{text-align:left}
tr:last-child td{border-bottom:0}tfoot td{font-weight:600;border-top:2px solid var(--line)}
small{color:var(--soft);margin-left:.4rem}
text{font-size:14px;fill:var(--ink)}text.tick{font-size:12px;fill:var(--soft)}text.end{text-anchor:end}
text.middle{text-anchor:middle}.bar,.c1{fill:var(--c1)}.c0{fill:var(--c0)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}
.axis{stroke:var(--line)}.reach{stroke-width:3}.reach.open{stroke:var(--c0)}.reach.good{stroke:var(--c3)}
.reach.bad{stroke:var(--bad)}circle.open{fill:var(--c0)}circle.good{fill:var(--c3)}circle.bad{fill:var(--bad)}
.warning{color:var(--bad);font-weight:600}
@media (max-width:640px){text{font-size:20px}text.tick{font-size:17px}}
@media print{:root{--ink:#000;--soft:#444;--paper:#fff;--line:#999}body{padding:0;max-width:none}
.wide{overflow:visible;border:0}table{font-size:7.5pt}th,td{padding:.15rem .3rem}tr,svg{break-inside:avoid}}
"""


def page(
    by: Sequence[str],
    groups: Sequence[Group],
    days: Sequence[Group],
    whole: Group,
    lifts: Sequence[Lift],
    *,
    arms: Sequence[Lift] = (),
    span: str,
    zone: str,
) -> str:
    """Return the page; `groups` are by the keys in `by`, `days` by day, `whole` is the sum; `arms` compares arms."""
    parts = [
        f"<h1>Decisions and what became of them</h1><p>{words(span or 'all that is kept')} · {words(zone)}</p>",
        '<div class="plots">',
        _section("Funnel", bars(_funnel(whole), "Funnel: from candidates to goals reached")),
        _section("By day", _by_day(days)) if days else "",
        "</div>",
        _lift_section("Contacted against held out", lifts, LIFT_HEADS) if lifts else "",
        _lift_section("Arms", arms, ARM_HEADS) if arms else "",
        _section(f"By {', '.join(by)}", _table(by, groups, whole)),
        "<h2>What is counted</h2>",
        _legend(whole),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">"
        f"<title>Opportune: report</title><style>{STYLE}</style></head><body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{words(title)}</h2>{body}</section>"


def _funnel(whole: Group) -> list[tuple[str, float, float]]:
    names = [name for name in FUNNEL if whole[name]]
    return [(name, whole[name], whole[MEASURES[name].of] if MEASURES[name].of else 0.0) for name in names]


def _by_day(days: Sequence[Group]) -> str:
    kept = days[-DAYS_MAX:]
    return columns([(one.keys[0], [one[name] for name in BY_DAY]) for one in kept], BY_DAY, "Counts by day")


def _table(by: Sequence[str], groups: Sequence[Group], whole: Group) -> str:
    names = [name for name in MEASURES if whole[name]]
    head = "".join(f'<th scope="col" class="key">{words(name)}</th>' for name in by)
    head += "".join(f'<th scope="col">{name.replace("_", " ")}</th>' for name in names)
    body = "".join(f"<tr>{_cells(group, names)}</tr>" for group in groups[:ROWS_MAX])
    more = len(groups) - ROWS_MAX
    note = f"<p>{more:,} more rows: ask for CSV or Parquet.</p>" if more > 0 else ""
    foot = f"<tfoot><tr>{_cells(whole, names)}</tr></tfoot>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="Counts">{table}</div>{note}'


def _cells(group: Group, names: Sequence[str]) -> str:
    keys = "".join(f'<td class="key">{words(key)}</td>' for key in group.keys)
    return keys + "".join(f"<td>{_figure(group, name)}</td>" for name in names)


def _figure(group: Group, name: str) -> str:
    count, _, share = figure(group, name).partition(" ")
    return f"{count}<small>{share.strip()}</small>" if share else count


def _lift_section(title: str, lifts: Sequence[Lift], heads: Sequence[str]) -> str:
    warnings = "".join(f'<p class="warning" role="alert">{words(one.warning)}</p>' for one in lifts if one.hurts)
    head = "".join(
        f'<th scope="col"{" class=key" if number < 2 else ""}>{name}</th>'
        for number, name in enumerate((*heads, "difference, points", "95%, at all looks", ""))
    )
    body = "".join(f"<tr>{_lift_cells(one)}</tr>" for one in lifts)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    drawn = intervals(lifts, f"{title}, difference in points")
    wide = f'<div class="wide" tabindex="0" role="region" aria-label="{title}">{table}</div>'
    return _section(title, f"{warnings}{drawn}{wide}")


def _lift_cells(one: Lift) -> str:
    known = bool(one.contacted and one.held_out)
    cells = (
        f"{one.contacted:,}", of(one.contacted_reached, one.contacted),
        f"{one.held_out:,}", of(one.held_out_reached, one.held_out),
        points(one.interval.difference) if known else "",
        f"{points(one.interval.low)} to {points(one.interval.high)}" if known else "",
        words(one.verdict),
    )  # fmt: skip
    keys = f'<td class="key">{words(one.goal)}</td><td class="key">{words(one.scope)}</td>'
    return keys + "".join(f"<td>{cell}</td>" for cell in cells)


def _legend(whole: Group) -> str:
    told = (
        f"<b>{name.replace('_', ' ')}</b> {words(one.text)}"
        + (f", share of {one.of.replace('_', ' ')}" if one.of else "")
        for name, one in MEASURES.items()
        if whole[name]
    )
    return f"<p>{'; '.join(told)}.</p>"
