"""A close ends the visit that it names and no other, in the fold as at the desk."""

from pathlib import Path
from typing import Any

import pytest

from engine.counter.arrivals import LocalArrivals
from engine.flow.visits import VisitRow
from engine.runtimes.rehearsal import run_scenarios
from rules.load import load_book
from tests.connectors.desk.world import ANNA, HandClock, desk_over
from tests.engine.test_local_arrivals import NOW_MS, Texts
from tests.engine.world import BOOK

SCENARIO = """
[[test]]
name = "visits"
events = [
{events}
  {{ at = 2008-11-04T09:10:00+08:00, call = {{ kind = "long" }} }},
]
expect = [{{ at = 2008-11-04T09:10:00+08:00, rule = "long-care", channel = "{channel}" }}]
"""
OPEN, CLOSE = "open = true", "open = false"
V1, V2 = 'visit = "v1", ', 'visit = "v2", '


@pytest.mark.parametrize(
    ("visits", "channel"),
    [
        ([V1 + OPEN, V1 + CLOSE], "sms"),
        ([V1 + OPEN, V2 + OPEN, V1 + CLOSE], "desk"),
        ([V1 + OPEN, V2 + OPEN, V1 + CLOSE, V2 + CLOSE], "sms"),
        ([V2 + OPEN, CLOSE], "desk"),
        ([OPEN, V1 + CLOSE], "desk"),
        ([OPEN, CLOSE], "sms"),
    ],
)
def test_a_close_ends_the_visit_that_it_names_for_whoever_decides(
    tmp_path: Path, visits: list[str], channel: str
) -> None:
    events = [
        f'  {{ at = 2008-11-04T09:0{minute}:00+08:00, visit = {{ terminal = "t1", {fields} }} }},'
        for minute, fields in enumerate(visits)
    ]
    text = BOOK + SCENARIO.format(events="\n".join(events), channel=channel)
    (tmp_path / "book.toml").write_text(text)

    (result,) = run_scenarios(load_book(tmp_path))

    assert result.faults == ()


@pytest.mark.parametrize(
    ("opened", "closed", "stands"),
    [("v1", "v1", False), ("v2", "v1", True), ("v1", "", True), ("", "v1", True), ("", "", False)],
)
async def test_a_close_ends_the_visit_that_it_names_at_the_desk(opened: str, closed: str, stands: bool) -> None:
    desk, _ = desk_over(clock=HandClock(NOW_MS))
    arrivals = LocalArrivals(desk, Texts())
    for position, name in enumerate((opened, closed)):
        row = VisitRow(ANNA, "t1", name, opened=position == 0, at_ms=NOW_MS + position)
        frame: Any = type("Frame", (), {"position": position, "visits": [row]})
        partition: Any = type("Partition", (), {"number": 0})
        arrivals.note(partition, [frame])
        brought = arrivals.before(partition, position)
        assert brought is not None
        await brought

    assert ((await desk.queue.read("t1")).open_visit is not None) is stands
