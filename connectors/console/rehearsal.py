"""The page that asks for a rehearsal: recorded events once more, under the book in the folder and the one that ran."""

from connectors.console.frame import Look, choice, document, labelled
from connectors.console.markup import tag

SAMPLES = ("1%", "10%", "100%")


def page(look: Look) -> str:
    """Return the form; the answer is a page of its own."""
    t = look.t
    form = tag(
        "form",
        labelled(t("Subscribers"), choice("sample", [(one, one) for one in SAMPLES])),
        labelled(t("From"), tag("input", name="from", type="datetime-local", step=60)),
        labelled(t("To, left out"), tag("input", name="to", type="datetime-local", step=60)),
        tag("div", tag("button", t("Rehearse")), class_="buttons"),
        action="/console/rehearsal/page",
        class_="sheet",
    )
    note = t("Recorded events run once more under the book in the folder, beside the one that ran; nothing is sent.")
    return document(look, t("Rehearse"), form, tag("p", note, class_="soft"))
