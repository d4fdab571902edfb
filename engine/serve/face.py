"""What both runtimes serve over HTTP: health, status, switches, lists, outcomes from outside, metrics, the desk
and the operations console.

A runtime says what it is in `Runtime`; what only one of them has (the embedded engine's event routes) it adds to
`Face.front` before `open`.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from connectors.access import Guard
from connectors.audit import AuditLog
from connectors.console.contract import Answers
from connectors.console.routes import add_routes as add_console_routes
from connectors.desk.desk import Desk
from connectors.desk.routes import add_routes as add_desk_routes
from connectors.tls import server_context
from engine.flow.datadir import AUDIT
from engine.metrics import Metrics
from engine.serve import acts
from engine.serve.controls import (
    ControlBody,
    CustomerBody,
    ListBody,
    OutcomesBody,
    Said,
    check_list,
    check_outcomes,
    control_record,
    customer_of,
    ends_of,
    subscribers_of,
)
from engine.serve.front import BODY_BYTES_MAX, Front
from engine.serve.terminal_key import terminal_key
from engine.settings.config import Config
from rules.model import Book

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Runtime(Protocol):
    """A runtime, as its HTTP face sees it."""

    @property
    def failure(self) -> BaseException | None:
        """The fault that is ending it, if there is one."""

    @property
    def book(self) -> Book:
        """The active book."""

    def status(self) -> Mapping[str, Any]:
        """Return its figures of now."""

    async def control(self, record: Mapping[str, str]) -> int:
        """Pause, resume or kill; returns, when the log has it, how many queued sends that touches."""

    async def members(self, subscribers: Sequence[int], name: str, *, member: bool, ends: Mapping[str, int]) -> None:
        """Put subscribers on a list or take them off; returns when the log has it.

        `ends`: what the events say of the end, `until` or `for_ms`.
        """

    async def export(self, subscriber: int) -> Mapping[str, Any]:
        """Return all that the state keeps of a subscriber; RequestError where it is not kept here."""

    async def erase(self, subscriber: int) -> None:
        """Have the state of a subscriber end, but for the lists that exclude; returns when the log has it."""

    async def said(self, outcomes: Sequence[Said]) -> None:
        """Record what outside channels say of decisions; returns when the log has it."""


class Face:
    """The HTTP server of one runtime.

    Args:
        config: checked settings.
        runtime: answers.
        metrics: what `/metrics` shows.
        desk: served where there is one.
        address: the file that says where it listens, for commands on the same data directory.
        body_bytes_max: largest request body of any route.
        console: what answers the operations console, where there is one.
    """

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        metrics: Metrics,
        desk: Desk | None,
        address: Path,
        body_bytes_max: int = BODY_BYTES_MAX,
        console: Answers | None = None,
    ) -> None:
        self._http = config.http
        self._partitions = config.data.partitions
        self._numbers = config.numbers.plan()
        self._address = address
        self._listens = False
        self._runtime = runtime
        token = config.http.token.read() if config.http.token is not None else None
        guard = Guard(lambda route: metrics.wrong_secrets.labels(route).inc(), config.http.trusted_proxies)
        tls = server_context(*files) if (files := config.http.tls_files) is not None else None
        audit = AuditLog(address.parent / AUDIT, lambda: time.time_ns() // 1_000_000)
        connections_max, idle_s = config.http.connections_max, config.http.idle_s
        front = self.front = Front(token, guard, audit, body_bytes_max, tls, connections_max, idle_s)
        front.read("/health", self._health)
        front.read("/status", self._status)
        front.write("/control", ControlBody, self._control, acts.of_control)
        front.write("/lists", ListBody, self._lists, acts.of_list)
        front.write("/customers/export", CustomerBody, self._export, acts.of_export)
        front.write("/customers/erase", CustomerBody, self._erase, acts.of_erase)
        front.write("/outcomes", OutcomesBody, self._outcomes)
        if config.metrics.enabled:
            front.page("/metrics", METRICS_TYPE, metrics.page)
        if desk is not None:
            add_desk_routes(front.app, desk, terminal_key(config.desk, address.parent), self._numbers)
        if console is not None:
            add_console_routes(front.app, config.console, console, audit)

    async def open(self) -> int:
        """Listen, and write where; return the port."""
        port = await self.front.start(self._http.host, self._http.port)
        self._listens = True
        where = {"host": self._http.host, "port": port, "engine": self.front.name}
        self._address.write_bytes(orjson.dumps(where | {"tls": self._http.tls_files is not None}))
        return port

    async def close(self) -> None:
        """Close connections, stop listening, remove the file."""
        await self.front.stop()
        if self._listens:
            self._address.unlink(missing_ok=True)

    async def _health(self, _: Any) -> Mapping[str, Any]:
        failure = self._runtime.failure
        return {"ok": failure is None, "fault": str(failure) if failure else ""}

    async def _status(self, _: Any) -> Mapping[str, Any]:
        return self._runtime.status()

    async def _control(self, body: ControlBody) -> Mapping[str, Any]:
        return {"touched": await self._runtime.control(control_record(self._runtime.book, body))}

    async def _lists(self, body: ListBody) -> Mapping[str, Any]:
        check_list(self._runtime.book, body)
        subscribers, ends = subscribers_of(body, self._numbers), ends_of(body, self._runtime.book.zone)
        if subscribers:
            await self._runtime.members(subscribers, body.name, member=body.member, ends=ends)
        return {"changed": len(subscribers)}

    async def _export(self, body: CustomerBody) -> Mapping[str, Any]:
        return await self._runtime.export(customer_of(body, self._numbers))

    async def _erase(self, body: CustomerBody) -> Mapping[str, Any]:
        await self._runtime.erase(customer_of(body, self._numbers))
        return {"erased": 1}

    async def _outcomes(self, body: OutcomesBody) -> Mapping[str, Any]:
        check_outcomes(body, self._partitions)
        if body.outcomes:
            await self._runtime.said(body.outcomes)
        return {"recorded": len(body.outcomes)}
