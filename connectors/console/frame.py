"""What all pages share: head, navigation, notices, forms, tables, times."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.console.markup import Child, Markup, joined, tag
from connectors.console.roles import Right
from connectors.console.sessions import Session
from connectors.console.words import LANGUAGES, Words

REASON_CHARS_MIN, REASON_CHARS_MAX = 3, 200
NUMBER, TEXT = "number", ""
"""Class of a table's column."""

_PAGES: tuple[tuple[str, str, Right | None], ...] = (
    ("/console", "Live", None),
    ("/console/switches", "Switches", Right.SWITCH),
    ("/console/why", "Why", Right.WHY),
    ("/console/books", "Book", Right.BOOKS),
    ("/console/rehearsal", "Rehearse", Right.BOOKS),
    ("/console/report", "Report", Right.REPORT),
    ("/console/audit", "Audit", Right.AUDIT),
)


@dataclass(frozen=True, slots=True)
class Look:
    """Who looks at a page, and how.

    Args:
        t: words in the reader's language.
        zone: of the book.
        path: of the page.
        session: None before somebody has signed in.
        sent: fields of the form that was sent, none of a page that was asked for.
    """

    t: Words
    zone: ZoneInfo
    path: str
    session: Session | None = None
    sent: Mapping[str, str] = field(default_factory=dict)

    def time(self, at_ms: int) -> str:
        """Return a time as people read it, "" for none."""
        return f"{datetime.fromtimestamp(at_ms / 1000, self.zone):%Y-%m-%d %H:%M:%S}" if at_ms else ""

    def sent_text(self, name: str) -> str:
        """Return a field of the form that was sent, without spaces around; "" where there is none."""
        return self.sent.get(name, "").strip()

    def may(self, right: Right) -> bool:
        """Return whether who looks has a right."""
        return self.session is not None and self.session.may(right)

    def form(self, action: str, *children: Child, class_: str = "") -> Markup:
        """Return a form that posts, with the key that only this session's pages have."""
        key = self.session.form_key if self.session is not None else ""
        hidden = tag("input", type="hidden", name="key", value=key)
        return tag("form", hidden, *children, method="post", action=action, class_=class_ or None)

    def reason(self) -> Markup:
        """Return the field for a reason, which every command needs."""
        field = tag(
            "input", name="reason", required=True, minlength=REASON_CHARS_MIN, maxlength=REASON_CHARS_MAX,
            autocomplete="off",
        )  # fmt: skip
        return labelled(self.t("Reason"), field)


def document(look: Look, title: str, *content: Child) -> str:
    """Return a whole page."""
    t = look.t
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · Opportune"),
        tag("link", rel="icon", href="/console/static/icon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/console/static/console.css"),
        tag("script", src="/console/static/console.js", type="module"),
    )
    session, notice = look.session, None
    if session is not None and session.notice is not None and session.notice[0] == look.path:
        notice = tag("p", session.notice[1], class_="notice", role="status")
        session.notice = None
    body = tag("body", _bar(look), tag("main", tag("h1", title), notice, *content))
    return f"<!doctype html>\n{tag('html', head, body, lang=t.tag)}\n"


def _bar(look: Look) -> Markup:
    t, session = look.t, look.session
    pages = [one for one in _PAGES if session is not None and (one[2] is None or session.may(one[2]))]
    links = [
        tag("a", t(name), href=path, aria_current="page" if path == look.path else None) for path, name, _ in pages
    ]
    languages = [tag("a", name, href=f"/console/language/{code}", lang=tag_) for code, (tag_, name) in LANGUAGES.items()
                 if code != t.language]  # fmt: skip
    who = None
    if session is not None:
        out = look.form("/console/out", tag("button", t("Sign out"), class_="quiet"))
        who = joined([tag("span", session.user, " · ", t(session.role), class_="who"), out])
    mark = tag("img", src="/console/static/icon.svg", alt="", width=24, height=24)
    return tag(
        "header",
        tag("span", mark, "Opportune", class_="mark"),
        tag("nav", links, aria_label=t("Pages")) if links else None,
        tag("span", who, languages, class_="end"),
    )


def section(title: str, *content: Child) -> Markup:
    """Return a part of a page under its own heading."""
    return tag("section", tag("h2", title), *content)


def labelled(text: str, field: Markup) -> Markup:
    """Return a field inside its label."""
    return tag("label", tag("span", text), field)


def choice(name: str, options: Iterable[tuple[str, str]], chosen: str = "") -> Markup:
    """Return a list to choose from, of (value, text)."""
    made = [tag("option", text, value=value, selected=value == chosen) for value, text in options]
    return tag("select", made, name=name)


def table(title: str, heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[Child]]) -> Markup:
    """Return a table that scrolls by itself, or stands row by row where it is narrow; heads are (text, class)."""
    head = tag("tr", [tag("th", text, scope="col", class_=kind or None) for text, kind in heads])
    body = [
        tag(
            "tr",
            [
                tag("td", cell, class_=kind or None, data_name=text or None)
                for cell, (text, kind) in zip(row, heads, strict=True)
            ],
        )
        for row in rows
    ]
    whole = tag("table", tag("thead", head), tag("tbody", body))
    return tag("div", whole, class_="wide", tabindex=0, role="region", aria_label=title)


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Return figures beside what they are."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs], class_="facts")


def lines(texts: Iterable[str]) -> Markup:
    """Return lines as they stand."""
    return tag("pre", [joined([text, Markup("\n")]) for text in texts], tabindex=0)


def empty(text: str) -> Markup:
    """Return a sentence where there is nothing to show."""
    return tag("p", text, class_="soft")
