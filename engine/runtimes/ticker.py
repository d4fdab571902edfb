"""Something that a runtime does again and again: look at the book's folder, settle, ask how far a topic goes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


class Ticker:
    """Calls something every `period_s` seconds, for the first time after one period; a fault in it ends `run`.

    Args:
        period_s: seconds between the end of one call and the next.
        work: what is called.
        stopping: ends `run` when it is set, at once between two calls; without one `run` goes on until cancelled.
    """

    def __init__(
        self, period_s: float, work: Callable[[], Awaitable[object]], stopping: asyncio.Event | None = None
    ) -> None:
        self._period_s = period_s
        self._work = work
        self._stopping = stopping or asyncio.Event()

    async def run(self) -> None:
        """Work until stopped."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._period_s)
                return
            await self._work()
