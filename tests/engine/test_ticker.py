"""What a runtime does again and again: every period until it is stopped, and no longer than its first fault."""

import asyncio

import pytest

from engine.runtimes.ticker import Ticker


async def test_it_works_every_period_and_ends_at_once_when_it_is_stopped() -> None:
    stopping, calls = asyncio.Event(), 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            stopping.set()

    await asyncio.wait_for(Ticker(0.001, work, stopping).run(), 10)
    idle = asyncio.create_task(Ticker(3_600, work, stopping := asyncio.Event()).run())
    await asyncio.sleep(0)
    stopping.set()
    await asyncio.wait_for(idle, 10)

    assert calls == 3


async def test_a_fault_of_the_work_ends_it() -> None:
    async def broken() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await asyncio.wait_for(Ticker(0.001, broken).run(), 10)
