"""Making the outbox durable, one write for everything that was recorded, and resuming the callers that wait for it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from engine.dispatch.doors import Door
from engine.dispatch.health import Health
from engine.dispatch.model import Send
from engine.dispatch.outbox import Outbox
from state.disk import DiskFullError

_DISK_RETRY_S = 1.0

log = logging.getLogger(__name__)


class Commits:
    """Commits the outbox once a turn of the loop.

    Args:
        outbox: what is committed.
        doors: where places are held for the attempts of a commit.
        health: where a full disk is noted.
        waits: what waits then, in a word.
    """

    def __init__(self, outbox: Outbox, doors: Mapping[str, Door], health: Health, waits: str = "dispatch") -> None:
        self._outbox = outbox
        self._doors = doors
        self._health = health
        self._waits = waits
        self._waiters: list[asyncio.Future[None]] = []

    def wait(self) -> asyncio.Future[None]:
        """Return a future that is done when everything recorded so far is durable; a fault of the loop is its own."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return waiter

    async def turn(self, attempts: Sequence[Send], now_ms: int) -> None:
        """Commit what is recorded; places are held at the doors for `attempts`, which are launched after it."""
        covered = len(self._waiters)  # those that come while the disk writes have records in the next commit
        if attempts or self._outbox.dirty:
            await self._commit_attempts(attempts, now_ms)
        done, self._waiters = self._waiters[:covered], self._waiters[covered:]
        for waiter in done:
            if not waiter.done():
                waiter.set_result(None)

    def release(self, fault: Exception) -> None:
        """Let every caller fail that still waits."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(fault)

    async def _commit_attempts(self, attempts: Sequence[Send], now_ms: int) -> None:
        # A gateway shared by several dispatchers must not give the same room to each while their disks write.
        for send in attempts:
            self._doors[send.gateway].hold(send.parts)
        try:
            await self._commit(now_ms)
        except BaseException:
            for send in attempts:
                self._doors[send.gateway].let_go(send.parts)
            raise

    async def _commit(self, now_ms: int) -> None:
        health = self._health
        while True:
            try:
                self._outbox.flush(now_ms)
                break
            except DiskFullError as fault:
                if health.stopping:
                    raise
                if health.disk_full is None:
                    log.error("%s; %s waits until there is room", fault, self._waits)
                health.fault = str(fault)
                health.disk_full = fault
                await asyncio.sleep(_DISK_RETRY_S)
        health.fault = ""
        health.disk_full = None
        await self._outbox.commit()
