"""Accepting that fails again and again: one line of it, and the door opens as soon as it can."""

import asyncio
import errno
import logging
import socket
from typing import Any

import pytest

from connectors import listener as module
from connectors.listener import Listener


async def test_accept_errors_are_one_line_and_the_next_connection_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.001)
    loop = asyncio.get_running_loop()
    accept, faults = loop.sock_accept, iter([OSError(errno.EMFILE, "Too many open files")] * 50)

    async def failing(listening: socket.socket) -> Any:
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return await accept(listening)

    monkeypatch.setattr(loop, "sock_accept", failing)
    made = asyncio.Event()

    class Taken(asyncio.Protocol):
        def connection_made(self, _: asyncio.BaseTransport) -> None:
            made.set()

    door = Listener("127.0.0.1", 0, Taken, 10)
    with caplog.at_level(logging.INFO):
        await door.start()
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        await asyncio.wait_for(made.wait(), 5)
    writer.close()
    await door.stop()

    assert next(faults, None) is None
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "no connection can be accepted now: [Errno 24] Too many open files" in said[0]
