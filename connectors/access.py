"""Which callers over HTTP are let in: those with the bearer token or, where none is configured, this machine.

A page of another site, open in a browser on this machine, is not this machine: besides the peer the Host must be
loopback (such a page can point its own name at our address), and an Origin must be ours. Nor is a caller that a proxy
on this machine speaks for. An empty token lets nobody in.

`Guard` counts every wrong secret and answers it late, so that none can be guessed at the speed of the network. It also
knows the proxies that are believed when they say that a browser spoke TLS.
"""

import asyncio
import hmac
import ipaddress
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from aiohttp import web

REFUSED_S = 1.0
"""How late a refusal is answered."""
REFUSALS_MAX = 8
"""Refusals of one peer that wait to be answered; meanwhile no other secret that it shows is looked at."""
SPOKEN_FOR = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
"""What a proxy adds to a request that it passes on."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """What the doors of one HTTP front share: wrong secrets, and the proxies that are believed.

    Args:
        count: called with the route of every request that showed a wrong secret.
        proxies: addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
        delay_s: how late a refusal is answered.
    """

    def __init__(
        self,
        count: Callable[[str], object] = lambda _: None,
        proxies: Sequence[str] = (),
        delay_s: float = REFUSED_S,
    ) -> None:
        self._count = count
        self._proxies = [ipaddress.ip_network(one) for one in proxies]
        self._delay_s = delay_s
        self._waiting: Counter[str] = Counter()

    def add_to(self, app: web.Application) -> None:
        """Stand before every route of an application."""
        app[GUARD] = self
        app.middlewares.append(self._watch)

    def behind_tls(self, request: web.Request) -> bool:
        """Return whether the caller's browser spoke TLS, with us or with a proxy that is believed."""
        return request.secure or (
            self._believed(request) and request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"
        )

    def peer(self, request: web.Request) -> str:
        """Return the caller's address: the one that a believed proxy names last, or the connection's."""
        if self._believed(request) and (named := request.headers.get("X-Forwarded-For", "")):
            return named.rpartition(",")[2].strip()
        return request.remote or ""

    def _believed(self, request: web.Request) -> bool:
        try:
            address = ipaddress.ip_address(request.remote or "")
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _shows_secret(request):
            return await handler(request)
        peer = self.peer(request)
        if self._waiting[peer] >= REFUSALS_MAX:
            return web.json_response({"error": "too many wrong secrets"}, status=429, headers={"Retry-After": "1"})
        response = await handler(request)
        if response.status == 401:
            resource = request.match_info.route.resource
            self._count(resource.canonical if resource is not None else "?")
            await self._wait(peer)
        return response

    async def _wait(self, peer: str) -> None:
        self._waiting[peer] += 1
        try:
            await asyncio.sleep(self._delay_s)
        finally:
            self._waiting[peer] -= 1
            if not self._waiting[peer]:
                del self._waiting[peer]


def _shows_secret(request: web.Request) -> bool:
    return "Authorization" in request.headers or (request.method == "POST" and request.path.endswith("/session"))


GUARD = web.AppKey("guard", Guard)


def bears(request: web.Request, token: bytes) -> bool:
    """Return whether a request carries the bearer token; an empty token is carried by none."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return matches(given, token)


def matches(given: str, secret: bytes) -> bool:
    """Return whether a text is the secret; nothing matches an empty one."""
    return bool(secret) and hmac.compare_digest(given.encode(errors="surrogatepass"), secret)


def same_site(request: web.Request) -> bool:
    """Return whether a request comes from a page of ours, or from no page at all."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def from_here(request: web.Request) -> bool:
    """Return whether the caller is a program, or a page of ours, on this machine."""
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return False
    if any(name in request.headers for name in SPOKEN_FOR):
        return False
    return is_loopback(request.remote or "") and is_loopback(host) and same_site(request)


def is_loopback(host: str) -> bool:
    """Return whether an address or name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
