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

    async def serve(intake: KeptIntake, source: HttpSource | None = None, **settings: Any) -> Any:
        app = web.Application()
        app.add_routes((source or HttpSource(HttpConfig(**settings), intake)).routes())
        server = TestServer(app)
        await server.start_server(auto_decompress=False)
        client = TestClient(server)
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


async def test_only_a_body_of_utf_8_may_be_an_array(served: Served) -> None:
    intake = KeptIntake()
    client = await served(intake, mapping=Mapping(encoding="gbk"))
    body = '[{"a":"乗"},{"b":1}]'.encode("gbk")
    answer = await client.post("/events", data=body)

    assert (answer.status, await answer.json()) == (202, {"lines": 1})
    assert intake.text == body


async def test_a_gzip_body_is_unpacked(served: Served) -> None:
    intake = KeptIntake()
    client = await served(intake)
    body = b"line\n" * 100_000
    answer = await client.post("/events", data=gzip.compress(body), headers={"Content-Encoding": "gzip"})

    assert (answer.status, await answer.json()) == (202, {"lines": 100_000})
    assert intake.text == body


_PACKED = gzip.compress(bytes(range(33, 127)) * 50 + b"\n", mtime=0)
_WRONG_SUM = _PACKED[:-8] + b"\0\0\0\0" + _PACKED[-4:]
_WRONG_LENGTH = _PACKED[:-4] + b"\0\0\0\0"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(_PACKED[:10], id="header only"),
        pytest.param(_PACKED[:4], id="half a header"),
        pytest.param(_PACKED[: len(_PACKED) // 2], id="cut in the middle"),
        pytest.param(_PACKED[:-8], id="trailer missing"),
        pytest.param(_PACKED[:-1], id="trailer cut"),
        pytest.param(_WRONG_SUM, id="wrong checksum"),
        pytest.param(_WRONG_LENGTH, id="wrong length"),
        pytest.param(_PACKED + b"rubbish after", id="rubbish after"),
        pytest.param(_PACKED + b"\0", id="a zero after"),
        pytest.param(_PACKED + _PACKED[:-3], id="second member cut"),
        pytest.param(_PACKED + _PACKED[:3], id="second header cut"),
        pytest.param(_PACKED * 2_000, id="two thousand members"),
    ],
)
async def test_nothing_of_a_gzip_body_that_is_not_whole_is_kept(served: Served, body: bytes, chunked: bool) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1_000):
            yield body[start : start + 1_000]

    intake = KeptIntake()
    client = await served(intake)
    headers = {"Content-Encoding": "gzip"}
    answer = await client.post("/events", data=blocks() if chunked else body, headers=headers)

    assert (answer.status, intake.chunks) == (400, [])


@pytest.mark.parametrize("members", [1, 2, 1000])
async def test_a_gzip_body_of_several_members_is_their_lines(served: Served, members: int) -> None:
    intake = KeptIntake()
    client = await served(intake)
    answer = await client.post("/events", data=gzip.compress(b"a\n") * members, headers={"Content-Encoding": "GZIP"})

    assert (answer.status, intake.text) == (202, b"a\n" * members)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
async def test_another_packing_than_gzip_is_refused(served: Served, encoding: str) -> None:
    client = await served(KeptIntake())

    assert (await client.post("/events", data=b"x", headers={"Content-Encoding": encoding})).status == 415


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'[{"a":1},{"a":2}]', [b'{"a":1}', b'{"a":2}']),
        (b'\xef\xbb\xbf \n[ {"a":"],[\\""} ,\r\n{"b":\n[1,{"c":2}]}\n]\n ', [b'{"a":"],[\\""}', b'{"b": [1,{"c":2}]}']),
        (b"[]", []),
        (b"[1,2]\n{}", [b"[1,2]", b"{}"]),
    ],
)
async def test_a_json_array_is_its_objects(served: Served, body: bytes, lines: list[bytes]) -> None:
    intake = KeptIntake()
    client = await served(intake)
    answer = await client.post("/events", data=body)

    assert answer.status == 202
    found = [line.removeprefix(b"\xef\xbb\xbf").strip() for line in intake.text.split(b"\n")]
    assert [line for line in found if line] == lines


@pytest.mark.parametrize(
    "body", [b'[{"a":1},{"a"', b'[{"a":1}', b'[{"a":"]}', b'[{"a":1}] [{"a":2}]', b"[{}]x", b'[{"a":"\\']
)
async def test_a_json_array_that_is_cut_or_followed_is_refused(served: Served, body: bytes) -> None:
    intake = KeptIntake()
    client = await served(intake)

    assert ((await client.post("/events", data=body)).status, intake.chunks) == (400, [])


async def test_unfinished_gzip_bodies_that_unpack_to_much_hold_no_more_than_the_intakes_room(served: Served) -> None:
    intake = KeptIntake()
    intake.room_bytes = 8 << 20
    source = HttpSource(HttpConfig(), intake)
    client = await served(intake, source)
    bomb = gzip.compress(b"{}\n" * 5_000_000)[:-8]
    go = asyncio.Event()

    async def unfinished() -> AsyncIterator[bytes]:
        yield bomb
        await go.wait()

    posts = [
        asyncio.create_task(client.post("/events", data=unfinished(), headers={"Content-Encoding": "gzip"}))
        for _ in range(20)
    ]
    await asyncio.sleep(0.5)
    statuses = [post.result().status for post in posts if post.done()]
    go.set()
    await asyncio.gather(*posts)

    assert statuses.count(429) >= 19
    assert source.reading == 0
    assert (await client.post("/events", data=b"1\n")).status == 202


async def test_a_body_that_does_not_end_is_refused_after_its_time(served: Served) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x"
            await asyncio.sleep(0.1)

    intake = KeptIntake()
    client = await served(intake, body_timeout_s=1)
    answer = await client.post("/events", data=trickle())

    assert (answer.status, intake.chunks) == (408, [])


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
