"""The paths of the console, and who may ask them.

    GET  /console/sign-in          POST /console/session {token}    signs a user in; a wrong token is answered late
    GET  /console                  the live figures
    GET  /console/switches         POST /console/switches           pause, resume, kill, with a reason
    GET  /console/why              POST /console/why                a number: in the body, so in no history and no log
    GET  /console/books, /console/books/diff?old=&new=              POST /console/books/rollback
    GET  /console/rehearsal, /console/rehearsal/page?sample=&from=&to=
    GET  /console/report, /console/report/page?by=&from=&to=
    GET  /console/audit?words=
    GET  /console/language/{code}  POST /console/out                GET  /console/static/{name}

Every page and every command needs a session, and each a right of its role; every POST of a session must bring the key
of its forms, and come from a page of ours. What is asked beyond figures stands in the audit log before it is done.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from importlib.resources import files

from aiohttp import web

from connectors.access import GUARD, same_site
from connectors.audit import Act, AuditLog, Caller
from connectors.console import books as book_pages
from connectors.console import live, rehearsal, report, switches, trail, why
from connectors.console.config import ConsoleConfig
from connectors.console.contract import BY, Answers, BusyError, RefusedError, Rehearsal, Report, SlowError
from connectors.console.forms import read_form
from connectors.console.frame import REASON_CHARS_MAX, REASON_CHARS_MIN, Look, document
from connectors.console.markup import tag
from connectors.console.past import newest, of_switches
from connectors.console.roles import Right
from connectors.console.sessions import Session, Sessions, is_own_form
from connectors.console.sign_in import page as sign_in_page
from connectors.console.words import LANGUAGES, Words, language_of
from state.visible import visible

TEXT_CHARS_MAX = 500
"""Of a refusal, which may repeat what was sent."""
REFUSALS_EVERY_S = 60.0
"""Of refused sign-ins one this often stands in the audit log, with how many there were: nobody can fill it."""
LANGUAGE_COOKIE = "opportune_language"
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
"""A report brings its styles with it, and nothing else."""
HEADERS = {
    "Referrer-Policy": "same-origin",  # without any, a browser's forms would name no origin
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
STATIC = {"console.js": "text/javascript", "console.css": "text/css", "icon.svg": "image/svg+xml"}

Handler = Callable[["_Handlers", web.Request, Look], Awaitable[web.Response]]


class _DeniedError(Exception):
    """A page that says no, with its status."""

    def __init__(self, status: int, text: str, **values: object) -> None:
        super().__init__(text)
        self.status, self.values = status, values


def add_routes(app: web.Application, config: ConsoleConfig, answers: Answers, audit: AuditLog) -> None:
    """Serve the console in an application with a `Guard`; SecretError where a user's token is not there."""
    handlers = _Handlers(config, answers, audit)
    app.router.add_routes(
        [
            web.get("/console/sign-in", handlers.sign_in_form),
            web.post("/console/session", handlers.sign_in),
            web.post("/console/out", handlers.sign_out),
            web.get("/console/language/{code}", handlers.language),
            web.get("/console/static/{name}", handlers.static),
            web.get("/console", handlers.live),
            web.get("/console/switches", handlers.switches),
            web.post("/console/switches", handlers.switch),
            web.get("/console/why", handlers.why_form),
            web.post("/console/why", handlers.why),
            web.get("/console/books", handlers.books),
            web.get("/console/books/diff", handlers.diff),
            web.post("/console/books/rollback", handlers.roll_back),
            web.get("/console/rehearsal", handlers.rehearsal_form),
            web.get("/console/rehearsal/page", handlers.rehearsal),
            web.get("/console/report", handlers.report_form),
            web.get("/console/report/page", handlers.report),
            web.get("/console/audit", handlers.audit),
        ]
    )


def _signed_in(right: Right | None = None) -> Callable[[Handler], Callable[..., Awaitable[web.Response]]]:
    """Ask for a session, a right and, of a POST, the key of the session's forms, before a handler is called."""

    def around(handler: Handler) -> Callable[..., Awaitable[web.Response]]:
        async def handle(handlers: "_Handlers", request: web.Request) -> web.Response:
            look = handlers.look(request)
            if look.session is None:
                posted = request.method == "POST"
                return _page(sign_in_page(look, ""), 401) if posted else _see_other("/console/sign-in")
            try:
                if request.method == "POST":
                    look = replace(look, sent=await read_form(request))
                    if not is_own_form(_session(look), look.sent_text("key")):
                        raise _DeniedError(403, "The page was too old; try again.")
                if right is not None and not look.may(right):
                    raise _DeniedError(403, "Your role may not do this.")
                return await handler(handlers, request, look)
            except (_DeniedError, RefusedError, BusyError, SlowError) as fault:
                return _denied(look, fault)

        handle.__doc__ = handler.__doc__
        return handle

    return around


