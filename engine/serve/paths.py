"""Every path of the HTTP front: what it does, who may ask, what it takes and what it answers.

`engine.serve.openapi` makes the reference page and the OpenAPI document of this table; a test holds it against the
routes that an engine serves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel

from connectors.desk.routes import AnswerBody, SessionBody, VisitBody
from engine.serve.controls import ControlBody, CustomerBody, ListBody, OutcomesBody, ReplayedBody, TrialBody


class Who(StrEnum):
    """Who may ask."""

    ANYBODY = "whoever reaches the port"
    CONTROL = "whoever shows the bearer token `http.token`; without one programs of this machine"
    EVENTS = "whoever shows the bearer token of the source; without one this machine"
    DESK = "whoever shows the bearer token `desk.token`, or the cookie of the terminal"
    CONSOLE = "whoever shows the cookie of a user of the console whose role may"


@dataclass(frozen=True, slots=True)
class Path:
    """One method of one path.

    Args:
        method, path: as requested; a part in braces is a name.
        text: what it does.
        who: may ask.
        answers: by status, beside those that all of its kind have.
        body: model of a JSON body.
        form, query: names of its fields, each with what it is.
        kind: media type of a good answer.
    """

    method: str
    path: str
    text: str
    who: Who
    answers: Mapping[int, str]
    body: type[BaseModel] | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    kind: str = "application/json"


HTML = "text/html"
NO_LOG = {503: "the log, or the desk's queue, does not take it yet: say it again after `Retry-After`"}
_BODY = {
    400: "the body cannot be read, or names nothing that there is; the answer says what",
    408: "the body was not whole within 30 s",
    413: "the body is too long",
}
_BY_ERRAND = ("/console/why", "/console/books", "/console/rehearsal/page", "/console/report/page")
_REASON = {"reason": "why, 3 to 200 characters", "key": "the key that stands in the session's forms"}


def _page(path: str, text: str, more: Mapping[int, str] | None = None, **query: str) -> Path:
    """Return a page of the console."""
    return Path("GET", path, text, Who.CONSOLE, {200: "the page", **(more or {})}, query=query, kind=HTML)


ENGINE = (
    Path("GET", "/health", "Whether the engine works.", Who.ANYBODY, {200: "`ok`, and the `fault` that ends it"}),
    Path("GET", "/status", "Figures of now.", Who.ANYBODY, {200: "figures"}),
    Path("GET", "/metrics", "The same for Prometheus.", Who.ANYBODY, {200: "text format 0.0.4"}, kind="text/plain"),
    Path(
        "POST",
        "/control",
        "Pauses, resumes or kills a rule, campaign or channel.",
        Who.CONTROL,
        {200: "`touched`: how many queued sends"},
        ControlBody,
    ),
    Path(
        "POST",
        "/lists",
        "Puts subscribers on a list of the book, or takes them off.",
        Who.CONTROL,
        {200: "`changed`: how many subscribers were named"},
        ListBody,
    ),
    Path(
        "POST",
        "/customers/export",
        "All that the state keeps of one subscriber.",
        Who.CONTROL,
        {200: "what is kept"},
        CustomerBody,
    ),
    Path(
        "POST",
        "/customers/erase",
        "Ends the state of one subscriber, but for lists that exclude.",
        Who.CONTROL,
        {200: "`erased`: 1"},
        CustomerBody,
    ),
    Path(
        "POST",
        "/outcomes",
        "What outside channels say of decisions that they were given.",
        Who.CONTROL,
        {200: "`recorded`: how many"},
        OutcomesBody,
    ),
    Path(
        "POST",
        "/dead/replayed",
        "Marks dead letters that were put back; of an embedded engine.",
        Who.CONTROL,
        {200: "`marked`: how many"},
        ReplayedBody,
    ),
    Path(
        "POST",
        "/trial",
        "Sends a text to one of `dispatch.test_numbers`, uncounted; of an embedded engine.",
        Who.CONTROL,
        {200: "`trial`: its id; `gateway`, `state` and `code`: what became of it"},
        TrialBody,
    ),
    Path(
        "POST",
        "/events",
        "Events as lines, as a JSON array or as the source's mapping says, also packed by gzip; "
        "`sources.http` may name other paths.",
        Who.EVENTS,
        {
            202: "`lines`: how many are durable; one that is no event is a dead letter",
            400: "the body could not be unpacked, or came cut off; nothing of it was taken",
            408: "the body was not whole within `body_timeout_s`",
            413: "the body is longer than `body_bytes_max`",
            415: "the body is packed otherwise",
            429: "no room now: again after `Retry-After`",
            503: "events cannot be stored now: again after `Retry-After`",
        },
    ),
)

DESK = (
    Path(
        "POST",
        "/desk/visits",
        "Opens a visit at a terminal.",
        Who.DESK,
        {
            201: "the visit",
            200: "the visit, which stood already",
            400: "what is wrong with the body",
            403: "clerks open no visits here",
            415: "the body is no JSON",
            **NO_LOG,
        },
        VisitBody,
    ),
    Path(
        "DELETE",
        "/desk/visits/{visit}",
        "Closes a visit.",
        Who.DESK,
        {200: "the visit as it closed", 400: "another cause", 404: "no such visit stands", **NO_LOG},
        query={"cause": "`done` or `logout`"},
    ),
    Path(
        "POST",
        "/desk/visits/{visit}/keep",
        "The clerk is still there.",
        Who.DESK,
        {204: "the idle time begins anew", 409: "the visit has closed", **NO_LOG},
    ),
    Path(
        "POST",
        "/desk/visits/{visit}/optout",
        "The customer wants no commercial texts.",
        Who.DESK,
        {204: "recorded", 409: "the visit has closed", **NO_LOG},
    ),
    Path(
        "POST",
        "/desk/cards/{card}/answer",
        "A clerk's answer to a card.",
        Who.DESK,
        {
            200: "the card's state",
            400: "what is wrong with the body",
            404: "no such card",
            409: "it had ended before; the card's state",
            **NO_LOG,
        },
        AnswerBody,
    ),
    Path(
        "GET",
        "/desk/static/{name}",
        "What the clerk's page loads.",
        Who.ANYBODY,
        {200: "a file", 404: "no such file"},
        kind="*/*",
    ),
    Path(
        "POST",
        "/desk/{terminal}/session",
        "Signs a terminal in by its token.",
        Who.ANYBODY,
        {204: "and a cookie", 401: "a wrong token, after a second", 404: "no such terminal"},
        SessionBody,
    ),
    Path(
        "GET",
        "/desk/{terminal}/session",
        "Whether the terminal is signed in.",
        Who.DESK,
        {204: "the page may go on", 200: "for a system: `signed_in`, `where`, `since_ms`", 404: "no such terminal"},
    ),
    Path(
        "GET",
        "/desk/{terminal}/events",
        "The terminal's panel as it changes: hello, panel, link, beat, taken.",
        Who.DESK,
        {200: "server-sent events", 404: "no such terminal"},
        kind="text/event-stream",
    ),
    Path(
        "GET",
        "/desk/{terminal}",
        "The clerk's page, without data.",
        Who.ANYBODY,
        {200: "the page", 404: "no terminal"},
        kind=HTML,
    ),
)

CONSOLE = (
    Path("GET", "/console/sign-in", "The form that signs a user in.", Who.ANYBODY, {200: "the page"}, kind=HTML),
    Path(
        "POST",
        "/console/session",
        "Signs a user in by a token.",
        Who.ANYBODY,
        {303: "to the console, with a cookie", 401: "a wrong token, after a second"},
        form={"token": "the user's"},
        kind=HTML,
    ),
    Path(
        "POST",
        "/console/out",
        "Signs the user out.",
        Who.CONSOLE,
        {303: "to the form that signs in"},
        form={"key": _REASON["key"]},
        kind=HTML,
    ),
    Path("GET", "/console/language/{code}", "Chooses `en` or `zh`.", Who.ANYBODY, {303: "to the console"}, kind=HTML),
    Path(
        "GET",
        "/console/static/{name}",
        "What the pages load.",
        Who.ANYBODY,
        {200: "a file", 404: "no such file"},
        kind="*/*",
    ),
    _page("/console", "Live figures and faults."),
    _page("/console/switches", "What is paused or killed, by whom and why."),
    Path(
        "POST",
        "/console/switches",
        "Pauses, resumes or kills.",
        Who.CONSOLE,
        {303: "done: the page says so", 400: "no reason, or nothing of that name"},
        form={
            "action": "`pause`, `resume` or `kill`",
            "kind": "`rule`, `campaign` or `channel`",
            "name": "in the book",
            **_REASON,
        },
        kind=HTML,
    ),
    _page("/console/why", "The form that asks for a number."),
    Path(
        "POST",
        "/console/why",
        "Why a number got what it got; with a rule, also why not.",
        Who.CONSOLE,
        {200: "the page", 400: "no such number or rule"},
        form={"number": "the subscriber", "rule": "its id, or nothing", "key": _REASON["key"]},
        kind=HTML,
    ),
    _page("/console/books", "Every version of the book that was in force."),
    _page(
        "/console/books/diff",
        "What changes from one version to another.",
        {400: "no such version"},
        old="a version; left out: the folder",
        new="the same",
    ),
    Path(
        "POST",
        "/console/books/rollback",
        "Puts an earlier book back.",
        Who.CONSOLE,
        {303: "done: the page says so", 400: "no reason, no such version, or the folder's book was never in force"},
        form={"version": "to put back", **_REASON},
        kind=HTML,
    ),
    _page("/console/rehearsal", "The form that asks for a rehearsal."),
    Path(
        "GET",
        "/console/rehearsal/page",
        "What the book in the folder would have done with recorded events, beside the one that ran.",
        Who.CONSOLE,
        {200: "the page", 400: "a time that is none, or a book that is refused"},
        query={"sample": "`1%`, `10%` or `100%` of the subscribers", "from": "the log's time", "to": "left out"},
        kind=HTML,
    ),
    _page("/console/report", "The form that asks for a report."),
    Path(
        "GET",
        "/console/report/page",
        "A report.",
        Who.CONSOLE,
        {200: "the report", 400: "a time that is none"},
        query={"by": "what it is counted by; several times", "from": "event time", "to": "event time, left out"},
        kind=HTML,
    ),
    _page("/console/audit", "Who did what, when, why and from where.", words="that an entry must hold"),
)

PATHS = {"The engine": ENGINE, "The desk": DESK, "The console": CONSOLE}
"""By part, in the order of the reference."""


def answers_of(path: Path) -> Mapping[int, str]:
    """Return all answers of a path by status, those that others of its kind have, too."""
    found = dict(path.answers)
    if path.who in (Who.CONTROL, Who.EVENTS, Who.DESK):
        found[401] = "a wrong or no secret, after a second"
        found.setdefault(429, "this address shows too many wrong secrets: again after `Retry-After`")
    if path.body is not None or path.form:
        found = _BODY | found
    if path.path.startswith("/desk/") and path.body is not None:
        found[415] = "the body is no JSON"
    if path.who is Who.CONSOLE:
        found |= _console_answers(path)
    return dict(sorted(found.items()))


def _console_answers(path: Path) -> Mapping[int, str]:
    """Return what every page of the console may answer, and those that another process makes."""
    found = {403: "the role may not, or the form was made by another session"}
    if path.method == "POST":
        found[401] = "not signed in, or from a page of another site"
    else:
        found[303] = "not signed in: to the form that does"
    if path.path in _BY_ERRAND:
        found |= {503: "others are asking: again in a moment", 504: "it took longer than `console.answer_s`"}
    return found
