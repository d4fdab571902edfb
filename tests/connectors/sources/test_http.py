"""A POST is answered 202 only when its events are durable, and refused plainly otherwise."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connectors.secret import Secret
from connectors.sources.http.client import HttpSource
from connectors.sources.http.config import HttpConfig
from connectors.sources.mapping import Mapping
from tests.connectors.sources.intake import KeptIntake

Served = Callable[..., Any]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    clients: list[Any] = []

    async def serve(intake: KeptIntake, **settings: Any) -> Any:
        app = web.Application()
        app.add_routes(HttpSource(HttpConfig(**settings), intake).routes())
        client = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        return client

    yield serve
    for client in clients:
        await client.close()


async def test_a_body_is_answered_when_it_is_durable(served: Served) -> None:
    intake = KeptIntake()
    intake.held = True
    client = await served(intake)
    post = asyncio.create_task(client.post("/events", data=b"1\n2\n3"))
    await asyncio.sleep(0.1)
    assert not post.done()

    intake.waiting[0].set_result(None)
    answer = await post

    assert (answer.status, await answer.json()) == (202, {"lines": 3})
    assert intake.text == b"1\n2\n3"
    assert intake.chunks[0].dedupe


async def test_a_gzip_body_is_unpacked(served: Served) -> None:
    intake = KeptIntake()
    client = await served(intake)
    body = b"line\n" * 100_000
    answer = await client.post("/events", data=gzip.compress(body), headers={"Content-Encoding": "gzip"})

    assert (answer.status, await answer.json()) == (202, {"lines": 100_000})
    assert intake.text == body


async def test_a_broken_gzip_body_is_refused(served: Served) -> None:
    intake = KeptIntake()
    client = await served(intake)
    answer = await client.post("/events", data=b"no gzip", headers={"Content-Encoding": "gzip"})

    assert answer.status == 400
    assert intake.chunks == []


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_beyond_the_bound_is_refused_also_when_it_is_packed(served: Served, packed: bool) -> None:
    intake = KeptIntake()
    client = await served(intake, body_bytes_max=1024)
    body = b"x" * 1_000_000
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = await client.post("/events", data=gzip.compress(body) if packed else body, headers=headers)

    assert answer.status == 413
    assert intake.chunks == []


async def test_a_full_intake_says_when_to_come_again(served: Served) -> None:
    intake = KeptIntake()
    intake.full = True
    client = await served(intake, retry_after_s=7)
    answer = await client.post("/events", data=b"1\n")

    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")


async def test_events_that_cannot_be_kept_are_not_taken(served: Served) -> None:
    intake = KeptIntake()
    intake.fault = OSError("disk full")
    client = await served(intake)
    answer = await client.post("/events", data=b"1\n")

    assert answer.status == 503
    assert "Retry-After" in answer.headers


async def test_only_the_right_token_is_let_in(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTS_TOKEN", "right")
    intake = KeptIntake()
    client = await served(intake, token=Secret(env="EVENTS_TOKEN"))
    statuses = []
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer ri\u00e9ght"}):
        statuses.append((await client.post("/events", data=b"1\n", headers=given)).status)
    statuses.append((await client.post("/events", data=b"1\n", headers={"Authorization": "Bearer right"})).status)

    assert statuses == [401, 401, 401, 202]


async def test_a_header_line_goes_beside_the_lines(served: Served) -> None:
    intake = KeptIntake()
    client = await served(intake, mapping=Mapping(format="delimited", header=True, type="call"))
    answer = await client.post("/events", data=b"msisdn,time\n1,2\n")

    assert (await answer.json()) == {"lines": 1}
    assert (intake.text, intake.chunks[0].header, intake.chunks[0].line) == (b"1,2\n", b"msisdn,time", 2)


async def test_an_empty_body_is_fine_and_makes_no_chunk(served: Served) -> None:
    intake = KeptIntake()
    client = await served(intake)
    answer = await client.post("/events", data=b"")

    assert (answer.status, intake.chunks) == (202, [])


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
async def test_without_a_token_a_page_of_another_site_may_not_send(served: Served, headers: dict[str, str]) -> None:
    client = await served(KeptIntake())

    assert (await client.post("/events", data=b"1\n", headers=headers)).status == 401
    assert (await client.post("/events", data=b"1\n")).status == 202
