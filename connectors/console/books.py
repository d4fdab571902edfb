"""The pages of the book: its versions, what changed between two, and the way back."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from connectors.console.frame import NUMBER, TEXT, Look, document, empty, lines, section, table
from connectors.console.markup import Child, Markup, joined, tag
from connectors.console.roles import Right

LINES_MAX = 5_000


def page(look: Look, versions: Sequence[Mapping[str, Any]], book: Mapping[str, Any]) -> str:
    """Return the list of versions, the newest first; `book` is that part of the status."""
    t = look.t
    active = str(book["version"])
    heads = [(t("Version"), TEXT), (t("In force since"), TEXT), (t("Rules"), NUMBER), (t("Change"), TEXT)]
    rows = [_row(look, one, active) for one in reversed(versions)]
    fault = book["fault"].splitlines()
    refused = section(t("The book on disk is refused"), lines(fault)) if fault else None
    disk = tag("a", t("What the folder changes against the book in force"), href=_diff(active, ""))
    return document(look, t("Book"), refused, tag("p", disk), table(t("Versions"), heads, rows))


def _row(look: Look, one: Mapping[str, Any], active: str) -> Sequence[Child]:
    t, version = look.t, str(one["version"])
    unknown = t("the first start") if one["first"] else t("before the journal")
    links: Child = tag("b", t("in force")) if one["active"] else None
    if version != active:
        links = tag("a", t("Compare, roll back"), href=_diff(active, version))
    return tag("code", version), look.time(one["since_ms"]) or unknown, f"{one['rules']:,}", links


def _diff(old: str, new: str) -> str:
    return f"/console/books/diff?{urlencode({'old': old, 'new': new})}"


def diff_page(look: Look, old: str, new: str, changes: Sequence[str]) -> str:
    """Return what changes from one version to another, and the form that rolls back to the latter."""
    t = look.t
    name = new or t("the folder on disk")
    shown = tag("pre", [_line(line) for line in changes[:LINES_MAX]], class_="diff", tabindex=0) if changes else None
    more = len(changes) - LINES_MAX
    back = None
    if new and look.may(Right.ROLL_BACK):
        field = tag("input", type="hidden", name="version", value=new)
        button = tag("button", t("Roll back to {version}", version=new), class_="danger")
        form = look.form("/console/books/rollback", field, look.reason(), tag("div", button, class_="buttons"),
                         class_="sheet")  # fmt: skip
        back = section(t("Roll back"), form)
    return document(
        look,
        t("From {old} to {new}", old=old, new=name),
        shown or empty(t("Nothing differs.")),
        empty(t("{count} more lines.", count=f"{more:,}")) if more > 0 else None,
        back,
    )


def _line(line: str) -> Markup:
    kinds = {"+": "add", "-": "gone", "@": "place"}
    heading = line.startswith(("+++", "---"))
    kind = "file" if heading else kinds.get(line[:1])
    return joined([tag("span", line, class_=kind), Markup("\n")])
