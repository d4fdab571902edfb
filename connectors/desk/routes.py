"""The desk over HTTP: visits opened and closed by systems or clerks, the page, its event stream, and answers.

    POST   /desk/visits                  {terminal, subscriber, visit?, customer?}   201, or 200 when it stood already
    DELETE /desk/visits/{visit}?cause=   done | logout                               200 with the visit as it closed
    POST   /desk/visits/{visit}/keep     the clerk is still there                    204, or 409 when it has closed
    POST   /desk/visits/{visit}/optout   the customer wants no commercial texts      204, or 409 when it has closed
    POST   /desk/cards/{card}/answer     {answer, note?}     200; 409 with the card's state when it came too late
    POST   /desk/{terminal}/session      {token}             204 and a cookie; takes over from the session before
    GET    /desk/{terminal}/session      204, or 401 when it holds no more; a system gets {signed_in, where, since_ms}
    GET    /desk/{terminal}              the page
    GET    /desk/{terminal}/events       server-sent events: hello, panel, link, beat, taken

A write is confirmed once the log has it: 503 with Retry-After means "not yet, say it again", and saying it again is
always safe. The stream sends the current panel only, whatever was missed; `Last-Event-ID` spares a page what it holds
already. Bodies are JSON by content type, so no form of another site can make one. Nothing dynamic is ever written into
the page's HTML.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TypeVar

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.desk.desk import BehindError, Desk, NotDurableError
from connectors.desk.model import TERMINAL, Card, Cause, Customer, DeclineReason, Id, Msisdn, Name, Reply, Ruling
from connectors.desk.queue import QueueLostError
from connectors.desk.session import Sessions
from connectors.desk.stream import EventStream
from connectors.http_door import BODY_S
from state.numbers import NO_PLAN, NumberError, NumberPlan
from state.visible import visible

BODY_BYTES_MAX = 16_384
TEXT_CHARS_MAX = 500
"""Of a refusal, which may repeat what was sent."""
ELEVEN, DIGITS_MIN = 11, 5
RESERVED = frozenset({"visits", "cards", "static"})
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
STATIC = {
    "page.js": "text/javascript",
    "attention.js": "text/javascript",
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
    "icon-called.svg": "image/svg+xml",
}

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VisitBody(_Body):
    """What opens a visit. A clerk's `number` is as typed; a system's `subscriber` is complete."""

    terminal: Name
    subscriber: Msisdn | None = None
    number: str = Field(default="", max_length=40)
    visit: Id | None = None
    customer: Customer = Customer()


class AnswerBody(_Body):
    """A clerk's answer; `note` is the reason of a decline."""

    answer: Reply
    note: DeclineReason | None = None


class SessionBody(_Body):
    """A terminal's token."""

    token: str = Field(max_length=128)


def add_routes(app: web.Application, desk: Desk, key: bytes, numbers: NumberPlan = NO_PLAN) -> Sessions:
    """Serve a desk in an application with a `Guard`; return what signs terminals in, by `key`.

    `numbers` reads what systems and clerks write as a subscriber.

    The systems' token is read here.
    """
    token = desk.config.token.read() if desk.config.token is not None else None
    sessions = Sessions(token, key, desk.config.session_ms)
    handlers = _Handlers(desk, sessions, numbers)
    app.on_shutdown.append(handlers.close)
    app.router.add_routes(
        [
            web.post("/desk/visits", handlers.open_visit),
            web.delete("/desk/visits/{visit}", handlers.close_visit),
            web.post("/desk/visits/{visit}/keep", handlers.keep_visit),
            web.post("/desk/visits/{visit}/optout", handlers.opt_out),
            web.post("/desk/cards/{card}/answer", handlers.answer),
            web.get("/desk/static/{name}", handlers.static),
            web.post("/desk/{terminal}/session", handlers.session),
            web.get("/desk/{terminal}/session", handlers.signed_in),
            web.get("/desk/{terminal}/events", handlers.events),
            web.get("/desk/{terminal}", handlers.page),
        ]
    )
    return sessions


def _refusal(status: int, code: str, text: str, **more: object) -> web.Response:
    headers = {"Retry-After": "1"} if status == 503 else {}
    return _json({"error": code, "text": visible(text, TEXT_CHARS_MAX), **more}, status, headers)


