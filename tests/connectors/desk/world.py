"""A desk for tests: a clock that is set by hand or runs, a log that can refuse, and a server on a free port."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from connectors.access import Guard
from connectors.desk.config import DeskConfig
from connectors.desk.desk import Desk, now_ms
from connectors.desk.model import Answer, Card, Customer, Visit
from connectors.desk.queue import MemoryQueue, Queue, QueueLostError
from connectors.desk.redis import RedisQueue
from connectors.desk.routes import add_routes
from connectors.desk.session import Sessions

ANNA = 8613800135678
BERT = 8613912340987
NOON_MS = 1_700_000_000_000


@dataclass
class Log:
    """What the engine's log would hold. While `refuses` it takes nothing."""

    visits: list[Visit] = field(default_factory=list)
    answers: list[tuple[Card, Answer]] = field(default_factory=list)
    opted_out: list[int] = field(default_factory=list)
    refuses: bool = False
    customer: Customer | None = None

    async def on_visit(self, visit: Visit) -> Customer | None:
        if self.refuses:
            raise OSError("no space left on device")
        self.visits.append(visit)
        return self.customer

    async def on_answer(self, card: Card, answer: Answer) -> None:
        if self.refuses:
            raise OSError("no space left on device")
        self.answers.append((card, answer))

    async def on_opt_out(self, subscriber: int) -> None:
        if self.refuses:
            raise OSError("no space left on device")
        self.opted_out.append(subscriber)

    def told(self) -> list[str]:
        """Return what was told, in short words."""
        return [f"{card.decision_id} {answer.kind}" for card, answer in self.answers]

    def stood(self) -> list[str]:
        """Return visits, in short words."""
        return [f"{visit.id} {visit.cause.value if visit.cause else 'open'}" for visit in self.visits]


@dataclass
class HandClock:
    """A clock that moves when it is told to."""

    now: int = NOON_MS

    def __call__(self) -> int:
        return self.now


def card(decision_id: str = "0-100-0-7", subscriber: int = ANNA, **more: object) -> Card:
    """Return a card such as a rule makes."""
    facts: dict[str, object] = {
        "title": "12593 长途加拨",
        "reason": "今天第一次拨打省际长途，还没有用过 12593。",
        "script": "您刚才打了外省电话，前面加拨 12593，每分钟能省一半。",
        "price": "0.10 元/分钟",
        "rule": "first-long-distance",
        "campaign": "12593-care",
    }
    return Card.model_validate({"decision_id": decision_id, "subscriber": subscriber, **facts, **more})


def desk_over(queue: Queue | None = None, clock: object = None, **settings: object) -> tuple[Desk, Log]:
    """Return a desk over a queue (in memory unless given), and its log."""
    config = DeskConfig.model_validate(settings)
    log = Log()
    queue = queue or MemoryQueue(config.visit_idle_ms, config.retry_ms)
    wall: object = clock or now_ms
    made = Desk(queue, log.on_visit, log.on_answer, config, wall, on_opt_out=log.on_opt_out)  # type: ignore[arg-type]  # a callable
    return made, log


async def until_settled(queue: Queue) -> None:
    """Wait until a Redis that this queue meets for the first time has its panels."""
    assert isinstance(queue, RedisQueue)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(QueueLostError):
            return await queue.settled()
        await asyncio.sleep(0.01)
    raise AssertionError("redis did not settle within 10 s")


@dataclass
class Served:
    """A desk behind a real server."""

    desk: Desk
    log: Log
    sessions: Sessions
    url: str
    http: aiohttp.ClientSession

    async def open(self, terminal: str = "counter-3", subscriber: int = ANNA, **more: object) -> str:
        """Open a visit as a system does; return its id."""
        body = {"terminal": terminal, "subscriber": subscriber, **more}
        async with self.http.post(f"{self.url}/desk/visits", json=body) as reply:
            assert reply.status in {200, 201}, await reply.text()
            return str((await reply.json())["visit"])

    async def answer(self, card_id: str, kind: str, **more: object) -> tuple[int, dict[str, object]]:
        """Answer a card; return status and body."""
        body = {"answer": kind, **more}
        async with self.http.post(f"{self.url}/desk/cards/{card_id}/answer", json=body) as reply:
            return reply.status, await reply.json()


@contextlib.asynccontextmanager
async def serve(desk: Desk, log: Log, port: int = 0) -> AsyncIterator[Served]:
    """Serve a desk on a free port of this machine."""
    app = web.Application()
    Guard(delay_s=0.0).add_to(app)
    sessions = add_routes(app, desk, b"a key of the terminals alone")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await desk.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    headers = {}
    if desk.config.token is not None:
        headers["Authorization"] = f"Bearer {desk.config.token.read()}"
    try:
        async with aiohttp.ClientSession(headers=headers) as http:
            yield Served(desk, log, sessions, url, http)
    finally:
        await desk.stop()
        await runner.cleanup()
