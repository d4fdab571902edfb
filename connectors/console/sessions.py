"""Who is signed in to the console: sessions in memory, each a random number in a cookie.

A cookie is HttpOnly, SameSite=Strict, for /console alone, and Secure behind TLS. Nothing is kept on disk, so the end of
the process signs everybody out, and so does a changed token: it is read at a start. Of the number only its hash is
kept. Each session has a second random number that stands in its forms: no page of another site knows it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from connectors.access import GUARD, matches, same_site
from connectors.console.config import ConsoleUser
from connectors.console.roles import RIGHTS, Right
from connectors.secret import SecretError

COOKIE = "opportune_console"
PATH = "/console"
SESSIONS_MAX = 16
"""Of one user; of more the oldest ends."""


@dataclass(slots=True)
class Session:
    """One user, signed in until `end_ms`; `notice` is shown once, on the page of the path that stands in it first."""

    user: str
    role: str
    end_ms: int
    form_key: str
    notice: tuple[str, str] | None = None

    def may(self, right: Right) -> bool:
        """Return whether the user's role has a right."""
        return right in RIGHTS[self.role]


class Sessions:
    """Signs users in and out.

    Args:
        users: whose tokens are read here; SecretError where one is not there, or two are the same.
        session_ms: how long a session holds.
        now_ms: the wall clock.
    """

    def __init__(self, users: Sequence[ConsoleUser], session_ms: int, now_ms: Callable[[], int]) -> None:
        self._users = [(user, user.token.read().encode(errors="surrogateescape")) for user in users]
        tokens = [token for _, token in self._users]
        for place, (user, token) in enumerate(self._users):
            if token in tokens[:place]:
                raise SecretError(f"console.users {user.name!r}: {user.token.place} is another user's token")
        self._session_ms = session_ms
        self._now_ms = now_ms
        self._open: dict[str, Session] = {}

    def of(self, request: web.Request) -> Session | None:
        """Return the session of a request from a page of ours; None where it has none, or not any more."""
        name = _hashed(request.cookies.get(COOKIE, ""))
        session = self._open.get(name)
        if session is None or not same_site(request):
            return None
        if session.end_ms <= self._now_ms():
            del self._open[name]
            return None
        return session

    def user_of(self, token: str) -> ConsoleUser | None:
        """Return whose token it is; as long is taken for one of nobody as for any other."""
        found = None
        for user, secret in self._users:
            if matches(token, secret):
                found = user
        return found

    def sign_in(self, response: web.StreamResponse, request: web.Request, user: ConsoleUser) -> Session:
        """Begin a session."""
        now_ms = self._now_ms()
        self._open = {name: one for name, one in self._open.items() if one.end_ms > now_ms}
        own = [name for name, one in self._open.items() if one.user == user.name]
        for name in own[: len(own) - SESSIONS_MAX + 1]:
            del self._open[name]
        number = secrets.token_hex(32)
        session = Session(user.name, user.role, now_ms + self._session_ms, secrets.token_hex(16))
        self._open[_hashed(number)] = session
        response.set_cookie(
            COOKIE, number, path=PATH, max_age=self._session_ms // 1_000, httponly=True, samesite="Strict",
            secure=request.app[GUARD].behind_tls(request),
        )  # fmt: skip
        return session

    def sign_out(self, response: web.StreamResponse, request: web.Request) -> None:
        """End the session of a request, here and in the browser."""
        self._open.pop(_hashed(request.cookies.get(COOKIE, "")), None)
        response.del_cookie(COOKIE, path=PATH)


def is_own_form(session: Session, form_key: str) -> bool:
    """Return whether a form was made by a page of this session."""
    return hmac.compare_digest(form_key.encode(errors="surrogatepass"), session.form_key.encode())


def _hashed(number: str) -> str:
    return hashlib.sha256(number.encode(errors="surrogatepass")).hexdigest()