class _Handlers:
    """The handlers of all paths."""

    def __init__(self, config: ConsoleConfig, answers: Answers, audit: AuditLog) -> None:
        self.config = config
        self._answers = answers
        self._audit = audit
        self._sessions = Sessions(config.users, config.session_ms, lambda: time.time_ns() // 1_000_000)
        folder = files(__package__)
        self._static = {name: folder.joinpath(name).read_bytes() for name in STATIC}
        self._refused, self._refused_s = 0, float("-inf")

    def look(self, request: web.Request) -> Look:
        """Return who looks, and how."""
        language = language_of(request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("Accept-Language", ""))
        return Look(Words(language), self._answers.zone, request.path, self._sessions.of(request))

    # Signing in

    async def sign_in_form(self, request: web.Request) -> web.Response:
        """The form that asks for a token."""
        look = self.look(request)
        return _see_other("/console") if look.session is not None else _page(sign_in_page(look, ""))

    async def sign_in(self, request: web.Request) -> web.Response:
        """Signs a user in by a token, for a cookie of this site."""
        sent = await read_form(request)
        user = self._sessions.user_of(sent.get("token", "")) if same_site(request) else None
        if user is None:
            await self._note_refusal(request)
            look = self.look(request)
            return _page(sign_in_page(look, look.t("This token is nobody's.")), 401)
        response = _see_other("/console")
        caller = Caller(user.name, user.role, request.app[GUARD].peer(request), "console")
        async with self._audit.of(caller, Act("sign in")):
            self._sessions.sign_in(response, request, user)
        return response

    async def _note_refusal(self, request: web.Request) -> None:
        self._refused += 1
        now_s = time.monotonic()
        if now_s - self._refused_s < REFUSALS_EVERY_S:
            return
        count, self._refused, self._refused_s = self._refused, 0, now_s
        async with self._audit.of(Caller("?", "", request.app[GUARD].peer(request), "console"), Act("sign in")) as told:
            told.text = f"refused, {count} since the last such line"

    @_signed_in()
    async def sign_out(self, request: web.Request, look: Look) -> web.Response:
        """Ends the session."""
        response = _see_other("/console/sign-in")
        async with self._audit.of(_caller(request, look), Act("sign out")):
            self._sessions.sign_out(response, request)
        return response

    async def language(self, request: web.Request) -> web.Response:
        """Chooses the language of the pages, kept in a cookie."""
        response = _see_other("/console")
        code = request.match_info["code"]
        if code in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, code, path="/console", max_age=31_536_000, httponly=True,
                                samesite="Strict", secure=request.app[GUARD].behind_tls(request))  # fmt: skip
        return response

    async def static(self, request: web.Request) -> web.Response:
        """What the pages load."""
        name = request.match_info["name"]
        if name not in STATIC:
            return web.Response(status=404, text="no such file", headers=HEADERS)
        headers = HEADERS | {"Cache-Control": "no-cache"}
        return web.Response(body=self._static[name], content_type=STATIC[name], charset="utf-8", headers=headers)

    # Pages and commands

    @_signed_in()
    async def live(self, _: web.Request, look: Look) -> web.Response:
        """The live figures."""
        return _page(live.page(look, self._answers.live(), self._audit.fault))

    @_signed_in(Right.SWITCH)
    async def switches(self, _: web.Request, look: Look) -> web.Response:
        """What is paused or killed, by whom and why, and the form that changes it."""
        last = await of_switches(self._audit.folder)
        return _page(switches.page(look, self._answers.live().status, self._answers.names(), last))

    @_signed_in(Right.SWITCH)
    async def switch(self, request: web.Request, look: Look) -> web.Response:
        """Pauses, resumes or kills, with a reason."""
        action, kind, name = [look.sent_text(one) for one in ("action", "kind", "name")]
        if action not in switches.ACTIONS or kind not in switches.KINDS:
            raise RefusedError(f"action={action!r} kind={kind!r}: there is no such switch")
        reason = _reason(look)
        async with self._audit.of(_caller(request, look), Act(action, f"{kind} {name}", reason)) as answer:
            count = await self._answers.switch(action, kind, name)
            answer.text = f"touched {count}"
        what = f"{look.t(kind)} {name}"
        told = look.t("Done: {act} {what}; queued sends touched: {count}", act=look.t(action.capitalize()), what=what,
                      count=f"{count:,}")  # fmt: skip
        return _told(look, told, "/console/switches")

    @_signed_in(Right.WHY)
    async def why_form(self, _: web.Request, look: Look) -> web.Response:
        """The form that asks for a number."""
        return _page(why.page(look, self._answers.names()["rule"][: switches.NAMES_MAX]))

    @_signed_in(Right.WHY)
    async def why(self, request: web.Request, look: Look) -> web.Response:
        """Why a number got what it got; with a rule, also why not."""
        number, rule = look.sent_text("number"), look.sent_text("rule")
        what = f"{number} rule {rule}" if rule else number
        async with self._audit.of(_caller(request, look), Act("why", what)) as answer:
            records = await self._answers.why(number, rule)
            answer.text = f"{len(records)} records"
        rules = self._answers.names()["rule"][: switches.NAMES_MAX]
        return _page(why.page(look, rules, number, rule, records))

    @_signed_in(Right.BOOKS)
    async def books(self, _: web.Request, look: Look) -> web.Response:
        """Every version of the book that was in force."""
        versions = await self._answers.books()
        return _page(book_pages.page(look, versions, self._answers.live().status["book"]))

    @_signed_in(Right.BOOKS)
    async def diff(self, request: web.Request, look: Look) -> web.Response:
        """What changes from one version of the book to another."""
        old, new = request.query.get("old", ""), request.query.get("new", "")
        return _page(book_pages.diff_page(look, old, new, await self._answers.changes(old, new)))

    @_signed_in(Right.ROLL_BACK)
    async def roll_back(self, request: web.Request, look: Look) -> web.Response:
        """Puts an earlier book back, with a reason."""
        version, reason = look.sent_text("version"), _reason(look)
        async with self._audit.of(_caller(request, look), Act("roll back", f"book {version}", reason)) as answer:
            answer.text = await self._answers.roll_back(version)
        return _told(look, answer.text, "/console/books")

    @_signed_in(Right.BOOKS)
    async def rehearsal_form(self, _: web.Request, look: Look) -> web.Response:
        """The form that asks for a rehearsal."""
        return _page(rehearsal.page(look))

    @_signed_in(Right.BOOKS)
    async def rehearsal(self, request: web.Request, look: Look) -> web.Response:
        """What the book in the folder would have done with recorded events."""
        start, end, sample = (request.query.get(name, "") for name in ("from", "to", "sample"))
        wanted = Rehearsal(sample if sample in rehearsal.SAMPLES else rehearsal.SAMPLES[0], start, end)
        what = f"{wanted.sample} from {start or '-'} to {end or '-'}"
        async with self._audit.of(_caller(request, look), Act("rehearse", what)) as answer:
            page = await self._answers.rehearsal(wanted)
            answer.text = f"{len(page)} bytes"
        return _made(look, page)

    @_signed_in(Right.REPORT)
    async def report_form(self, _: web.Request, look: Look) -> web.Response:
        """The form that asks for a report."""
        return _page(report.page(look))

    @_signed_in(Right.REPORT)
    async def report(self, request: web.Request, look: Look) -> web.Response:
        """A report as one page."""
        by = [name for name in BY if name in request.query.getall("by", [])] or ["rule"]
        wanted = Report(by, request.query.get("from", ""), request.query.get("to", ""))
        what = f"by {','.join(by)} from {wanted.start or '-'} to {wanted.end or '-'}"
        async with self._audit.of(_caller(request, look), Act("report", what)) as answer:
            page = await self._answers.report(wanted)
            answer.text = f"{len(page)} bytes"
        return _made(look, page)

    @_signed_in(Right.AUDIT)
    async def audit(self, request: web.Request, look: Look) -> web.Response:
        """Who did what, when, why and from where."""
        words = request.query.get("words", "")[:100]
        return _page(trail.page(look, await newest(self._audit.folder, words, trail.ENTRIES_MAX), words))


