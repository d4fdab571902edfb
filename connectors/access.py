"""Which callers over HTTP are let in: those with the bearer token or, where none is configured, this machine.

A page of another site, open in a browser on this machine, is not this machine: besides the peer the Host must be
loopback (such a page can point its own name at our address), and an Origin must be ours. Behind a proxy every peer is
local, so a token is needed there.
"""

import hmac
import ipaddress
from urllib.parse import urlsplit

from aiohttp import web


def bears(request: web.Request, token: bytes) -> bool:
    """Return whether a request carries the bearer token."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return hmac.compare_digest(given.encode(errors="surrogateescape"), token)


def same_site(request: web.Request) -> bool:
    """Return whether a request comes from a page of ours, or from no page at all."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def from_here(request: web.Request) -> bool:
    """Return whether the caller is a program, or a page of ours, on this machine."""
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return False
    return _is_loopback(request.remote or "") and _is_loopback(host) and same_site(request)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
