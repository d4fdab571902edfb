"""The page that answers why a number got what it got, or did not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.console.frame import Look, document, empty, labelled, section
from connectors.console.markup import Child, Markup, joined, tag
from connectors.console.roles import Right
from state.masking import masked

RECORDS_MAX = 500
"""The newest ones; the command shows all."""

Record = Mapping[str, Any]


def page(
    look: Look, rules: Sequence[str], number: str = "", rule: str = "", records: Sequence[Record] | None = None
) -> str:
    """Return the page, with an answer where `records` is one."""
    t = look.t
    answer = None
    if records is not None:
        of = f" · {rule}" if rule else ""
        answer = section(f"{hidden(look, number)}{of}", list(_answer(look, records, judged=bool(rule))))
    return document(look, t("Why"), _form(look, rules), answer)


def hidden(look: Look, text: str) -> str:
    """Return a text as who looks may see it."""
    return text if look.may(Right.NUMBERS) else masked(text)


def _form(look: Look, rules: Sequence[str]) -> Markup:
    t = look.t
    number = tag("input", name="number", required=True, maxlength=40, inputmode="tel", autocomplete="off")
    rule = tag("input", name="rule", maxlength=200, list="rules", autocomplete="off", spellcheck="false")
    return joined([
        look.form(
            "/console/why",
            labelled(t("Number"), number),
            labelled(t("Rule, to see also why not"), rule),
            tag("div", tag("button", t("Ask")), class_="buttons"),
            class_="sheet",
        ),
        tag("datalist", [tag("option", value=one) for one in rules], id="rules"),
        None if look.may(Right.NUMBERS) else empty(t("Numbers are masked for your role.")),
    ])  # fmt: skip


def _answer(look: Look, records: Sequence[Record], *, judged: bool) -> Iterator[Child]:
    t = look.t
    if not records:
        yield empty(t("No rule was ever a candidate for this number."))
    if len(records) > RECORDS_MAX:
        yield empty(t("The newest {count} of {whole}.", count=f"{RECORDS_MAX:,}", whole=f"{len(records):,}"))
    for record in reversed(records[-RECORDS_MAX:]):
        yield tag("article", list(_judged(look, record) if judged else _decided(look, record)))


def _decided(look: Look, record: Record) -> Iterator[Child]:
    """Yield what a record of `why` says."""
    t = look.t
    if record["gate"] is None:
        how = tag("b", t("decided on {channel}", channel=record["channel"]), class_="good")
    else:
        how = joined([tag("b", t("stopped by {gate}", gate=t.gate(record["gate"]))), _detail(look, record)])
    yield tag("p", tag("time", look.time(record["at_ms"])), " ", tag("b", record["rule"]), " ", how)
    yield _values(look, record["facts"])
    if record.get("words"):
        yield tag("p", hidden(look, record["words"]), class_="text")
    ends = [tag("li", look.time(at_ms), " ", hidden(look, what)) for at_ms, what in record["sent"]]
    if ends:
        yield tag("ul", ends)
    offer = f" · {t('Offer')} {record['offer']}" if record["offer"] else ""
    yield tag("p", f"{t('campaign')} {record['campaign']}{offer} · {t('Book')} {record['book']} · {record['id']}",
              class_="soft")  # fmt: skip


def _judged(look: Look, record: Record) -> Iterator[Child]:
    """Yield what a record of `why --rule` says: an event, and whether the condition held."""
    t = look.t
    if record["note"]:
        how: Child = hidden(look, record["note"])
    elif not record["truth"]:
        how = t("unknown") if record["truth"] is None else t("not so")
    elif record["gate"] is None:
        how = tag("b", t("decided on {channel}", channel=record["channel"]), class_="good")
    else:
        how = joined([t("stopped by {gate}", gate=t.gate(record["gate"])), _detail(look, record)])
    yield tag("p", tag("time", look.time(record["at_ms"])), " ", how)
    for part in record["parts"]:
        word = t("unknown") if part["truth"] is None else t("not so")
        yield tag("div", tag("b", word), " ", tag("code", hidden(look, part["text"])), _values(look, part["values"]))
    if not record["parts"]:
        yield _values(look, record["values"])


def _detail(look: Look, record: Record) -> str:
    return f": {hidden(look, record['detail'])}" if record.get("detail") else ""


def _values(look: Look, values: Mapping[str, object]) -> Child:
    if not values:
        return None
    known = (f"{name} = {look.t('unknown') if value is None else value}" for name, value in values.items())
    return tag("p", hidden(look, ", ".join(known)), class_="values")
