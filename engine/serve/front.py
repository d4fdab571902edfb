"""The HTTP front: one server for events, desk, status, metrics, pause and kill.

It listens on loopback unless configured otherwise. Reads of status and metrics are open to all that can reach it; every
write needs the token, or, where none is configured, must come from this machine and from no page in a browser. No
answer holds a subscriber's number unless the request named it.

    400  a body that cannot be read, or names nothing that there is (`RequestError`): the caller's fault
    401  a wrong secret, answered after a second and counted; 429 for the peer that shows many at once
    421  the request was meant for another engine
    500  anything else that a handler raises: our fault. The log has the traceback, the answer no details
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware

from connectors.access import Guard, bears, from_here
from connectors.audit import Act, AuditLog, Caller
from connectors.http_door import BODY_S, HttpDoor
from connectors.listening import naming
from connectors.seldom import Seldom, SeldomFilter
from connectors.tls import TlsContext
from engine.serve.controls import Body, RequestError, read_body
from state.visible import visible

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY_BYTES_MAX = 1 << 20
CONNECTIONS_MAX = 512
IDLE_S = 60.0
ERROR_CHARS_MAX = 500
NAME_HEADER = "Opportune-Engine"
"""Commands name the engine they mean: the one whose address stands in the data directory."""


class Front:
    """Routes of the engine itself; sources and desk add their own to `app`.

    Args:
        token: bearer token of writes; None allows this machine only.
        guard: counts wrong secrets, and knows the proxies.
        audit: where commands are written.
        body_bytes_max: largest request body of any route.
        tls: what it needs to speak TLS; None: plain HTTP.
        connections_max: connections at a time; more wait to be accepted.
        idle_s: seconds a connection may be open without a request under way.
    """

    def __init__(
        self,
        token: str | None,
        guard: Guard,
        audit: AuditLog | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
        tls: TlsContext | None = None,
        connections_max: int = CONNECTIONS_MAX,
        idle_s: float = IDLE_S,
    ) -> None:
        self._door = HttpDoor(connections_max, idle_s)
        self.app = web.Application(
            client_max_size=body_bytes_max,
            middlewares=[self._door.middleware, self._meant, _answering_faults(Seldom(log))],
        )
        guard.add_to(self.app)
        self._guard = guard
        self._audit = audit
        self._tls = tls
        self.name = secrets.token_hex(8)
        self._token = token.encode() if token is not None else None
        self._runner: web.AppRunner | None = None

    def read(self, path: str, answer: Callable[[web.Request], Awaitable[Any]]) -> None:
        """Serve a JSON answer on GET."""

        async def handle(request: web.Request) -> web.Response:
            return _json(await answer(request))

        self.app.router.add_get(path, handle)

    def page(self, path: str, content_type: str, answer: Callable[[], bytes]) -> None:
        """Serve a plain page on GET."""

        async def handle(_: web.Request) -> web.Response:
            return web.Response(body=answer(), headers={"Content-Type": content_type})

        self.app.router.add_get(path, handle)

    def write(
        self,
        path: str,
        model: type[Body],
        answer: Callable[[Body], Awaitable[Any]],
        act: Callable[[Body], Act] | None = None,
    ) -> None:
        """Serve a JSON answer on POST of a JSON object that `model` reads, to callers that may write.

        `act` says what a body asks for, where that is a command for the audit log.
        """

        async def handle(request: web.Request) -> web.Response:
            if not self.may_write(request):
                return _json({"error": "a token is needed"}, 401)
            try:
                body = read_body(await _raw(request), model)
                if act is None or self._audit is None:
                    return _json(await answer(body))
                async with self._audit.of(self._caller(request), act(body)) as told:
                    said = await answer(body)
                    told.text = _counts(said)
                return _json(said)
            except RequestError as refused:
                return _json({"error": visible(str(refused), ERROR_CHARS_MAX)}, 400)

        self.app.router.add_post(path, handle)

    def _caller(self, request: web.Request) -> Caller:
        who = "token" if self._token is not None else "this machine"
        return Caller(who, "", self._guard.peer(request), "http")

    @web.middleware
    async def _meant(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what was meant for an engine that had this port before."""
        if request.headers.get(NAME_HEADER, self.name) != self.name:
            return _json({"error": "another engine listens here now"}, 421)
        return await handler(request)

    def around(self, work: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        """Have something open from the start to the stop of the server."""

        async def during(_: web.Application) -> AsyncIterator[None]:
            async with work():
                yield

        self.app.cleanup_ctx.append(during)

    def may_write(self, request: web.Request) -> bool:
        """Tell whether a request may change something."""
        if self._token is not None:
            return bears(request, self._token)
        return from_here(request) and "Origin" not in request.headers

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which differs from the one asked for when that is 0. OSError names the settings."""
        self._runner = web.AppRunner(
            self.app, access_log=None, logger=_server_log(), shutdown_timeout=2.0, auto_decompress=False
        )
        await self._runner.setup()
        assert self._runner.server is not None
        with naming("http.host and http.port", host, port):
            return await self._door.start(self._runner.server, host, port, self._tls)

    async def stop(self) -> None:
        """Close connections and stop listening."""
        await self._door.stop()
        if self._runner is not None:
            await self._runner.cleanup()


def _counts(said: Mapping[str, Any]) -> str:
    """Return the counts of an answer in words; what else an answer holds is for who asked."""
    return ", ".join(f"{name} {count}" for name, count in said.items() if isinstance(count, int)) or "done"


def _server_log() -> logging.Logger:
    """Return the log of aiohttp's server, which by itself writes a traceback for every request that it cannot read."""
    logger = logging.Logger("aiohttp.server")
    logger.parent = logging.getLogger()
    logger.addFilter(SeldomFilter((HttpProcessingError, ConnectionError)))
    return logger


def _answering_faults(seldom: Seldom) -> Middleware:
    """Answer 500 where a handler raises what it does not mean to, and log it.

    A caller that has gone, or has got the beginning of another answer, is left to aiohttp: it closes the connection.
    """

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception:
            gone = request.transport is None or request.transport.is_closing()
            if gone or request.writer.output_size:
                raise
            seldom.exception("%s %s failed", request.method, _route(request))
            return _json({"error": "the engine failed; its log says how"}, 500)

    return answer


def _route(request: web.Request) -> str:
    """Return the pattern of a request's path: the path itself may hold a name of somebody."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "?"


async def _raw(request: web.Request) -> bytes:
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise RequestError("the body cannot be read: it must not be packed")
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError as fault:
        raise web.HTTPRequestTimeout(text=f"the body must be whole within {BODY_S:g} s") from fault
    except (web.RequestPayloadError, HttpProcessingError) as fault:
        raise RequestError(f"the body cannot be read: {fault}") from fault


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
