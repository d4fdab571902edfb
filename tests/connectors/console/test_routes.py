"""The console's doors: who gets in, what each role may, and that what was done stands in the audit log."""

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest

from connectors.audit import read_entries
from connectors.console.contract import BusyError, RefusedError, SlowError
from tests.connectors.console.world import ANNA, HOSTILE, ROLES, Console, console, token_of

BOOKS = ("/books", "/books/diff?old=a&new=b", "/rehearsal", "/rehearsal/page?sample=10%25")
REPORTS = ("/report", "/report/page?by=rule")
PAGES = ("", "/switches", "/why", *BOOKS, *REPORTS, "/audit")
MAY = {
    "author": {"", "/why", *BOOKS, *REPORTS, "/books/rollback"},
    "operator": {*PAGES, "POST /switches", "/books/rollback"},
    "clerk lead": {"", "/why", *REPORTS},
    "auditor": {"", "/why", *BOOKS, *REPORTS, "/audit"},
}
REASON = "complaints from Chengdu"


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Console]:
    async with console(tmp_path) as running:
        yield running


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_sees_and_does_what_its_row_says_and_nothing_else(one: Console, role: str) -> None:
    async with one.signed_in(role) as visitor:
        for path in PAGES:
            assert (await visitor.get(path))[0] == (200 if path in MAY[role] else 403), path
        await visitor.get("")
        switched = await visitor.post("/switches", action="pause", kind="rule", name="x", reason=REASON)
        back = await visitor.post("/books/rollback", version="0123", reason=REASON)

    did = {one[0] for one in one.engine.done}
    assert ("pause" in did) == (switched[0] != 403) == ("POST /switches" in MAY[role])
    assert ("roll back" in did) == ("/books/rollback" in MAY[role])
    assert back[0] == (200 if "/books/rollback" in MAY[role] else 403)


async def test_nobody_sees_or_does_anything_without_signing_in(one: Console) -> None:
    async with aiohttp.ClientSession() as session:
        for path in PAGES:
            async with session.get(one.url + path, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/console/sign-in")
        for path in ("/switches", "/why", "/books/rollback", "/out"):
            async with session.post(one.url + path, data={"action": "kill", "key": ""}) as answer:
                assert answer.status == 401

    assert one.engine.done == []


async def test_a_wrong_token_is_answered_late_counted_and_noted_once_a_minute(one: Console) -> None:
    async with aiohttp.ClientSession() as session:
        began = asyncio.get_running_loop().time()
        for token in ("", "token+of+the", "token+of+the+operator+", "%ff%00", "&token=token+of+the+operator"):
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            async with session.post(f"{one.url}/session", data=f"token={token}", headers=form) as answer:
                assert answer.status == 401
                assert "Set-Cookie" not in answer.headers
        took = asyncio.get_running_loop().time() - began

    assert took >= 5 * 0.02
    noted = list(read_entries(one.audit.folder))
    assert [(entry.act.act, entry.caller.who, entry.answer) for entry in noted] == [
        ("sign in", "?", "refused, 1 since the last such line")
    ]


async def test_a_form_of_another_page_or_site_does_nothing(one: Console) -> None:
    async with one.signed_in("operator") as visitor:
        own = visitor.key
        order = {"action": "kill", "kind": "rule", "name": "x", "reason": REASON}
        assert (await visitor.post("/switches", **order, key=""))[0] == 403
        async with one.signed_in("operator") as other:
            assert own != other.key
            assert (await other.post("/switches", **order, key=own))[0] == 403
        for origin in ("http://evil.example", "null"):
            data, headers = {**order, "key": own}, {"Origin": origin}
            async with visitor.session.post(f"{one.url}/switches", data=data, headers=headers) as answer:
                assert answer.status == 401
        async with visitor.session.post(f"{one.url}/switches", json={**order, "key": own}) as answer:
            assert answer.status == 403
        assert one.engine.done == []
        assert (await visitor.post("/switches", **order, key=own))[0] == 200
    assert one.engine.done == [("kill", "rule", "x")]


async def test_who_signs_out_is_out_also_with_the_cookie_he_kept(one: Console) -> None:
    async with one.signed_in("auditor") as visitor:
        kept = {cookie.key: cookie.value for cookie in visitor.session.cookie_jar}
        await visitor.post("/out")
        async with (
            aiohttp.ClientSession(cookies=kept) as again,
            again.get(one.url, allow_redirects=False) as answer,
        ):
            assert answer.status == 303


async def test_the_cookie_is_for_this_site_and_no_script_and_pages_run_nothing_of_others(one: Console) -> None:
    async with aiohttp.ClientSession() as session:
        data = {"token": token_of("operator")}
        async with session.post(f"{one.url}/session", data=data, allow_redirects=False) as answer:
            cookie = SimpleCookie(answer.headers["Set-Cookie"])["opportune_console"]
        async with session.get(f"{one.url}/sign-in") as answer:
            policy = answer.headers["Content-Security-Policy"]
            stored = answer.headers["Cache-Control"]

    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/console")
    assert len(cookie.value) == 64
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert stored == "no-store"


async def test_every_command_stands_in_the_audit_log_with_who_why_where_and_its_answer(one: Console) -> None:
    async with one.signed_in("operator") as visitor:
        await visitor.post("/switches", action="kill", kind="rule", name="first-call", reason=REASON)
        assert "queued sends touched: 3" in visitor.text
        one.engine.fault = RefusedError("rule='y' is not in the book")
        assert (await visitor.post("/switches", action="pause", kind="rule", name="y", reason=REASON))[0] == 400
        one.engine.fault = None
        await visitor.post("/why", number=str(ANNA), rule="")

    found = [(entry.act.act, entry.act.what, entry.act.why, entry.answer) for entry in read_entries(one.audit.folder)]
    assert found == [
        ("why", str(ANNA), "", "2 records"),
        ("pause", "rule y", REASON, "failed: rule='y' is not in the book"),
        ("kill", "rule first-call", REASON, "touched 3"),
        ("sign in", "", "", "done"),
    ]
    assert {(entry.caller.who, entry.caller.role, entry.caller.source) for entry in read_entries(one.audit.folder)} == {
        ("the.operator", "operator", "127.0.0.1")
    }


@pytest.mark.parametrize("reason", ["", "  no ", "x" * 201])
async def test_a_command_without_a_reason_is_not_done(one: Console, reason: str) -> None:
    async with one.signed_in("operator") as visitor:
        status, text = await visitor.post("/switches", action="kill", kind="rule", name="x", reason=reason)

    assert (status, one.engine.done) == (400, [])
    assert "A reason of 3 to 200 characters is needed." in text


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [(BusyError(), 503, "in a moment"), (SlowError("120"), 504, "120 s"), (RefusedError("no"), 400, "no")],
)
async def test_what_cannot_be_answered_now_is_a_page_that_says_why(
    one: Console, fault: Exception, status: int, said: str
) -> None:
    one.engine.fault = fault
    async with one.signed_in("operator") as visitor:
        found, text = await visitor.get("/report/page?by=rule")

    assert found == status
    assert said in text


