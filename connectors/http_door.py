"""The connections of an HTTP server: how many, and how long one may be open without a request under way.

    door = HttpDoor(connections_max, idle_s)
    app = web.Application(middlewares=[door.middleware, ...])
    await door.start(runner.server, host, port); await door.stop()

A connection has `idle_s` to bring the whole head of a request, from its beginning or from the last answer on; bytes
that drip in do not lengthen that. Bodies have a time of their own where they are read. aiohttp itself waits without end
for the first request, and 3,630 s for the next.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from connectors.listener import Listener

BODY_S = 30.0
"""Within which the body of a command must be whole, for a request under way keeps its connection open."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpDoor:
    """Accepts connections for an aiohttp server, and closes those that bring nothing."""

    def __init__(self, connections_max: int, idle_s: float) -> None:
        self._connections_max = connections_max
        self._idle_s = idle_s
        self._open: dict[asyncio.BaseTransport, _Connection] = {}
        self._listener: Listener | None = None

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    async def start(
        self, server: Callable[[], asyncio.Protocol], host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> int:
        """Listen for `server`; return the port. OSError names an address that cannot be had."""
        self._listener = Listener(host, port, lambda: _Connection(self, server()), self._connections_max, tls)
        await self._listener.start()
        return self._listener.port

    async def stop(self) -> None:
        """Accept no more; what is open is the server's to end."""
        if self._listener is not None:
            await self._listener.stop()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep a connection open while a request of its own is under way."""
        connection = self._open.get(request.transport) if request.transport is not None else None
        if connection is None:
            return await handler(request)
        connection.busy()
        try:
            return await handler(request)
        finally:
            connection.idle(self._idle_s)

    def joined(self, connection: "_Connection", transport: asyncio.BaseTransport) -> None:
        """Take note of a new connection."""
        self._open[transport] = connection
        connection.idle(self._idle_s)

    def left(self, transport: asyncio.BaseTransport | None) -> None:
        """Take note that one was lost."""
        if transport is not None:
            self._open.pop(transport, None)
        if self._listener is not None:
            self._listener.left()


class _Connection(asyncio.Protocol):
    """One connection: everything goes to aiohttp's protocol for it."""

    def __init__(self, door: HttpDoor, handler: asyncio.Protocol) -> None:
        self._door = door
        self._handler = handler
        self._transport: asyncio.BaseTransport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def busy(self) -> None:
        """Let it be open as long as it takes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def idle(self, idle_s: float) -> None:
        """Close it after `idle_s`, unless it is busy by then."""
        self.busy()
        if self._transport is not None and not self._transport.is_closing():
            self._timer = asyncio.get_running_loop().call_later(idle_s, self._end)

    def _end(self) -> None:
        """Close it; what a peer that reads nothing has not taken by now is thrown away, for it would keep it open."""
        transport = cast("asyncio.Transport", self._transport)
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._handler.connection_made(transport)
        self._door.joined(self, transport)

    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        return self._handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.busy()
        self._handler.connection_lost(exc)
        self._door.left(self._transport)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()
