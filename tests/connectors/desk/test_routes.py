"""The desk over real HTTP: who may ask, what is confirmed, and what a stream says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from connectors.desk.queue import MemoryQueue, QueueLostError
from tests.connectors.desk.world import ANNA, Served, card, desk_over, serve


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    desk, log = desk_over()
    async with serve(desk, log) as made:
        yield made


@pytest.fixture
async def guarded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setenv("DESK_TOKEN", "a long secret")
    desk, log = desk_over(token={"env": "DESK_TOKEN"})
    async with serve(desk, log) as made:
        yield made


async def events(reply: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """Yield (id, event, data) as a browser would."""
    fields: dict[str, str] = {}
    async for raw in reply.content:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield fields.get("id", ""), fields["event"], orjson.loads(fields["data"])
            fields = {}


async def test_visit_card_answer_and_close(served: Served) -> None:
    visit = await served.open()
    await served.desk.offer(ANNA, card("d1"))
    assert await served.answer("d1", "decline", note="too_dear") == (
        200,
        {"ruling": "recorded", "card": "d1", "state": "declined", "note": "too_dear"},
    )
    status, body = await served.answer("d1", "accept")
    assert (status, body["error"], body["state"]) == (409, "late", "declined")
    assert (await served.answer("d2", "accept"))[0] == 404
    async with served.http.delete(f"{served.url}/desk/visits/{visit}?cause=logout") as reply:
        assert (reply.status, (await reply.json())["cause"]) == (200, "logout")
    async with served.http.post(f"{served.url}/desk/visits/{visit}/keep") as reply:
        assert reply.status == 409
    async with served.http.delete(f"{served.url}/desk/visits/nobody") as reply:
        assert reply.status == (404 if served.desk.config.token is None else 401)


async def test_a_visit_said_again_is_confirmed_again(served: Served) -> None:
    body = {"terminal": "t1", "subscriber": ANNA, "visit": "v1"}
    statuses = []
    for _ in range(2):
        async with served.http.post(f"{served.url}/desk/visits", json=body) as reply:
            statuses.append(reply.status)
    assert (statuses, served.log.stood()) == ([201, 200], ["v1 open"])


async def test_what_is_not_durable_is_not_confirmed(served: Served) -> None:
    await served.open()
    await served.desk.offer(ANNA, card("d1"))
    served.log.refuses = True
    assert (await served.answer("d1", "accept"))[0] == 503
    served.log.refuses = False
    status, body = await served.answer("d1", "accept")
    assert (status, body["ruling"], served.log.told()) == (200, "repeated", ["d1 accept"])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"terminal": "a/b", "subscriber": 1}, "terminal"),
        ({"terminal": "t1", "subscriber": 0}, "subscriber"),
        ({"terminal": "t1", "subscriber": 1 << 63}, "subscriber"),
        ({"terminal": "t1", "number": "12"}, "number"),
        ({"terminal": "t1", "number": "１３８"}, "number"),
        ({"terminal": "t1", "number": "138x"}, "number"),
        ({"terminal": "visits", "subscriber": 1}, "terminal"),
        ({"terminal": "t1", "subscriber": 1, "more": 1}, "more"),
        ({"terminal": "t1", "subscriber": 1, "customer": {"brand": "x" * 41}}, "customer.brand"),
        ([], "body"),
    ],
)
async def test_a_bad_body_is_refused_by_field(served: Served, body: object, fault: str) -> None:
    async with served.http.post(f"{served.url}/desk/visits", json=body) as reply:
        assert reply.status == 400
        assert (await reply.json())["text"].startswith(fault)
    assert served.log.visits == []


async def test_hostile_bodies_are_refused(served: Served) -> None:
    url = f"{served.url}/desk/visits"
    for data, kind, status in [
        (b"{" * 16_000, "application/json", 400),
        (b" " * 20_000, "application/json", 413),
        (b"\xff\xfe", "application/json", 400),
        (b"terminal=t1&subscriber=1", "application/x-www-form-urlencoded", 415),
        (b'{"terminal":"t1","subscriber":1}', "text/plain", 415),
    ]:
        async with served.http.post(url, data=data, headers={"Content-Type": kind}) as reply:
            assert reply.status == status
    assert served.log.visits == []


async def test_a_body_that_does_not_unpack_is_refused(served: Served) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with served.http.post(f"{served.url}/desk/visits", data=b"no gzip", headers=headers) as reply:
        assert reply.status == 400
        assert (await reply.json())["text"].startswith("body cannot be read: ")


async def test_without_a_token_other_sites_and_other_names_are_refused(served: Served) -> None:
    body = {"terminal": "t1", "subscriber": ANNA}
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}):
        async with served.http.post(f"{served.url}/desk/visits", json=body, headers=headers) as reply:
            assert reply.status == 401
        async with served.http.get(f"{served.url}/desk/t1/events", headers=headers) as reply:
            assert reply.status == 401
    assert served.log.visits == []


async def test_a_session_opens_its_own_terminal_only(guarded: Served) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    await guarded.open("t1")
    await guarded.desk.offer(ANNA, card("d1"))
    async with aiohttp.ClientSession(cookie_jar=jar) as page:
        for path in ("/desk/t1/events", "/desk/t1/session"):
            async with page.get(guarded.url + path) as reply:
                assert reply.status == 401
        async with page.post(f"{guarded.url}/desk/cards/d1/answer", json={"answer": "accept"}) as reply:
            assert reply.status == 401
        token = guarded.sessions.terminal_token("t2")
        async with page.post(f"{guarded.url}/desk/t1/session", json={"token": token}) as reply:
            assert reply.status == 401
        async with page.post(f"{guarded.url}/desk/t2/session", json={"token": token}) as reply:
            assert reply.status == 204
            cookie = reply.headers["Set-Cookie"]
            assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/desk"))
        async with page.post(f"{guarded.url}/desk/cards/d1/answer", json={"answer": "accept"}) as reply:
            assert reply.status == 401
        async with page.post(f"{guarded.url}/desk/visits", json={"terminal": "t1", "number": "13800135678"}) as reply:
            assert reply.status == 401
        async with page.post(f"{guarded.url}/desk/visits", json={"terminal": "t2", "number": "13800135678"}) as reply:
            assert reply.status == 201
            assert "page" not in await reply.json()
    assert guarded.log.told() == []


async def test_a_session_ends_and_a_forged_one_never_begins(guarded: Served) -> None:
    end_ms = guarded.desk.clock() + 1_000_000
    forged = {"opportune_desk_t1": f"{end_ms}.{'0' * 64}"}
    async with aiohttp.ClientSession(cookies=forged, cookie_jar=aiohttp.CookieJar(unsafe=True)) as page:
        async with page.get(f"{guarded.url}/desk/t1/session") as reply:
            assert reply.status == 401
        token = guarded.sessions.terminal_token("t1")
        async with page.post(f"{guarded.url}/desk/t1/session", json={"token": token}) as reply:
            assert reply.status == 204
        async with page.get(f"{guarded.url}/desk/t1/session") as reply:
            assert reply.status == 204
        guarded.desk.clock = lambda: end_ms + 50_000_000
        async with page.get(f"{guarded.url}/desk/t1/session") as reply:
            assert reply.status == 401


async def signed_in(guarded: Served, terminal: str) -> aiohttp.ClientSession:
    page = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
    token = guarded.sessions.terminal_token(terminal)
    async with page.post(f"{guarded.url}/desk/{terminal}/session", json={"token": token}) as reply:
        assert reply.status == 204
    return page


async def test_who_signs_in_later_takes_the_terminal_over(guarded: Served) -> None:
    await guarded.open("t1")
    await guarded.desk.offer(ANNA, card("d1"))
    guarded.desk.where = "desk-1:8080"
    async with await signed_in(guarded, "t1") as first, first.get(f"{guarded.url}/desk/t1/events") as stream:
        await until_line(stream, b"event: panel")
        await asyncio.sleep(0.002)  # a later sign-in is one of a later millisecond
        async with await signed_in(guarded, "t1") as second, second.get(f"{guarded.url}/desk/t1/events") as later:
            await until_line(later, b"event: panel")
            await until_line(stream, b"event: taken")
            async with first.post(f"{guarded.url}/desk/cards/d1/answer", json={"answer": "accept"}) as reply:
                assert (reply.status, (await reply.json())["error"]) == (401, "taken_over")
            async with first.get(f"{guarded.url}/desk/t1/session") as reply:
                assert reply.status == 401
            async with guarded.http.get(f"{guarded.url}/desk/t1/session") as reply:
                seat = await reply.json()
            assert (seat["signed_in"], seat["where"], "session" in seat) == (True, "desk-1:8080", False)
            async with second.post(f"{guarded.url}/desk/cards/d1/answer", json={"answer": "later"}) as reply:
                assert reply.status == 200
    assert guarded.log.told() == ["d1 later"]


async def until_line(stream: aiohttp.ClientResponse, wanted: bytes) -> None:
    async with asyncio.timeout(5):
        while (await stream.content.readline()).strip() != wanted:
            pass


async def test_the_page_is_strict_and_loads_nothing_from_elsewhere(served: Served) -> None:
    async with served.http.get(f"{served.url}/desk/counter-3") as reply:
        policy = reply.headers["Content-Security-Policy"]
        html = await reply.text()
    assert "default-src 'none'" in policy
    assert not any(word in policy for word in ("unsafe", "http", "*", "data:"))
    for name in ("page.js", "page.css", "icon.svg"):
        async with served.http.get(f"{served.url}/desk/static/{name}") as reply:
            assert reply.status == 200
            text = await reply.text()
        assert not any(
            word in text.replace("http://www.w3.org/2000/svg", "") for word in ("http:", "https:", "innerHTML")
        )
    assert "http" not in html
    assert "style=" not in html
    for path in (
        "/desk/static/page.html",
        "/desk/static/..%2fdesk.py",
        "/desk/visits",
        "/desk/static",
        "/desk/a%2Fb",
        "/desk/a%0Ab/events",
    ):
        async with served.http.get(served.url + path) as reply:
            assert reply.status in {404, 405}


async def test_a_stream_says_hello_then_the_panel_and_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, log = desk_over(heartbeat_ms=100)
    async with serve(desk, log) as served:
        await served.open("t1")
        async with served.http.get(f"{served.url}/desk/t1/events") as reply:
            stream = events(reply)
            assert (await anext(stream))[1:] == ("hello", {"heartbeat_ms": 100, "clerk_opens": True})
            held, kind, panel = await anext(stream)
            assert (kind, panel["state"], panel["number"]) == ("panel", "open", "138 **** 5678")
            assert (await anext(stream))[1] == "beat"
            assert desk.pages == 1
        headers = {"Last-Event-ID": held}
        async with served.http.get(f"{served.url}/desk/t1/events", headers=headers) as reply:
            stream = events(reply)
            assert [(await anext(stream))[1] for _ in range(2)] == ["hello", "beat"]
            await desk.offer(ANNA, card("d1"))
            kinds = [(await anext(stream))[1] for _ in range(2)]
            assert "panel" in kinds
        for _ in range(50):
            if desk.pages == 0:
                break
            await asyncio.sleep(0.05)
        assert desk.pages == 0
        assert (await desk.queue.read("t1")).cards[0].shown_ms > 0


class Flaky(MemoryQueue):
    """A keeper that can be out of reach."""

    lost = False

    async def find(self, kind: object, key: object) -> str:
        if self.lost:
            raise QueueLostError("away")
        return await super().find(kind, key)  # type: ignore[arg-type]  # passed on as it came


async def test_a_lost_queue_is_503_and_nothing_else_breaks() -> None:
    queue = Flaky(300_000, 2_000)
    desk, log = desk_over(queue)
    async with serve(desk, log) as served:
        await served.open()
        await desk.offer(ANNA, card("d1"))
        queue.lost = True
        assert (await served.answer("d1", "accept"))[0] == 503
        with pytest.raises(QueueLostError):
            await desk.offer(ANNA, card("d2"))
        queue.lost = False
        assert (await served.answer("d1", "accept"))[0] == 200


async def test_a_customers_wish_for_no_more_texts_is_confirmed_when_the_log_has_it_and_recorded_once(
    served: Served,
) -> None:
    visit = await served.open()
    url = f"{served.url}/desk/visits/{visit}/optout"
    served.log.refuses = True
    async with served.http.post(url) as reply:
        assert reply.status == 503
    panel = await served.desk.queue.read("counter-3")
    assert panel.visit is not None
    assert not panel.visit.opted_out
    served.log.refuses = False
    for _ in range(2):
        async with served.http.post(url) as reply:
            assert reply.status == 204
    panel = await served.desk.queue.read("counter-3")
    assert panel.visit is not None
    assert panel.visit.opted_out
    assert served.log.opted_out == [ANNA]


async def test_a_wish_is_heard_in_an_open_visit_only_and_from_its_own_terminal(served: Served) -> None:
    visit = await served.open()
    async with aiohttp.ClientSession() as stranger, stranger.post(f"{served.url}/desk/visits/{visit}/optout") as reply:
        heard = reply.status
    async with served.http.delete(f"{served.url}/desk/visits/{visit}") as reply:
        assert reply.status == 200
    async with served.http.post(f"{served.url}/desk/visits/{visit}/optout") as reply:
        assert reply.status == 409
    guarded = served.desk.config.token is not None
    assert (heard, served.log.opted_out) == ((401, []) if guarded else (204, [ANNA]))
