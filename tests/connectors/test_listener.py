"""A door takes no more connections than it has room for, keeps descriptors for files, and cannot flood the log."""

import asyncio
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from connectors import listener as module
from connectors.http_door import HttpDoor
from connectors.listener import Listener, descriptors_max
from connectors.seldom import ARGUMENT_CHARS_MAX, EVERY_S, Seldom


def open_descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


class Echo(asyncio.Protocol):
    def __init__(self, door: list[Listener]) -> None:
        self.door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")

    def connection_lost(self, exc: Exception | None) -> None:
        self.door[0].left()


@pytest.fixture
async def door() -> AsyncIterator[Listener]:
    held: list[Listener] = []
    held.append(Listener("127.0.0.1", 0, lambda: Echo(held), 2))
    await held[0].start()
    yield held[0]
    await held[0].stop()


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


async def test_a_full_table_accepts_when_one_leaves(door: Listener) -> None:
    clients = [await connect(door.port) for _ in range(3)]
    assert [await clients[n][0].read(5) for n in range(2)] == [b"hello", b"hello"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(clients[2][0].read(5), 0.2)
    clients[0][1].close()

    assert await asyncio.wait_for(clients[2][0].read(5), 2) == b"hello"
    for _, writer in clients:
        writer.close()


async def test_an_address_that_cannot_be_had_is_named(door: Listener) -> None:
    with pytest.raises(OSError, match=f"127.0.0.1:{door.port}"):
        await Listener("127.0.0.1", door.port, asyncio.Protocol, 1).start()


async def test_half_open_connections_up_to_the_limit_of_descriptors_leave_some_for_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = open_descriptors()
    monkeypatch.setattr(module, "SPARE_DESCRIPTORS", 40)
    held: list[Listener] = []
    held.append(Listener("127.0.0.1", 0, lambda: Echo(held), 10_000))
    await held[0].start()
    clients = [socket.socket() for _ in range(150)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 300, hard))
    try:
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", held[0].port))
        await asyncio.sleep(0.5)
        spare = os.open(os.devnull, os.O_RDONLY)
        os.close(spare)
        assert spare <= descriptors_max() + 2
        assert held[0].connections < 150
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for client in clients:
            client.close()
        await held[0].stop()


@pytest.fixture
async def served() -> AsyncIterator[int]:
    http = HttpDoor(10, 0.5)
    app = web.Application(middlewares=[http.middleware])

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(1.0)
        return web.Response(text="done")

    app.router.add_get("/slow", slow)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    yield await http.start(runner.server, "127.0.0.1", 0)
    await http.stop()
    await runner.cleanup()


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\n", b"GET /slow HTTP/1.1\r\nHost: x\r\nX: "])
async def test_a_head_that_never_ends_is_cut_off_however_it_drips(served: int, head: bytes) -> None:
    reader, writer = await connect(served)
    writer.write(head)

    async def drip() -> None:
        while head:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert await asyncio.wait_for(reader.read(), 3) == b""
    dripping.cancel()
    writer.close()


async def test_a_request_under_way_is_never_cut_off_as_idle(served: int) -> None:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{served}/slow") as answer:
        assert (answer.status, await answer.text()) == (200, "done")


def test_many_lines_of_a_kind_become_one_with_a_count_and_hostile_arguments_are_clipped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = [0.0]
    seldom = Seldom(logging.getLogger("door"), lambda: now_s[0])
    for _ in range(10_000):
        seldom.warning("cannot read %s", "\x1b[2J\n" + "x" * 900_000)
    now_s[0] = EVERY_S + 1
    seldom.warning("cannot read %s", "b")

    first, second = (record.getMessage() for record in caplog.records)
    assert first.isprintable()
    assert len(first) < ARGUMENT_CHARS_MAX + 60
    assert second == "cannot read b (9999 more like this in between)"
