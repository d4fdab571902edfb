"""A visit that was durable before a crash and did not reach the desk is brought there before any decision is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from connectors.desk.desk import Desk
from connectors.desk.queue import MemoryQueue
from engine.counter.arrivals import LocalArrivals
from state.batch import Row, from_rows
from state.frame import Frame, FrameKind
from state.hashing import hash_text
from state.journal import Journal
from state.log import Log
from state.schema import make_schema
from tests.connectors.desk.world import ANNA, BERT, desk_over
from tests.fakes.disk import SimulatedDisk

SCHEMA = make_schema((), ())
NOW_MS = 1_700_000_000_000
NAMES = ("t1", "t2", "v1", "v2", "v3")


class Texts:
    """Every text of this file."""

    def text(self, hashed: int) -> bytes | None:
        return {hash_text(name.encode()): name.encode() for name in NAMES}.get(hashed)


def partition_of(frames: list[list[Row]], reached: list[int]) -> Any:
    """A partition whose log holds a frame a second, and whose journal has an entry that reaches each of `reached`."""
    disk = SimulatedDisk()
    log, journal = Log(Path("log"), disk), Journal(Path("journal"), disk)
    for number, rows in enumerate(frames):
        log.append(Frame(FrameKind.EVENTS, NOW_MS + number * 1000, from_rows(SCHEMA, rows), {}))
    for position in reached:
        journal.append(position, [b""], NOW_MS)
    return SimpleNamespace(number=0, log=log, journal=journal, clock_ms=NOW_MS + 1000 * len(frames))


def visit(subscriber: int, terminal: str, name: str, at_s: int, **more: object) -> Row:
    values: Any = {"terminal": terminal, "visit": name, **more}
    return Row("visit", subscriber, NOW_MS + at_s * 1000, values)


async def test_only_visits_behind_what_dispatch_took_over_are_brought_and_none_over_a_newer_one() -> None:
    clock = NOW_MS + 60_000
    desk, log = desk_over(clock=lambda: clock)
    clock = NOW_MS + 1500
    await desk.open_visit("t2", BERT, "v2", logged=True)
    frames = [
        [visit(ANNA, "t1", "v3", 0)],
        [visit(BERT, "t2", "v1", 1)],
        [visit(ANNA, "t1", "v1", 2)],
    ]

    await LocalArrivals(desk, Texts()).resume(partition_of(frames, [0, 2]), 1)

    assert await standing(desk) == {"t1": "v1", "t2": "v2"}
    assert log.visits == [], "the log has them already"


async def test_a_visit_that_ended_before_the_crash_is_not_left_open() -> None:
    desk, _ = desk_over(MemoryQueue(300_000, 2_000), lambda: NOW_MS + 5000)
    frames = [[visit(ANNA, "t1", "v1", 0)], [visit(ANNA, "t1", "v1", 1, open=False)]]

    await LocalArrivals(desk, Texts()).resume(partition_of(frames, []), 0)

    assert await standing(desk) == {"t1": "", "t2": ""}


async def standing(desk: Desk) -> dict[str, str]:
    """Return the open visit of each terminal."""
    panels = {terminal: await desk.queue.read(terminal) for terminal in ("t1", "t2")}
    return {terminal: panel.open_visit.id if panel.open_visit else "" for terminal, panel in panels.items()}
