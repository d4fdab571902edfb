"""A terminal's panel to its page, as server-sent events.

hello    once: how often a beat comes, whether clerks open visits
panel    what the page draws, after every change of it
link     the desk's queue is lost, or back
beat     nothing changed for a heartbeat
taken    somebody else has signed in at the terminal; the stream ends
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
from aiohttp import web

from connectors.desk.desk import BehindError, Desk
from connectors.desk.model import Panel
from connectors.desk.queue import QueueLostError
from connectors.desk.view import sight


async def _next(panels: AsyncIterator[Panel | None]) -> tuple[bool, Panel | None]:
    """Return whether the watch goes on, and what it yielded."""
    try:
        return True, await anext(panels)
    except StopAsyncIteration:
        return False, None


class EventStream:
    """One page's stream.

    Args:
        desk: whose panels.
        response: prepared; written to here alone.
        session: number of the session in which the page asks, 0 where none is needed.
        held_id: id of the last panel that the page says it holds, "" for none.
    """

    def __init__(self, desk: Desk, response: web.StreamResponse, session: int, held_id: str) -> None:
        self._desk = desk
        self._response = response
        self._session = session
        self._seated = session == 0
        self._held_id = held_id
        self._linked = True

    async def run(self, panels: AsyncIterator[Panel | None], closing: asyncio.Event) -> None:
        """Write panels as they change, and a beat where nothing changes."""
        config = self._desk.config
        hello = {"heartbeat_ms": config.heartbeat_ms, "clerk_opens": config.clerk_opens_visits}
        await self._write(b"retry: 1000\nevent: hello\ndata: " + orjson.dumps(hello) + b"\n\n")
        stopped = asyncio.ensure_future(closing.wait())
        following = asyncio.ensure_future(_next(panels))
        try:
            while True:
                done, _ = await asyncio.wait(
                    {following, stopped}, timeout=config.heartbeat_ms / 1_000, return_when=asyncio.FIRST_COMPLETED
                )
                if stopped in done:
                    return
                if following not in done:
                    await self._write(b"event: beat\ndata: 1\n\n")
                    continue
                goes_on, panel = following.result()
                if not goes_on:
                    return
                following = asyncio.ensure_future(_next(panels))
                if not await self._show(panel):
                    return
        finally:
            for task in (stopped, following):
                task.cancel()
            await asyncio.gather(stopped, following, return_exceptions=True)

    async def _show(self, panel: Panel | None) -> bool:
        """Write what changed; return whether the page may stay."""
        if panel is None:
            self._linked = False
            self._seated = self._session == 0
            await self._write(b'event: link\ndata: {"state":"lost"}\n\n')
            return True
        if not await self._holds(panel):
            await self._write(b"event: taken\ndata: 1\n\n")
            return False
        config = self._desk.config
        seen = sight(panel, self._desk.clock(), config.visit_idle_ms, config.country_code)
        if not self._linked:
            self._linked = True
            await self._write(b'event: link\ndata: {"state":"ok"}\n\n')
        if seen.id != self._held_id:
            self._held_id = seen.id
            await self._write(b"id: " + seen.id.encode() + b"\nevent: panel\ndata: " + seen.json + b"\n\n")
        if seen.fresh:
            with contextlib.suppress(QueueLostError, BehindError):
                await self._desk.drawn(panel.terminal, seen.fresh)
        return True

    async def _holds(self, panel: Panel) -> bool:
        """Whether the terminal is this session's; the first panel after a connection is where it is taken."""
        if not self._seated and self._desk.may_act(panel, self._session):
            with contextlib.suppress(QueueLostError, BehindError):
                self._seated = await self._desk.seat(panel.terminal, self._session)
                return self._seated
        return self._session == 0 or self._desk.may_act(panel, self._session)

    async def _write(self, data: bytes) -> None:
        await asyncio.wait_for(self._response.write(data), 2 * self._desk.config.heartbeat_ms / 1_000)
