"""Visits of the log at the desk: what a raw topic brings, and what a desk that forgot is told again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from connectors.desk.desk import Desk
from connectors.desk.queue import MemoryQueue
from engine.flow.decider import Attributes
from engine.flow.visits import VisitRow
from engine.runtimes.cluster.decide.arrivals import TopicArrivals
from rules.load import load_text
from state.batch import Row, Value, from_rows
from state.hashing import hash_text
from state.texts import hashed_texts
from tests.connectors.desk.world import ANNA, Log, desk_over

BOOK = load_text(
    {"book.toml": '[book]\nzone = "Asia/Shanghai"\n[attributes]\nbrand = "string"\ntenure_months = "int"\n'}
)
KNOWN = {hash_text(text): text for text in (b"t1", b"v1")}


class Known:
    """Texts that a cluster has from format 1."""

    def text(self, hashed: int) -> bytes | None:
        return KNOWN.get(hashed)


BRAND = "全球通".encode()
ATTRIBUTES = Attributes({"brand": hash_text(BRAND), "tenure_months": 75}, hashed_texts([BRAND]))
FOLD: Any = SimpleNamespace(attributes=lambda _: ATTRIBUTES)


def rows(*, opened: bool) -> Any:
    values: dict[str, Value] = {"terminal": "t1", "visit": "v1", "open": opened, "cause": ""}
    return from_rows(BOOK.schema, [Row("visit", ANNA, 1_000, values)])


@contextlib.asynccontextmanager
async def working(queue: MemoryQueue | None = None) -> AsyncIterator[tuple[TopicArrivals, Desk, Log]]:
    desk, log = desk_over(queue)
    texts: Any = Known()
    arrivals = TopicArrivals(desk, texts, lambda: BOOK)
    task = asyncio.create_task(arrivals.run())
    try:
        yield arrivals, desk, log
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_visit_from_a_raw_topic_stands_at_its_terminal_with_its_customer_and_closes() -> None:
    async with working() as (arrivals, desk, log):
        arrivals.note(FOLD, rows(opened=True))
        await asyncio.sleep(0.02)
        panel = await desk.queue.read("t1")
        assert panel.open_visit is not None
        assert (panel.open_visit.id, panel.open_visit.subscriber) == ("v1", ANNA)
        customer = panel.open_visit.customer
        assert (customer.brand, customer.tenure) == ("全球通", "在网 6 年 3 个月")
        assert log.stood() == []  # the log has it
        arrivals.note(FOLD, rows(opened=False))
        await asyncio.sleep(0.02)
        assert (await desk.queue.read("t1")).open_visit is None


async def test_a_visit_that_the_desk_opened_is_told_to_the_log_once_and_closed_once() -> None:
    async with working() as (arrivals, desk, log):
        await desk.open_visit("t1", ANNA, "v1")
        arrivals.note(FOLD, rows(opened=True))
        await asyncio.sleep(0.02)
        panel = await desk.queue.read("t1")
        assert panel.visit is not None
        assert panel.visit.customer.brand == "全球通"
        await desk.close_visit("v1")
        arrivals.note(FOLD, rows(opened=False))
        await asyncio.sleep(0.02)
        assert log.stood() == ["v1 open", "v1 done"]


async def test_a_desk_that_forgot_a_visit_gets_it_back_and_one_that_knows_better_keeps_it() -> None:
    standing = [VisitRow(ANNA, hash_text(b"t1"), hash_text(b"v1"), opened=True, at_ms=1_000)]
    async with working() as (arrivals, desk, log):
        arrivals.hold_against(FOLD, standing)
        await asyncio.sleep(0.02)
        assert (await desk.queue.find("subscriber", ANNA), log.stood()) == ("t1", [])
        await desk.close_visit("v1")
        arrivals.hold_against(FOLD, standing)
        await asyncio.sleep(0.02)
        assert (await desk.queue.read("t1")).open_visit is None
