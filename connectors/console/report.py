"""The page that asks for a report."""

from connectors.console.contract import BY
from connectors.console.frame import Look, document, labelled
from connectors.console.markup import tag


def page(look: Look) -> str:
    """Return the form; the report itself is a page of its own."""
    t = look.t
    boxes = [
        tag("label", tag("input", type="checkbox", name="by", value=name, checked=name == "rule"), " ", t.key(name),
            class_="box")
        for name in BY
    ]  # fmt: skip
    times = [
        labelled(t(text), tag("input", name=name, type="datetime-local", step=60))
        for name, text in (("from", "From"), ("to", "To, left out"))
    ]
    form = tag(
        "form",
        tag("fieldset", tag("legend", t("Counted by")), boxes, class_="boxes"),
        times,
        tag("div", tag("button", t("Make the report")), class_="buttons"),
        action="/console/report/page",
        class_="sheet",
    )
    note = t("It is counted while you wait, from the journal and the log, in a process of its own.")
    return document(look, t("Report"), form, tag("p", note, class_="soft"))
