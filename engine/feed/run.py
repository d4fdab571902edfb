"""One feed from plan to target: profiles first, then the day, with its faults; and the report of what was sent."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from engine.feed.day import DayPlan, chunks, local_text
from engine.feed.faults import Faults, FaultShares
from engine.feed.lines import chunk_lines, profile_lines
from engine.feed.population import Population, make_population
from engine.feed.send import Target, paced


@dataclass
class FeedReport:
    """What went out. `kinds` counts events before faults touched them; `lines` is what was sent."""

    lines: int = 0
    profiles: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    late: int = 0
    doubled: int = 0
    broken: int = 0
    first: str = ""
    last: str = ""
    seconds: float = 0.0


def feed(
    plan: DayPlan,
    target: Target,
    shares: FaultShares | None = None,
    rate: float = 0.0,
    profiles: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> FeedReport:
    """Send a whole day to `target`, which is closed at the end; `progress` hears how many lines have gone."""
    began = time.monotonic()
    report = FeedReport()
    people = make_population(plan.subscribers, plan.seed)
    if profiles:
        for lines in profile_lines(plan, people):
            target.write(lines)
            report.profiles += len(lines)
    faults = Faults(shares or FaultShares(), plan.seed)
    for lines in paced(_day(plan, people, faults, report), rate):
        target.write(lines)
        report.lines += len(lines)
        progress(report.lines)
    target.close()
    report.late, report.doubled, report.broken = faults.late, faults.doubled, faults.broken
    report.seconds = time.monotonic() - began
    return report


def _day(plan: DayPlan, people: Population, faults: Faults, report: FeedReport) -> Iterator[list[str]]:
    for chunk in chunks(plan, people):
        report.first = report.first or local_text(int(chunk.at_ms[0]))
        report.last = local_text(int(chunk.at_ms[-1]))
        for kind, rows in chunk.rows.items():
            report.kinds[kind] = report.kinds.get(kind, 0) + len(rows)
        yield faults.apply(chunk_lines(chunk))
    yield faults.flush()
