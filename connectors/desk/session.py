"""Access to the desk: a bearer token for systems, a signed session for a terminal's page.

    system      Authorization: Bearer TOKEN                 opens and closes any visit, answers any card
    terminal    /desk/{terminal}#token=TERMINAL_TOKEN       the page trades it for a cookie; only its own terminal

A terminal's token is the HMAC of its name under a key of its own, so nothing is stored for it and every process with
the key knows it. The key has nothing to do with the system's token: a clerk who knows a terminal's token can guess
at neither. The token travels in the address' fragment, which browsers do not send, and becomes a cookie that scripts
cannot read and other sites cannot use; behind TLS it is sent over TLS alone.

A sign-in at a terminal takes it over: the desk remembers the latest session's number on the terminal's panel,
and an earlier session may do nothing more. Nothing else is kept: a queue that forgot learns it from the next page.

Without a configured token only this machine is let in: see `connectors.access`. Behind a proxy, set a token.
"""

import hashlib
import hmac
import json

from aiohttp import web

from connectors.access import GUARD, bears, from_here, matches, same_site

KEY_BYTES_MIN = 16


class Sessions:
    """Checks requests and signs cookies.

    Args:
        token: what systems bear; None means this machine only, and no key is needed.
        key: what signs terminals' tokens and cookies.
        session_ms: how long a cookie holds.
    """

    def __init__(self, token: str | None, key: bytes, session_ms: int) -> None:
        self._token = token.encode() if token is not None else None
        if token is not None and len(key) < KEY_BYTES_MIN:
            raise ValueError(f"key of {len(key)} bytes must be >= {KEY_BYTES_MIN}")
        self._key = key
        self._session_ms = session_ms

    def _sign(self, *parts: str) -> str:
        return hmac.digest(self._key, json.dumps(parts).encode(), hashlib.sha256).hex()

    def terminal_token(self, terminal: str) -> str:
        """Return the token of one terminal; "" when none is needed."""
        return self._sign("terminal", terminal)[:32] if self._token is not None else ""

    def page_path(self, terminal: str) -> str:
        """Return the page's address on this server, with what signs it in."""
        token = self.terminal_token(terminal)
        return f"/desk/{terminal}#token={token}" if token else f"/desk/{terminal}"

    def is_system(self, request: web.Request) -> bool:
        """Whether a system with the token asks, or anyone on this machine when there is none."""
        if self._token is None:
            return from_here(request)
        return bears(request, self._token)

    def session_of(self, request: web.Request, terminal: str, now_ms: int) -> int | None:
        """Return the number of the session in which this terminal's page asks, None when it is signed in nowhere.

        A later sign-in has a larger number. Where no token is needed every page has number 0.
        """
        if self._token is None:
            return 0 if from_here(request) else None
        end_ms, _, signature = request.cookies.get(_cookie(terminal), "").partition(".")
        wanted = self._sign("session", terminal, end_ms)
        signed = matches(signature, wanted.encode())
        return int(end_ms) if signed and now_ms < int(end_ms) and same_site(request) else None

    def sign_in(
        self, response: web.StreamResponse, request: web.Request, terminal: str, token: str, now_ms: int
    ) -> bool:
        """Trade a terminal's token for its cookie."""
        if self._token is None:
            return from_here(request)
        if not matches(token, self.terminal_token(terminal).encode()) or not same_site(request):
            return False
        end_ms = str(now_ms + self._session_ms)
        response.set_cookie(
            _cookie(terminal),
            f"{end_ms}.{self._sign('session', terminal, end_ms)}",
            path="/desk",
            max_age=self._session_ms // 1_000,
            httponly=True,
            samesite="Strict",
            secure=request.app[GUARD].behind_tls(request),
        )
        return True


def _cookie(terminal: str) -> str:
    return f"opportune_desk_{terminal}"
