"""Callers that hold on to the HTTP front: a body that never ends, an answer that nobody reads, a flood of garbage."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from connectors.access import Guard
from connectors.desk import routes
from connectors.http_door import HttpDoor
from engine.commands.shared.logs import OneLine
from engine.serve import front as module
from engine.serve.controls import ReplayedBody
from engine.serve.front import Front
from tests.connectors.desk.world import desk_over

GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 900, b"GET", b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"X" * 9_000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"a" * 900_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /dead/replayed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /dead/replayed HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"POST /desk/visits HTTP/1.1\r\nHost: [\r\nCookie: \xff=\xfe\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /desk/%00%1b/events HTTP/1.1\r\nHost: x\r\n\r\n",
    b"DELETE /desk/visits/%FF%FE HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \x80\r\nOpportune-Engine: \xe2\x80\xae\r\n\r\n",
)  # fmt: skip


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(module, "BODY_S", 0.3)
    monkeypatch.setattr(routes, "BODY_S", 0.3)
    desk, _ = desk_over()
    front = Front(None, Guard(delay_s=0.01))

    async def replayed(_: ReplayedBody) -> Any:
        return {}

    front.write("/dead/replayed", ReplayedBody, replayed)
    routes.add_routes(front.app, desk, b"k" * 32)
    yield await front.start("127.0.0.1", 0)
    await front.stop()


@pytest.mark.parametrize("path", ["/dead/replayed", "/desk/visits", "/desk/hall-1/session"])
async def test_a_body_of_a_command_that_never_ends_is_answered_408(port: int, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
    writer.write(head.encode() + b'Cookie: a=b\r\nConnection: close\r\n\r\n{"a"')
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    writer.close()

    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_connection_whose_peer_reads_no_answer_is_not_kept() -> None:
    door = HttpDoor(10, 0.5)
    app = web.Application(middlewares=[door.middleware])

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes(32 << 20))

    app.router.add_get("/", large)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    listening = await door.start(runner.server, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", listening, limit=1 << 10)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.2)
    assert door.connections == 1
    await asyncio.sleep(1.5)
    assert door.connections == 0
    writer.close()
    await door.stop()
    await runner.cleanup()


async def test_a_flood_of_garbage_is_answered_and_said_in_a_few_short_lines(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(20):
        for garbage in GARBAGE:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(garbage)
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(4_096), 5)
            assert b" 500 " not in answer.partition(b"\r\n")[0], (garbage[:80], answer)
            assert b"\x1b" not in answer
            writer.close()

    lines = [OneLine().format(record) for record in caplog.records]
    assert len(lines) <= len(GARBAGE), lines[:5]
    assert sum(map(len, lines)) < 50_000
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"numbers": []}'
    head = b"POST /dead/replayed HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)
    assert orjson.loads((await reader.read()).rpartition(b"\r\n")[2]) == {}
    writer.close()
