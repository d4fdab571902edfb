"""The console of a running engine: what it shows is so, what it commands happens, and the audit log knows it all."""

import http.cookiejar
import re
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import orjson

from tests.engine.conftest import Make
from tests.engine.engines import Engine, wait_for
from tests.engine.world import BASE_MS, BOOK, call, joined

CONSOLE = """
[[console.users]]
name = "li.wei"
role = "operator"
token = { env = "LI_WEI" }
"""
ANNA = 8613800000001
REASON = "too many complaints"


class Browser:
    """Keeps the cookie, and the key of the forms."""

    def __init__(self, engine: Engine, token: str) -> None:
        self._base = f"{engine.url}/console"
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
        self._key = ""
        self._key = re.findall(r'name="key" value="(\w+)"', self.ask("/session", token=token))[0]

    def ask(self, path: str, **form: str) -> str:
        """Return the page of a GET, or of a POST with the form."""
        data = urllib.parse.urlencode({"key": self._key} | form).encode() if form else None
        with self._opener.open(self._base + path, data, timeout=120) as answer:
            return str(answer.read(), "utf-8")


def test_an_operator_looks_asks_pauses_rolls_back_and_all_of_it_outlives_kill_9(make: Make) -> None:
    engine = make(more=CONSOLE)
    engine.env["LI_WEI"] = "token of li.wei"
    engine.put("day.ndjson", joined(call(ANNA, BASE_MS + minute * 60_000) for minute in range(3)))
    engine.start()
    browser = Browser(engine, "token of li.wei")
    wait_for(lambda: engine.status()["decisions"].get("long-care", {}).get("decided"), "decisions")
    assert "long-care" in browser.ask("")

    old = engine.status()["book"]["version"]
    engine.write_book(BOOK.replace("Dear", "Good day,"))
    wait_for(lambda: engine.status()["book"]["version"] != old, "the new book")

    browser.ask("/switches", action="pause", kind="rule", name="long-care", reason=REASON)
    assert engine.status()["paused"] == [["rule", "long-care"]]
    assert engine.command("resume", "rule", "long-care", "--reason", "it was the gateway").exit == 0
    with ThreadPoolExecutor(3) as threads:
        why = threads.submit(browser.ask, "/why", number=str(ANNA), rule="")
        books = threads.submit(browser.ask, "/books")
        report = threads.submit(browser.ask, "/report/page?by=rule&by=channel")
    assert "Dear , long call number 1" in why.result()
    assert '<td class="key">long-care</td>' in report.result()
    assert f"new={old}" in books.result()
    browser.ask("/books/rollback", version=old, reason="the old words were better")
    assert (engine.folder / "book" / "book.toml").read_text() == BOOK
    wait_for(lambda: engine.status()["book"]["version"] == old, "the old book")

    engine.kill()
    printed = engine.command("audit", "--format", "ndjson")
    found = [orjson.loads(line) for line in printed.out.splitlines()]
    assert [(one["who"], one["door"], one["act"], one["why"]) for one in reversed(found) if one["why"]] == [
        ("li.wei", "console", "pause", REASON),
        ("this machine", "http", "resume", "it was the gateway"),
        ("li.wei", "console", "roll back", "the old words were better"),
    ]
    assert all(one["answer"] for one in found)
    lines = engine.command("audit", "--words", "complaints").out.splitlines()
    assert [line.partition("Z  ")[2] for line in lines] == [
        f"li.wei (operator) from 127.0.0.1: pause rule long-care, because: {REASON}; touched 0"
    ]
    assert {one["act"] for one in found} == {"sign in", "pause", "resume", "why", "report", "roll back"}


def test_a_worker_says_that_it_has_no_console(make: Make) -> None:
    refused = make(more=CONSOLE, clock="wall").command("worker")

    assert refused.exit == 1
    assert refused.err.strip().endswith("console.users must be empty: a worker serves no console, opportune run does")


def test_without_users_there_is_no_console(make: Make) -> None:
    engine = make().start()

    assert engine.post("/console/session", b"token=")[0] == 404