async def test_numbers_are_masked_wherever_a_role_may_not_see_them(one: Console) -> None:
    pages = {}
    for role in ROLES:
        async with one.signed_in(role) as visitor:
            await visitor.get("/why")
            pages[role] = [(await visitor.post("/why", number=str(ANNA), rule=rule))[1] for rule in ("", "first-call")]
            pages[role] += [(await visitor.get(path))[1] for path in ("/audit", "/rehearsal/page?sample=1%25")]

    for role, texts in pages.items():
        shown = [str(ANNA) in text for text in texts]
        sees = role in ("operator", "clerk lead")
        assert shown == [sees, sees, role == "operator", role == "operator"], role


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_no_page_holds_anything_of_outside_that_is_read_as_html(one: Console, language: str) -> None:
    async with one.signed_in("operator") as visitor:
        await visitor.get(f"/language/{language}")
        texts = [(await visitor.get(path))[1] for path in PAGES if "/page" not in path]
        for rule in ("", HOSTILE):
            texts.append((await visitor.post("/why", number=HOSTILE, rule=rule))[1])
        texts.append((await visitor.post("/switches", action="kill", kind="rule", name=HOSTILE, reason=HOSTILE))[1])
        texts.append((await visitor.get("/audit?words=%3Cscript%3E"))[1])

    for text in texts:
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert 'lang="zh-CN"><head>' in text if language == "zh" else 'lang="en"><head>' in text
    assert sum("&lt;script&gt;alert(1)&lt;/script&gt;" in text for text in texts) >= 6


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"), ("en,zh;q=0.5", "en"), ("fr", "en"), ("", "en"), ("zh;q=x,en;q=0.1", "en")],
)
async def test_pages_speak_the_browsers_language_until_another_is_chosen(one: Console, accepted: str, tag: str) -> None:
    async with one.signed_in("auditor", **{"Accept-Language": accepted}) as visitor:
        assert f'<html lang="{tag}">' in (await visitor.get(""))[1]
        await visitor.get("/language/zh")
        assert '<html lang="zh-CN">' in (await visitor.get(""))[1]


async def test_a_report_and_a_rehearsal_are_asked_for_with_known_words_and_given_times_alone(one: Console) -> None:
    async with one.signed_in("author") as visitor:
        await visitor.get("/rehearsal/page?sample=--config&from=2008-11-04T09:00")
        await visitor.get("/report/page?by=rule&by=day&by=--config&from=2008-11-04T09:00&to=")

    assert one.engine.done == [
        ("rehearse", "1%", "2008-11-04T09:00", ""),
        ("report", "rule", "day", "2008-11-04T09:00", ""),
    ]


async def test_a_form_that_is_too_large_or_has_too_much_is_not_read_to_its_end(one: Console) -> None:
    async with aiohttp.ClientSession() as session:
        for body, status in ((b"token=" + b"x" * 20_000, 413), (b"&".join([b"a=b"] * 30), 400)):
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            async with session.post(f"{one.url}/session", data=body, headers=headers) as answer:
                assert answer.status == status