def _caller(request: web.Request, look: Look) -> Caller:
    session = _session(look)
    return Caller(session.user, session.role, request.app[GUARD].peer(request), "console")


def _session(look: Look) -> Session:
    assert look.session is not None
    return look.session


def _reason(look: Look) -> str:
    reason = look.sent_text("reason")
    if not REASON_CHARS_MIN <= len(reason) <= REASON_CHARS_MAX:
        text = "A reason of {least} to {most} characters is needed."
        raise _DeniedError(400, text, least=REASON_CHARS_MIN, most=REASON_CHARS_MAX)
    return reason


def _told(look: Look, text: str, path: str) -> web.Response:
    """Say on the next page what was done."""
    _session(look).notice = (path, text)
    return _see_other(path)


def _denied(look: Look, fault: Exception) -> web.Response:
    """Return the page that says why something was not done."""
    t = look.t
    match fault:
        case _DeniedError():
            status, text = fault.status, t(str(fault), **fault.values)
        case BusyError():
            status, text = 503, t("Others are asking just now; try again in a moment.")
        case SlowError():
            status, text = 504, t("It took longer than {seconds} s and was given up.", seconds=str(fault))
        case _:
            status, text = 400, str(fault)
    notice = tag("p", visible(text, TEXT_CHARS_MAX), class_="notice bad", role="alert")
    return _page(document(look, t("Not possible"), notice), status)


def _page(text: str, status: int = 200) -> web.Response:
    headers: Mapping[str, str] = HEADERS | {"Content-Security-Policy": CONTENT_POLICY}
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=headers)


def _made(look: Look, page: bytes) -> web.Response:
    """Return a page that a command made; whatever stands in it, who may see no number sees none."""
    headers = HEADERS | {"Content-Security-Policy": REPORT_POLICY}
    text = why.hidden(look, page.decode(errors="replace"))
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)


def _see_other(path: str) -> web.Response:
    return web.Response(status=303, headers=HEADERS | {"Location": path})
