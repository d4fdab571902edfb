"""Standby copies: the pages of partitions that others own, kept up to date on this worker's disk.

    pages topic ─► committed rows ─► our RocksDB, with the offset after them

A worker that takes a partition over and has such a copy reads only what was written since, and then redoes the log.
Which worker stands by for what is Faust's assignment: with `cluster.standby_copies` it gives each partition that many
followers, and when the owner dies it makes one of them the owner, as far as that keeps the shares of workers even.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from connectors.kafka.tail import Tail
from engine.runtimes.cluster.decide.changelog import PagesCopy
from engine.runtimes.cluster.shared.record_guard import Place, RecordGuard
from engine.runtimes.cluster.shared.topics import Names
from engine.settings.config import Config
from state.store import Store


class Standby:
    """The partitions that this worker stands by for; everything is called on the loop.

    Args:
        config: checked settings.
        store: this worker's RocksDB, shared with the partitions that it owns.
        failed: called with the fault of a copy that cannot be kept.
        guard: what counts rows that are none.
    """

    def __init__(
        self, config: Config, store: Store, failed: Callable[[BaseException], None], guard: RecordGuard | None = None
    ) -> None:
        self._guard = guard
        self._config = config
        self._store = store
        self._failed = failed
        self._following: dict[int, asyncio.Task[None]] = {}
        self.offsets: dict[int, int] = {}

    async def follow(self, numbers: Collection[int]) -> None:
        """Stand by for these partitions, and for no others any more."""
        await asyncio.gather(*(self.leave(number) for number in set(self._following) - set(numbers)))
        for number in set(numbers) - set(self._following):
            task = asyncio.create_task(self._follow(number))
            task.add_done_callback(self._ended)
            self._following[number] = task

    async def leave(self, number: int) -> None:
        """Return when nothing of us writes to the copy of a partition."""
        task = self._following.pop(number, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.offsets.pop(number, None)

    async def stop(self) -> None:
        """Stand by for nothing."""
        await self.follow(())

    async def _follow(self, number: int) -> None:
        """Take in what is committed until cancelled."""
        config = self._config.cluster
        place = Place(Names(config.prefix).pages, number)
        copy = PagesCopy(self._store, number, place=place, guard=self._guard)
        tail = Tail(config, *place, committed=True)
        try:
            await tail.start()
            self.offsets[number] = await asyncio.to_thread(copy.begin)
            tail.seek(max(self.offsets[number], await tail.first()))
            while True:
                records = await tail.poll()
                if records:
                    rows = [(record.key, record.value) for record in records]
                    await _whole(asyncio.to_thread(copy.apply, rows, records[-1].offset + 1))
                    self.offsets[number] = records[-1].offset + 1
        finally:
            await tail.stop()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._failed(fault)


async def _whole(writing: Coroutine[Any, Any, None]) -> None:
    """Wait for a thread to end, also when we are cancelled: the next owner of the copy writes to it, too."""
    thread = asyncio.ensure_future(writing)
    try:
        await asyncio.shield(thread)
    except asyncio.CancelledError:
        await thread
        raise
