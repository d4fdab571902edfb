"""A console for tests: an engine that answers what it is told to, users of every role, and a server on a free port."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from aiohttp import web
from yarl import URL

from connectors.access import Guard
from connectors.audit import AuditLog
from connectors.console.config import ConsoleConfig, ConsoleUser
from connectors.console.contract import Live, Rehearsal, Report
from connectors.console.routes import add_routes
from connectors.secret import Secret

ANNA = 8613800135678
HOSTILE = "<script>alert(1)</script>\u202e\"'&"
"""A name that would be a script, an end of an attribute and a turn of the reading direction."""
ROLES = ("author", "operator", "clerk lead", "auditor")
STATUS: Mapping[str, Any] = {
    "uptime_s": 3_700.0, "events": 1_200_000, "doubled": 3, "dead_letters": 2, "queued_bytes": 0,
    "latency_ms": {"event_to_decision_p50": 4.0, "event_to_decision_p99": 11.0},
    "book": {"version": "0123456789abcdef", "rules": 2, "fault": "error[R101]: bad\n  --> a.toml:1:1", "renewed": []},
    "decisions": {"first-call": {"decided": 900, "cap": 88}, HOSTILE: {"decided": 1, "holdout": 1}},
    "outcomes": {"committed": {"": 850}, "refunded": {"rejected": 50}},
    "partitions": [{"log": 40, "journal": 40, "redo_distance": 2, "dirty_pages": 7, "subscribers": 5_000,
                    "sleeping": 10, "clock_ms": 1_700_000_000_000}],
    "paused": [["rule", "first-call"]], "killed": [["channel", HOSTILE]],
    "sources": {"inbox": {"lines": 9, "faults": [f"cannot be read: {HOSTILE}"]}},
    "gateways": {"smsc": {"links": 2, "links_up": 0, "last_fault": "refused the bind"}},
    "dispatch": {"waiting": 4, "in_flight": 1, "fault": ""}, "desk": {"pages": 3},
}  # fmt: skip
RECORD: Mapping[str, Any] = {
    "id": "0-146-0-23fbbea3", "at_ms": 1_700_000_000_000, "rule": "first-call", "campaign": "care", "offer": HOSTILE,
    "book": "0123456789abcdef", "gate": None, "channel": "sms", "facts": {"peer": str(ANNA), "name": HOSTILE},
    "words": f"call {ANNA}", "sent": [[1_700_000_001_000, f"accepted for {ANNA}"]],
}  # fmt: skip
JUDGED: Mapping[str, Any] = {
    "at_ms": 1_700_000_000_000, "truth": None, "gate": None, "channel": None, "detail": "", "note": "", "values": {},
    "parts": [{"text": f"peer == '{ANNA}'", "truth": None, "values": {"peer": None}}],
}  # fmt: skip


@dataclass
class Engine:
    """What the console asks: it remembers switches and roll backs, and raises `fault` where there is one."""

    done: list[tuple[str, ...]] = field(default_factory=list)
    fault: Exception | None = None
    events: int = 0
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))

    def live(self) -> Live:
        self.events += 100
        rates = [(float(at), at * 50, at) for at in range(0, 60, 5)]
        return Live({**STATUS, "events": self.events}, rates, [1_500])

    def names(self) -> Mapping[str, Sequence[str]]:
        return {"rule": ["first-call", HOSTILE], "campaign": ["care"], "channel": ["sms"]}

    async def switch(self, action: str, kind: str, name: str) -> int:
        self._maybe_fail()
        self.done.append((action, kind, name))
        return 3

    async def why(self, number: str, rule: str) -> Sequence[Mapping[str, Any]]:
        self._maybe_fail()
        return [JUDGED] if rule else [RECORD, {**RECORD, "gate": "cap", "detail": "1 per day", "sent": []}]

    async def books(self) -> Sequence[Mapping[str, Any]]:
        self._maybe_fail()
        new = {"version": "0123456789abcdef", "since_ms": 1_700_000_000_000, "rules": 2, "active": True, "first": False}
        return [{**new, "version": "fedcba9876543210", "active": False, "since_ms": 0, "first": True}, new]

    async def changes(self, old: str, new: str) -> Sequence[str]:
        self._maybe_fail()
        return ["--- a/a.toml", "+++ b/a.toml", "@@ -1 +1 @@", f'-id = "{HOSTILE}"', '+id = "second"']

    async def roll_back(self, version: str) -> str:
        self._maybe_fail()
        self.done.append(("roll back", version))
        return f"the folder holds version {version} again"

    async def report(self, wanted: Report) -> bytes:
        self._maybe_fail()
        self.done.append(("report", *wanted.by, wanted.start, wanted.end))
        return b"<!doctype html><title>report</title>"

    async def rehearsal(self, wanted: Rehearsal) -> bytes:
        self._maybe_fail()
        self.done.append(("rehearse", wanted.sample, wanted.start, wanted.end))
        return f"<!doctype html><title>rehearsal</title><td>{ANNA}</td>".encode()

    def _maybe_fail(self) -> None:
        if self.fault is not None:
            raise self.fault


@dataclass
class Console:
    """A running console, its engine and its audit log."""

    url: str
    engine: Engine
    audit: AuditLog

    @contextlib.asynccontextmanager
    async def signed_in(self, role: str, **headers: str) -> AsyncIterator["Visitor"]:
        """Sign the user of a role in."""
        async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            visitor = Visitor(self.url, session)
            assert await visitor.post("/session", token=token_of(role), key="") == (200, visitor.text)
            yield visitor


class Visitor:
    """A browser without eyes: it follows redirects, keeps cookies, and sends the key that stood on the last page."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session, self.text = url, session, ""
        self.key = ""

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(URL(self.url + path, encoded=True)) as answer:
            return await self._read(answer)

    async def post(self, path: str, **fields: str) -> tuple[int, str]:
        async with self.session.post(self.url + path, data={"key": self.key} | fields) as answer:
            return await self._read(answer)

    async def _read(self, answer: aiohttp.ClientResponse) -> tuple[int, str]:
        self.text = await answer.text()
        self.key = self.text.partition('name="key" value="')[2].partition('"')[0] or self.key
        return answer.status, self.text


def token_of(role: str) -> str:
    return f"token of the {role}"


@contextlib.asynccontextmanager
async def console(folder: Path, engine: Engine | None = None) -> AsyncIterator[Console]:
    """Serve a console whose users are one of each role."""
    users = []
    for role in ROLES:
        path = folder / f"{role.replace(' ', '-')}.token"
        path.write_text(token_of(role))
        users.append(ConsoleUser.model_validate({"name": f"the.{role.split()[0]}", "role": role,
                                                 "token": Secret(file=path)}))  # fmt: skip
    one = engine or Engine()
    audit = AuditLog(folder / "audit", lambda: 1_700_000_000_000)
    app = web.Application()
    Guard(delay_s=0.02).add_to(app)
    add_routes(app, ConsoleConfig(users=tuple(users)), one, audit)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Console(f"http://127.0.0.1:{runner.addresses[0][1]}/console", one, audit)
    finally:
        await runner.cleanup()
