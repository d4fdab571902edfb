"""A listening port that takes no more connections than there is room for; the rest waits in the system's queue.

    listener = Listener(host, port, make_protocol, connections_max)
    await listener.start()          OSError names an address that cannot be had
    listener.left()                 to be called by each protocol when its connection is lost
    await listener.stop()

A full table is back-pressure: nothing is accepted until a connection leaves. So is a scarcity of descriptors: the last
`SPARE_DESCRIPTORS` of the process are kept for files. What accepting says goes to the log once a minute at most.
"""

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
from collections.abc import Callable

from connectors.seldom import Seldom

log = logging.getLogger(__name__)

SPARE_DESCRIPTORS = 256
BACKLOG = 1024
RETRY_S = 1.0
HANDSHAKE_S = 10.0


class Listener:
    """One door's listening sockets.

    Args:
        host: name or address; every address of the name is listened on.
        port: 0 takes a free one.
        make_protocol: called for each connection.
        connections_max: connections at a time.
        tls: what it needs to speak TLS; None: plain TCP.
    """

    def __init__(
        self,
        host: str,
        port: int,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        connections_max: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.connections = 0
        self.pauses = 0
        self._host, self._port = host, port
        self._make_protocol = make_protocol
        self._connections_max = connections_max
        self._tls = tls
        self._serving: set[asyncio.Task[None]] = set()
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = asyncio.Event()
        self._seldom = Seldom(log)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen; OSError names an address that cannot be had."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, address in dict.fromkeys((one[0], one[4]) for one in found):
                self._sockets.append(_listening(family, address))
        except OSError:
            self._close()
            raise
        self._tasks = [loop.create_task(self._accept(one), name=f"accept-{self.port}") for one in self._sockets]

    async def stop(self) -> None:
        """Accept no more; connections that are open stay."""
        tasks = [*self._tasks, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks = []
        self._close()

    def left(self) -> None:
        """Take note that a connection was lost."""
        self.connections -= 1
        self._leaving.set()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self.connections >= self._connections_max:
                await self._wait(f"{self.connections} connections are open, and connections_max is that many")
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as fault:
                self._seldom.warning("port %d: no connection can be accepted now: %s", self.port, fault)
                await asyncio.sleep(RETRY_S)
                continue
            self.connections += 1
            serving = loop.create_task(self._serve(connection))
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
            if connection.fileno() >= descriptors_max():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wait("descriptors are scarce (ulimit -n)"), RETRY_S)

    async def _serve(self, connection: socket.socket) -> None:
        """Hand a connection over to a protocol of its own, after the handshake where it speaks TLS."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make_protocol, connection, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_S if self._tls else None
            )
        except (OSError, TimeoutError) as fault:
            connection.close()
            self.left()
            self._seldom.warning("port %d: a connection broke at once: %s", self.port, fault)

    async def _wait(self, why: str) -> None:
        self.pauses += 1
        self._seldom.warning("port %d: accepting waits: %s", self.port, why)
        self._leaving.clear()
        await self._leaving.wait()

    def _close(self) -> None:
        for one in self._sockets:
            one.close()


def descriptors_max() -> int:
    """Return from which number on a descriptor is one of those that are kept for files."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit - min(SPARE_DESCRIPTORS, limit // 2) if limit != resource.RLIM_INFINITY else 1 << 30


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)
        one.setblocking(False)
    except OSError as fault:
        one.close()
        raise OSError(fault.errno, f"cannot listen on {address[0]}:{address[1]}: {fault.strerror}") from None
    return one
