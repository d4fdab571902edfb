"""The page of switches: what is paused or killed, by whom and why, and how to change it."""

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.audit import Entry
from connectors.console.frame import TEXT, Look, choice, document, empty, labelled, section, table
from connectors.console.markup import Child, Markup, joined, tag

ACTIONS = ("pause", "resume", "kill")
KINDS = ("rule", "campaign", "channel")
NAMES_MAX = 2_000
"""Names that the page offers while somebody types; others can be typed all the same."""


def page(
    look: Look, status: Mapping[str, Any], names: Mapping[str, Sequence[str]], last: Mapping[tuple[str, str], Entry]
) -> str:
    """Return the page; `last` is the last command about (kind, name)."""
    t = look.t
    return document(
        look,
        t("Switches"),
        section(t("Paused or killed"), _thrown(look, status, last)),
        section(t("Pause, resume or kill"), _form(look, names)),
        tag("p", t("Pause: candidates are recorded and queued sends wait. Kill: queued sends are taken back, and caps "
                   "get their places back. Resume ends both."), class_="soft"),
    )  # fmt: skip


def _thrown(look: Look, status: Mapping[str, Any], last: Mapping[tuple[str, str], Entry]) -> Markup:
    t = look.t
    thrown = [(t(word), kind, name) for word in ("paused", "killed") for kind, name in status[word]]
    if not thrown:
        return empty(t("Nothing is paused or killed."))
    heads = [(t("What"), TEXT), (t("State"), TEXT), (t("By"), TEXT), (t("Reason"), TEXT), (t("Change"), TEXT)]
    return table(t("Paused or killed"), heads, [_row(look, *one, last.get((one[1], one[2]))) for one in thrown])


def _row(look: Look, word: str, kind: str, name: str, entry: Entry | None) -> Sequence[Child]:
    t = look.t
    fields = [tag("input", type="hidden", name=key, value=value)
              for key, value in (("action", "resume"), ("kind", kind), ("name", name))]  # fmt: skip
    form = look.form("/console/switches", fields, look.reason(), tag("button", t("Resume")), class_="inline")
    by = f"{entry.caller.who}, {look.time(entry.at_ms)}" if entry is not None else ""
    return f"{t(kind)} {name}", word, by, entry.act.why if entry is not None else "", form


def _form(look: Look, names: Mapping[str, Sequence[str]]) -> Markup:
    t = look.t
    offered = [tag("option", value=name, label=f"{t(kind)} {name}") for kind in KINDS for name in names[kind]]
    buttons = [
        tag("button", t(text), name="action", value=action, class_=kind)
        for action, text, kind in (("pause", "Pause", None), ("resume", "Resume", None), ("kill", "Kill", "danger"))
    ]
    name = tag("input", name="name", required=True, maxlength=200, list="names", autocomplete="off", spellcheck="false")
    return joined([
        look.form(
            "/console/switches",
            labelled(t("Kind"), choice("kind", [(kind, t(kind)) for kind in KINDS])),
            labelled(t("Name"), name),
            look.reason(),
            tag("div", buttons, class_="buttons"),
            class_="sheet",
        ),
        tag("datalist", offered[:NAMES_MAX], id="names"),
    ])  # fmt: skip