def _json(body: dict[str, object], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.response = _refusal(status, code, text)


def _answering(
    handler: Callable[["_Handlers", web.Request], Awaitable[web.Response]],
) -> Callable[..., Awaitable[web.Response]]:
    async def answer(handlers: "_Handlers", request: web.Request) -> web.Response:
        try:
            return await handler(handlers, request)
        except _RefusedError as refused:
            return refused.response
        except QueueLostError:
            return _refusal(503, "queue_lost", "the desk's queue is out of reach; say it again")
        except NotDurableError:
            return _refusal(503, "not_durable", "the log has not taken it yet; say it again")
        except BehindError as behind:
            return _refusal(503, "behind", str(behind))

    return answer


async def _body(request: web.Request, kind: type[Body]) -> Body:
    if request.content_type != "application/json":
        raise _RefusedError(415, "not_json", f"Content-Type is {request.content_type}, must be application/json")
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.content.iter_any():
                raw += piece
                if len(raw) > BODY_BYTES_MAX:
                    raise _RefusedError(413, "too_large", f"body must be <= {BODY_BYTES_MAX} bytes")
    except TimeoutError as fault:
        raise _RefusedError(408, "slow", f"body must be whole within {BODY_S:g} s") from fault
    except (web.RequestPayloadError, HttpProcessingError) as fault:
        raise _RefusedError(400, "invalid", f"body cannot be read: {fault}") from fault
    try:
        return kind.model_validate_json(bytes(raw))
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "body"
        raise _RefusedError(400, "invalid", f"{place}: {first['msg']}") from fault


class _Handlers:
    """The handlers. Each one checks first whether the caller may ask."""

    def __init__(self, desk: Desk, sessions: Sessions, numbers: NumberPlan) -> None:
        self._desk = desk
        self._numbers = numbers
        self._sessions = sessions
        self._closing = asyncio.Event()
        folder = files(__package__)
        self._page = folder.joinpath("page.html").read_bytes()
        self._static = {name: folder.joinpath(name).read_bytes() for name in STATIC}

    async def close(self, _app: web.Application) -> None:
        """End the event streams so that the server can stop."""
        self._closing.set()

    def _signed_in(self, request: web.Request, terminal: str) -> int | None:
        """Refuse a caller that is no system and not signed in here; return the session, None for a system."""
        if terminal and not TERMINAL.fullmatch(terminal):
            raise _RefusedError(404, "unknown", "no such terminal")
        if self._sessions.is_system(request):
            return None
        session = self._sessions.session_of(request, terminal, self._desk.clock()) if terminal else None
        if session is None:
            raise _RefusedError(401, "not_signed_in", "a bearer token or this terminal's session is needed")
        return session

    async def _let_in(self, request: web.Request, terminal: str) -> bool:
        """Refuse a caller that may not act here, or not any more; return whether it is a system."""
        session = self._signed_in(request, terminal)
        if session and not self._desk.may_act(await self._desk.queue.read(terminal), session):
            raise _RefusedError(401, "taken_over", "somebody else has signed in at this terminal")
        return session is None

    # Visits

    @_answering
    async def open_visit(self, request: web.Request) -> web.Response:
        """Open a visit at a terminal."""
        if not self._sessions.is_system(request) and not request.cookies:
            raise _RefusedError(401, "not_signed_in", "a bearer token or this terminal's session is needed")
        body = await _body(request, VisitBody)
        await self._let_in(request, body.terminal)
        if body.terminal in RESERVED:
            raise _RefusedError(400, "invalid", f"terminal: {body.terminal} is reserved")
        subscriber = self._subscriber(body)
        visit_id = body.visit or f"v-{uuid.uuid4().hex}"
        stood = bool(body.visit) and await self._desk.queue.find("visit", visit_id) == body.terminal
        visit = await self._desk.open_visit(body.terminal, subscriber, visit_id, body.customer)
        answer: dict[str, object] = {"visit": visit.id, "terminal": visit.terminal, "open": visit.open}
        if self._sessions.is_system(request):
            answer["page"] = self._sessions.page_path(visit.terminal)
        return _json(answer, 200 if stood else 201)

    def _subscriber(self, body: VisitBody) -> int:
        if body.subscriber is not None:
            return self._by_plan(body.subscriber, "subscriber")
        if not self._desk.config.clerk_opens_visits:
            raise _RefusedError(403, "not_here", "clerks do not open visits here: desk.clerk_opens_visits is false")
        typed = body.number
        if not self._numbers.country and len(typed) == ELEVEN and typed.isdecimal():
            typed = self._desk.config.number_prefix + typed
        return self._by_plan(typed, "number")

    def _by_plan(self, written: int | str, field: str) -> int:
        """Return the subscriber that is written; what is none, or too short for a customer's number, is refused."""
        try:
            subscriber = self._numbers.subscriber(written)
        except NumberError as fault:
            raise _RefusedError(400, "invalid", f"{field}: {str(fault).partition(' ')[2]}") from fault
        if field == "number" and len(str(subscriber)) < DIGITS_MIN:
            raise _RefusedError(400, "invalid", f"number: {len(str(subscriber))} digits, must be {DIGITS_MIN} to 15")
        return subscriber

    @_answering
    async def close_visit(self, request: web.Request) -> web.Response:
        """Close a visit."""
        visit_id = request.match_info["visit"]
        await self._let_in(request, await self._desk.queue.find("visit", visit_id))
        cause = request.query.get("cause", Cause.DONE.value)
        if cause not in {Cause.DONE.value, Cause.LOGOUT.value}:
            raise _RefusedError(400, "invalid", "cause: must be done or logout")
        visit = await self._desk.close_visit(visit_id, Cause(cause))
        if visit is None:
            return _refusal(404, "unknown", "no such visit stands at a terminal")
        return _json({"visit": visit.id, "terminal": visit.terminal, "open": False, "cause": visit.cause})

    @_answering
    async def keep_visit(self, request: web.Request) -> web.Response:
        """Start the idle time anew."""
        visit_id = request.match_info["visit"]
        await self._let_in(request, await self._desk.queue.find("visit", visit_id))
        if not await self._desk.keep_visit(visit_id):
            return _refusal(409, "closed", "the visit has closed")
        return web.Response(status=204)

    @_answering
    async def opt_out(self, request: web.Request) -> web.Response:
        """Record that the customer wants no more commercial texts."""
        visit_id = request.match_info["visit"]
        await self._let_in(request, await self._desk.queue.find("visit", visit_id))
        if not await self._desk.opt_out(visit_id):
            return _refusal(409, "closed", "the visit has closed")
        return web.Response(status=204)

    # Cards

    @_answering
    async def answer(self, request: web.Request) -> web.Response:
        """Record a clerk's answer."""
        card_id = request.match_info["card"]
        await self._let_in(request, await self._desk.queue.find("card", card_id))
        body = await _body(request, AnswerBody)
        if body.note is not None and body.answer is not Reply.DECLINE:
            raise _RefusedError(400, "invalid", f"note: only a decline has a reason, not {body.answer.value}")
        ruling, card = await self._desk.answer(card_id, body.answer, body.note.value if body.note else "")
        if card is None:
            return _refusal(404, "unknown", "no such card")
        state = _card_state(card)
        if ruling is Ruling.LATE:
            return _refusal(409, "late", "the card had ended before this answer", **state)
        return _json({"ruling": ruling.value, **state})

    # The page

    @_answering
    async def session(self, request: web.Request) -> web.Response:
        """Sign a terminal's page in."""
        terminal = request.match_info["terminal"]
        if not TERMINAL.fullmatch(terminal):
            return _refusal(404, "unknown", "no such terminal")
        body = await _body(request, SessionBody)
        response = web.Response(status=204, headers={"Cache-Control": "no-store"})
        if not self._sessions.sign_in(response, request, terminal, body.token, self._desk.clock()):
            return _refusal(401, "wrong_token", "this is not the terminal's token")
        return response

    @_answering
    async def signed_in(self, request: web.Request) -> web.Response:
        """Answer a page whether it may go on, and a system which session is signed in and which process serves it."""
        terminal = request.match_info["terminal"]
        if not await self._let_in(request, terminal) or "Authorization" not in request.headers:
            return web.Response(status=204, headers={"Cache-Control": "no-store"})
        seat = (await self._desk.queue.read(terminal)).seat
        return _json({"signed_in": seat is not None, **(seat.model_dump(exclude={"session"}) if seat else {})})

    async def page(self, request: web.Request) -> web.Response:
        """Serve the page: the same bytes for every terminal."""
        terminal = request.match_info["terminal"]
        if terminal in RESERVED or not TERMINAL.fullmatch(terminal):
            return _refusal(404, "unknown", "no such page")
        headers = {
            "Content-Security-Policy": CONTENT_POLICY,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache",
        }
        return web.Response(body=self._page, content_type="text/html", charset="utf-8", headers=headers)

    async def static(self, request: web.Request) -> web.Response:
        """Serve what the page loads."""
        name = request.match_info["name"]
        if name not in STATIC:
            return _refusal(404, "unknown", "no such file")
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=self._static[name], content_type=STATIC[name], charset="utf-8", headers=headers)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream a terminal's panel until the page goes or the server stops."""
        terminal = request.match_info["terminal"]
        try:
            session = self._signed_in(request, terminal) or 0
        except _RefusedError as refused:
            return refused.response
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                "X-Content-Type-Options": "nosniff",
            }
        )
        await response.prepare(request)
        stream = EventStream(self._desk, response, session, request.headers.get("Last-Event-ID", ""))
        self._desk.pages += 1
        try:
            async with contextlib.aclosing(self._desk.watch(terminal)) as panels:
                await stream.run(panels, self._closing)
        except (ConnectionError, TimeoutError):
            pass  # the page went, or stopped reading for two heartbeats: it comes back by itself
        finally:
            self._desk.pages -= 1
        return response


def _card_state(card: Card) -> dict[str, object]:
    return {"card": card.decision_id, "state": card.state.value, "note": card.note}
