"""The HTTP front: one server for events, desk, status, metrics, pause and kill.

It listens on loopback unless configured otherwise. Reads of status and metrics are open to who can reach it; every
write needs the token, or, where none is configured, must come from this machine and from no page in a browser. No
answer holds a number unless who asked named it.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from connectors.access import bears, from_here

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY_BYTES_MAX = 1 << 20
NAME_HEADER = "Opportune-Engine"
"""Commands name the engine they mean: the one whose address stands in the data directory."""


class Front:
    """Routes of the engine itself; sources and desk add their own to `app`.

    Args:
        token: bearer token of writes; None allows this machine only.
        body_bytes_max: largest request body of any route.
    """

    def __init__(self, token: str | None, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self.app = web.Application(client_max_size=body_bytes_max, middlewares=[self._meant])
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

    def write(self, path: str, answer: Callable[[dict[str, Any]], Awaitable[Any]]) -> None:
        """Serve a JSON answer on POST of a JSON object, to who may write. ValueError and KeyError answer 400."""

        async def handle(request: web.Request) -> web.Response:
            if not self.may_write(request):
                return _json({"error": "a token is needed"}, 401)
            try:
                body = orjson.loads(await request.read())
                return _json(await answer(body))
            except KeyError as fault:
                return _json({"error": f"{fault.args[0]} is missing"}, 400)
            except (ValueError, TypeError) as fault:
                return _json({"error": str(fault)}, 400)

        self.app.router.add_post(path, handle)

    @web.middleware
    async def _meant(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what was meant for an engine that had this port before."""
        if request.headers.get(NAME_HEADER, self.name) != self.name:
            return _json({"error": "another engine listens here now"}, 421)
        return await handler(request)

    def may_write(self, request: web.Request) -> bool:
        """Tell whether a request may change something."""
        if self._token is not None:
            return bears(request, self._token)
        return from_here(request) and "Origin" not in request.headers

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, which differs from the one asked for when that is 0."""
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=2.0, auto_decompress=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close connections and stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
