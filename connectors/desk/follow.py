"""Terminals' streams in Redis, followed: one blocking connection for some hundred terminals.

A watcher of a terminal gets its panel at once, after every change, and None while Redis is out of reach or settles.
An entry of a stream only rings; the panel is read afterwards. The follower has one more stream of its own, the bell: an
entry there ends the blocking read, so that a terminal that was just joined is followed at once.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, cast

from redis import asyncio as aioredis

from connectors.desk.model import Panel
from connectors.desk.queue import FORGET_MS, Mailbox, QueueLostError, end
from connectors.seldom import Seldom

T = TypeVar("T")

BLOCK_MS = 2_000
BACKOFF_MS_MIN = 50
BACKOFF_MS_MAX = 1_000

log = logging.getLogger(__name__)
seldom = Seldom(log)


class Panels(Protocol):
    """What a follower needs of the queue whose terminals it follows; `connectors.desk.redis` is one."""

    @property
    def within_reach(self) -> bool:
        """Whether Redis answered when last asked, and had its panels."""

    def key(self, kind: str, name: object) -> str:
        """Return the key of one thing."""

    async def ask(self, question: Awaitable[T]) -> T:
        """Await an answer from Redis; QueueLostError when it is out of reach."""

    async def settled(self) -> None:
        """Return when Redis answers and has its panels; QueueLostError when it does not."""

    async def panels(self, terminals: list[str]) -> list[Panel]:
        """Read the panels of several terminals."""

    def newest(self, panel: Panel) -> Panel:
        """Return the newest panel of a terminal that is known here, this one included."""


class Follower:
    """One blocking connection that serves the streams of some hundred terminals.

    Args:
        queue: reads panels, and knows whether Redis is in reach.
        redis: a connection that may block for `BLOCK_MS`.
        terminals_max: terminals followed here at the most.
    """

    def __init__(self, queue: Panels, redis: "aioredis.Redis", terminals_max: int) -> None:
        self._queue = queue
        self._redis = redis
        self._terminals_max = terminals_max
        self._boxes: dict[str, set[Mailbox]] = {}
        self._after: dict[str, str] = {}
        self._fresh: set[str] = set()
        self._bell = queue.key("bell", uuid.uuid4().hex)
        self._task = asyncio.create_task(self._follow_forever(), name="desk redis follower")

    def takes(self, terminal: str) -> bool:
        """Whether a watcher of this terminal belongs here."""
        return terminal in self._boxes or len(self._boxes) < self._terminals_max

    async def join(self, terminal: str) -> Mailbox:
        """Begin a watch: the panel follows as soon as Redis gives it."""
        box = Mailbox()
        self._boxes.setdefault(terminal, set()).add(box)
        self._fresh.add(terminal)
        with contextlib.suppress(QueueLostError):
            await self._queue.ask(self._ring())
        if not self._queue.within_reach:
            box.put(None)
        return box

    async def _ring(self) -> None:
        pipe = self._redis.pipeline(transaction=False)
        pipe.xadd(self._bell, {"ring": 1}, maxlen=1)
        pipe.pexpire(self._bell, FORGET_MS)
        await pipe.execute()

    def leave(self, terminal: str, box: Mailbox) -> None:
        """End a watch."""
        boxes = self._boxes[terminal]
        boxes.discard(box)
        if not boxes:
            del self._boxes[terminal]
            self._after.pop(terminal, None)
            self._fresh.discard(terminal)

    async def stop(self) -> None:
        """End the watches and the connection."""
        await end(self._task)
        for boxes in self._boxes.values():
            for box in boxes:
                box.close()
        await self._redis.aclose()

    async def _follow_forever(self) -> None:
        backoff_ms = BACKOFF_MS_MIN
        bell_after = "0"
        while True:
            try:
                await self._greet()
                bell_after = await self._follow_once(bell_after)
                backoff_ms = BACKOFF_MS_MIN
            except QueueLostError as fault:
                log.warning("desk: %s; watchers of %d terminals wait", fault, len(self._boxes))
                for boxes in self._boxes.values():
                    for box in boxes:
                        box.put(None)
                self._fresh.update(self._boxes)
                bell_after = "0"
                await asyncio.sleep(backoff_ms / 1_000)
                backoff_ms = min(2 * backoff_ms, BACKOFF_MS_MAX)
            except Exception:  # noqa: BLE001 it is logged, with its traceback
                seldom.exception("desk: the follower of %d terminals failed, it starts again", len(self._boxes))
                self._fresh.update(self._boxes)
                await asyncio.sleep(BACKOFF_MS_MAX / 1_000)

    async def _greet(self) -> None:
        """Bring terminals up to date that just joined, or whose Redis was away: the stream's end, then the panel."""
        while self._fresh:
            await self._queue.settled()
            terminals = sorted(self._fresh)
            pipe = self._redis.pipeline(transaction=False)
            for terminal in terminals:
                pipe.xrevrange(self._queue.key("stream", terminal), count=1)
            ends = await self._queue.ask(pipe.execute())
            self._after |= {
                terminal: entries[0][0].decode() if entries else "0"
                for terminal, entries in zip(terminals, ends, strict=True)
                if terminal in self._boxes
            }
            for panel in await self._queue.panels(terminals):
                self._show(panel)
            self._fresh.difference_update(terminals)

    async def _follow_once(self, bell_after: str) -> str:
        streams: dict[Any, Any] = {self._bell: bell_after}
        streams |= {self._queue.key("stream", terminal): after for terminal, after in self._after.items()}
        question = cast("Callable[..., Awaitable[list[Any]]]", self._redis.xread)
        found = await self._queue.ask(question(streams, block=BLOCK_MS))
        changed: list[str] = []
        skip = len(self._queue.key("stream", ""))
        for name, entries in found or []:
            last = entries[-1][0].decode()
            if name.decode() == self._bell:
                bell_after = last
            elif (terminal := name.decode()[skip:]) in self._after:
                self._after[terminal] = last
                changed.append(terminal)
        if changed:
            for panel in await self._queue.panels(changed):
                self._show(panel)
        return bell_after

    def _show(self, panel: Panel) -> None:
        panel = self._queue.newest(panel)
        for box in self._boxes.get(panel.terminal, ()):
            box.put(panel)
