"""The HTTP front tells the caller's faults from our own."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, web

from connectors.access import Guard
from engine.serve.controls import (
    ControlBody,
    ListBody,
    ReplayedBody,
    RequestError,
    check_list,
    control_record,
    ends_of,
    read_body,
    subscribers_of,
)
from engine.serve.front import Front
from rules.load import load_text
from state.numbers import CHINA
from tests.engine.world import BOOK

LIST = '{"list": "quiet", "member": true, "subscribers": [%s]}'
Post = Callable[[str, bytes], Awaitable[tuple[int, dict[str, Any]]]]


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    one = Front(None, Guard())
    yield one
    await one.stop()


@pytest.fixture
def post(front: Front) -> Post:
    async def ask(path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        port = await front.start("127.0.0.1", 0)
        async with ClientSession() as session, session.post(f"http://127.0.0.1:{port}{path}", data=body) as answer:
            return answer.status, orjson.loads(await answer.read())

    return ask


@pytest.mark.parametrize("fault", [KeyError("secret"), ValueError("secret"), TypeError("secret"), OSError("secret")])
async def test_a_fault_of_our_own_in_a_handler_is_answered_500_and_logged(
    front: Front, post: Post, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: ReplayedBody) -> object:
        raise fault

    front.write("/broken", ReplayedBody, broken)
    status, answer = await post("/broken", b'{"numbers": []}')

    assert (status, answer) == (500, {"error": "the engine failed; its log says how"})
    assert "POST /broken failed" in caplog.text
    assert f"{type(fault).__name__}: " in caplog.text


async def test_a_fault_in_a_route_that_desk_or_source_added_is_answered_500_without_the_path_in_the_log(
    front: Front, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: web.Request) -> web.Response:
        raise KeyError("x")

    front.app.router.add_post("/desk/{terminal}", broken)

    assert (await post("/desk/somebody", b""))[0] == 500
    assert "POST /desk/{terminal} failed" in caplog.text
    assert "POST /desk/somebody" not in caplog.text


async def test_what_a_handler_refuses_is_answered_400_with_its_reason(front: Front, post: Post) -> None:
    async def refused(_: ReplayedBody) -> object:
        raise RequestError("rule='x' is not in the book")

    front.write("/refused", ReplayedBody, refused)

    assert await post("/refused", b'{"numbers": []}') == (400, {"error": "rule='x' is not in the book"})


@pytest.mark.parametrize(
    ("model", "body", "reason"),
    [
        (ControlBody, b"", "the body: Invalid JSON"),
        (ControlBody, b"\xff", "the body: Invalid JSON"),
        (ControlBody, b"[]", "the body: must be an object"),
        (ControlBody, b'{"action": "pause", "kind": "rule"}', "name is missing"),
        (
            ControlBody,
            b'{"action": "stop", "kind": "rule", "name": "a"}',
            "action='stop': must be 'pause', 'resume'",
        ),
        (ControlBody, b'{"action": "kill", "kind": "rule", "name": 7}', "name=7: must be a valid string"),
        (
            ControlBody,
            b'{"action": "resume", "kind": "rule", "name": "%s"}' % (b"x" * 65),
            f"name='{'x' * 59}: must have at most 64 ",
        ),
        (
            ListBody,
            b'{"list": "%s", "member": false, "subscribers": []}' % (b"x" * 65),
            f"list='{'x' * 59}: must have at",
        ),
        (ListBody, b'{"member": true, "subscribers": []}', "list is missing"),
        (ListBody, (LIST % "true").encode(), "subscribers.0.int=True: must be a valid integer"),
        (ListBody, b'{"list": "q", "member": 1, "subscribers": []}', "member=1: must be a valid boolean"),
        (ReplayedBody, b'{"numbers": 1}', "numbers=1: must be a valid"),
    ],
)
async def test_a_body_that_cannot_be_read_is_answered_400_and_names_value_and_bound(
    front: Front, post: Post, model: Any, body: bytes, reason: str
) -> None:
    async def never(_: Any) -> object:
        raise AssertionError("a body that is refused reaches no handler")

    front.write("/x", model, never)
    status, answer = await post("/x", body)

    assert status == 400
    assert answer["error"].startswith(reason)


async def test_a_body_that_does_not_unpack_is_the_callers_fault(front: Front) -> None:
    async def never(_: Any) -> object:
        raise AssertionError("a body that is refused reaches no handler")

    front.write("/x", ReplayedBody, never)
    port = await front.start("127.0.0.1", 0)
    gzip = {"Content-Encoding": "gzip"}
    async with (
        ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/x", data=b"no gzip", headers=gzip) as answer,
    ):
        assert answer.status == 400
        assert (await answer.json())["error"].startswith("the body cannot be read: ")


def test_what_names_nothing_in_the_book_is_refused_but_resuming_and_leaving_always_work() -> None:
    book = load_text({"book.toml": BOOK + '\n[lists.quiet]\nexcludes = "all"\n'})
    gone = ControlBody(action="resume", kind="rule", name="gone")

    assert control_record(book, gone) == {"action": "resume", "kind": "rule", "name": "gone"}
    check_list(book, ListBody(list="gone", member=False, subscribers=[1]))
    with pytest.raises(RequestError, match="rule='gone' is not in the book"):
        control_record(book, gone.model_copy(update={"action": "kill"}))
    with pytest.raises(RequestError, match="list='quite' is not in the book; did you mean `quiet`"):
        check_list(book, ListBody(list="quite", member=True, subscribers=[1]))


async def test_an_answer_that_has_begun_is_cut_off_and_not_followed_by_another(front: Front) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise ValueError("broken")

    front.app.router.add_get("/half", half)
    port = await front.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /half HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    told = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert told.count(b"HTTP/1.1") == 1
    assert b"500" not in told


@pytest.mark.parametrize(
    "number", ["0", "1000000000000000", "-1", '"86x"', '""', '"02112345678"', '"1380000000\\u0000"']
)
def test_a_list_request_names_a_subscriber_that_is_no_number(number: str) -> None:
    body = read_body((LIST % number).encode(), ListBody)

    with pytest.raises(RequestError, match="subscribers: number="):
        subscribers_of(body, CHINA)


def test_a_list_request_may_write_a_subscriber_in_any_form() -> None:
    body = read_body((LIST % '13800000001, "+86 138 0000 0001", "013800000001"').encode(), ListBody)

    assert subscribers_of(body, CHINA) == [8613800000001] * 3


@pytest.mark.parametrize(
    ("more", "ends"),
    [
        ("", {}),
        (', "for": "90d"', {"for_ms": 90 * 86_400_000}),
        (', "until": "2026-12-31"', {"until": 1_798_646_400_000}),
        (', "until": "2026-12-31T00:00:00Z"', {"until": 1_798_675_200_000}),
    ],
)
def test_a_membership_ends_when_the_request_says(more: str, ends: dict[str, int]) -> None:
    body = read_body(f'{{"list": "quiet", "member": true, "subscribers": [1]{more}}}'.encode(), ListBody)

    assert ends_of(body, "Asia/Shanghai") == ends


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('"member": true, "for": "90"', "for='90' must be a duration > 0"),
        ('"member": true, "for": "0d"', "for='0d' must be a duration > 0"),
        ('"member": true, "until": "soon"', "until='soon' must be a time such as"),
        ('"member": true, "until": "9999-12-31T23:59:59-23:00"', "must be a time such as"),
        ('"member": true, "for": "1d", "until": "2026-12-31"', "one of the two says when"),
        ('"member": false, "for": "1d"', "who leaves a list has left it"),
    ],
)
def test_an_end_that_means_nothing_is_refused(more: str, says: str) -> None:
    with pytest.raises(RequestError, match=re.escape(says)):
        ends_of(read_body(f'{{"list": "quiet", "subscribers": [1], {more}}}'.encode(), ListBody), "Asia/Shanghai")
