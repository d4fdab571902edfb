"""The page of the audit log: who did what, when, why, from where, and what came of it."""

from collections.abc import Sequence

from connectors.audit import Entry
from connectors.console.frame import TEXT, Look, document, empty, table
from connectors.console.markup import Child, tag
from connectors.console.why import hidden

ENTRIES_MAX = 200


def page(look: Look, entries: Sequence[Entry], words: str) -> str:
    """Return the page with the newest entries that hold `words`."""
    t = look.t
    field = tag("input", type="search", name="words", value=words, maxlength=100, aria_label=t("Words to look for"))
    form = tag("form", field, tag("button", t("Search")), class_="search", role="search")
    heads = [(t("When"), TEXT), (t("Who"), TEXT), (t("From where"), TEXT), (t("What"), TEXT), (t("Reason"), TEXT),
             (t("Answer"), TEXT)]  # fmt: skip
    found = table(t("Audit"), heads, [_row(look, one) for one in entries]) if entries else empty(t("There is none."))
    return document(look, t("Audit"), form, found)


def _row(look: Look, one: Entry) -> Sequence[Child]:
    t, caller = look.t, one.caller
    who = f"{caller.who} ({t(caller.role)})" if caller.role else caller.who
    answer = hidden(look, one.answer) if one.answered_ms else t("none is known")
    return (
        look.time(one.at_ms), who, f"{caller.source} · {caller.door}", f"{one.act.act} {hidden(look, one.act.what)}",
        hidden(look, one.act.why), answer,
    )  # fmt: skip
