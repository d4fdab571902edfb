"""A backtest as text: a table for the eye, CSV and NDJSON for programs.

CSV and NDJSON hold one figure a line (`engine.runtimes.backtest.figures`), written as reports are
(`engine.evidence.texts`): texts from outside are made visible, and in CSV none begins as a formula does.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from engine.evidence.texts import csv_lines, ndjson_lines
from engine.runtimes.backtest.figures import NAMES, VALUES, Figure, Names, figures, names_of
from engine.runtimes.backtest.lane import LaneResult
from engine.runtimes.backtest.recorded import Recording
from engine.runtimes.backtest.side import Backtest, Side
from state.schema import DUE
from state.visible import visible


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to show: lines about the run, the books' names in order, every figure."""

    head: tuple[str, ...]
    books: tuple[str, ...]
    rows: tuple[Figure, ...]
    disagrees: bool

    @classmethod
    def of(cls, backtest: Backtest, sides: Sequence[Side], results: Sequence[LaneResult], recording: Recording) -> Self:
        """Return what the sides of a backtest found; the first one is what ran."""
        ran = [recording.shelf.get(version).book for version in reversed(results[0].versions)]
        names = names_of([*ran, *(side.compiled.book for side in sides if side.compiled is not None)])
        books = tuple(side.name for side in sides)
        found = tuple(figures(books, results, names, backtest.sample))
        agreement = results[0].agreement
        disagrees = agreement is not None and not agreement.whole and backtest.extent.whole
        return cls(tuple(_head(backtest, sides, results, names)), books, found, disagrees)

    def section(self, name: str) -> list[Figure]:
        """Return the figures of a section."""
        return [row for row in self.rows if row["section"] == name]


@dataclass(frozen=True, slots=True)
class Pivot:
    """A section with a row for each combination of names and a column for each book."""

    title: str
    names: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def pivots(shown: Shown) -> list[Pivot]:
    """Return the tables of a backtest, the empty ones left out."""
    wanted = (
        ("decided", "decided", ("rule", "channel"), _decided),
        ("sent", "accepted by a gateway or shown at a desk", ("rule",), _value),
        ("refunded", "given up, by reason", ("rule", "reason"), _value),
        ("stopped", "candidates stopped, by gate", ("rule", "gate"), _value),
        ("withdrawn", "taken back before they went, by gate", ("rule", "gate"), _value),
        ("hour", "decided by hour", ("hour", "channel"), _value),
        ("hour_sent", "accepted or shown by hour", ("hour",), _value),
        ("overlap", "subscribers whom both rules reached", ("rule", "other"), _value),
        ("top", "subscribers with most decisions", ("subscriber",), _value),
    )
    found = [_pivot(shown, *one) for one in wanted]
    return [one for one in found if one.rows]


def table(shown: Shown) -> str:
    """Return the tables as text."""
    lines = [*shown.head]
    for pivot in pivots(shown):
        head = (*pivot.names[:-1], pivot.names[-1], *shown.books)
        body = [(*names, *values) for names, values in pivot.rows]
        lines += ["", pivot.title, *_aligned([head, *body], len(pivot.names))]
    return "".join(f"{visible(line)}\n" for line in lines)


def csv(shown: Shown) -> str:
    """Return every figure as a line of CSV, the names first."""
    names = (*NAMES, *VALUES)
    return "".join(csv_lines(names, ({name: row.get(name) for name in names} for row in shown.rows)))


def ndjson(shown: Shown) -> str:
    """Return every figure as a line of JSON, after one about the run."""
    rows: list[Mapping[str, Any]] = [{"section": "run", "notes": list(shown.head)}, *shown.rows]
    return "".join(ndjson_lines(rows))


def _pivot(
    shown: Shown, section: str, title: str, names: tuple[str, ...], show: Callable[[list[Figure]], str]
) -> Pivot:
    found: dict[tuple[str, ...], dict[str, list[Figure]]] = {}
    for row in shown.section(section):
        key = tuple(str(row[name]) for name in names)
        found.setdefault(key, {}).setdefault(str(row["book"]), []).append(row)
    keys = list(found) if section in ("decided", "overlap", "top") else sorted(found)
    rows = tuple((key, tuple(show(found[key].get(book, [])) for book in shown.books)) for key in keys)
    return Pivot(title, names, rows)


def _value(rows: list[Figure]) -> str:
    return f"{sum(int(row['value']) for row in rows):,}" if rows else "-"


def _decided(rows: list[Figure]) -> str:
    """Return decisions, the bounds where they are a sample's, and how they differ from the running book's."""
    if not rows:
        return "-"
    (row,) = rows
    text = f"{row['value']:,}"
    if row["low"] != row["high"]:
        text += f" ({row['low']:,} to {row['high']:,})"
    if row["only_here"] or row["only_running"]:
        text += f" [+{row['only_here']:,} -{row['only_running']:,}]"
    return text


def _aligned(rows: Iterable[Sequence[str]], left: int) -> list[str]:
    """Return rows as lines with columns of one width; the first `left` columns begin at the left."""
    table_rows = list(rows)
    widths = [max(len(row[at]) for row in table_rows) for at in range(len(table_rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table_rows
    ]


def _head(backtest: Backtest, sides: Sequence[Side], results: Sequence[LaneResult], names: Names) -> Iterable[str]:
    """Yield what must be known to read the figures."""
    first, sample = results[0], backtest.sample
    who = "everybody" if sample.whole else f"{sample.share:.4g} of the subscribers, by hash; figures are scaled to all"
    span = f"{_time(first.began_ms, names)} to {_time(first.ended_ms, names)}"
    yield f"{first.tally.events:,} events of {who}, {span} by the log's clock"
    yield _beginning(backtest, first, names)
    yield _agreement(first, backtest)
    for side, result in zip(sides[1:], results[1:], strict=True):
        assert side.compiled is not None
        since = backtest.span.from_ms
        when = f"from {_time(since, names)} on" if since and not backtest.span.warm else "from the first frame on"
        waiting = f", {result.tally.waiting:,} of its own texts wait at the end" if result.tally.waiting else ""
        yield f"{side.name}: version {side.compiled.book.version}, in force {when}{waiting}"
        if DUE.name in side.compiled.book.schema.codes:
            yield f"{side.name}: of its deadlines those alone come that came live; a timer of its own never ends here"
    if len(sides) > 1:
        yield "[+N -M]: decisions that only this book took, and that only the running one took"


def _beginning(backtest: Backtest, first: LaneResult, names: Names) -> str:
    if backtest.extent.whole:
        return "state begins empty at the first frame of the log, as it did live"
    return (
        f"state begins empty at {_time(first.began_ms, names)}: the log before is not kept, so what features and caps "
        "knew of it is missing, for every book alike"
    )


def _agreement(first: LaneResult, backtest: Backtest) -> str:
    agreement, versions = first.agreement, ", ".join(first.versions) or "none"
    assert agreement is not None
    if agreement.whole:
        return f"running: version {versions}; {agreement.same:,} records, all as they were decided live"
    text = (
        f"running: version {versions}; {agreement.same:,} records as live, {agreement.differ:,} other, "
        f"{agreement.live_only:,} only live, {agreement.here_only:,} only here, as {', '.join(agreement.first)}"
    )
    return text if not backtest.extent.whole else f"{text}: THE REHEARSAL DOES NOT AGREE WITH THE LIVE RUN"


def _time(time_ms: int, names: Names) -> str:
    return datetime.fromtimestamp(time_ms / 1000, names.zone).strftime("%Y-%m-%d %H:%M:%S")
