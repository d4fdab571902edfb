"""Facts of a record keep their own names, and texts show each of them."""

import numpy as np

from engine.answers.records import record_of
from engine.book.compiled import compile_book
from engine.dispatch.wording import decided_of
from engine.flow.decider import Decider
from rules.load import load_text
from state.batch import Row, from_rows
from state.columns import Table
from state.contacts import Contacts
from state.decisions import DecisionBatch
from state.texts import NO_TEXTS
from tests.connectors.desk.world import ANNA

BOOK = """
[book]
zone = "Asia/Shanghai"
[attributes]
brand = "string"
[events.call]
fields = { kind = "string!" }
[channels.sms]

[[rule]]
id = "moved"
on = "profile"
when = "brand == 'new' and profile.brand != 'old'"
channels = ["sms"]
reason = "now {brand}, told {profile.brand}"
text.sms = "{profile.brand}/{brand:.2}"

[[rule]]
id = "caller"
on = "call"
when = "kind == 'long' and call.kind != 'short'"
channels = ["sms"]
reason = "{call.kind}"
text.sms = "{kind} {call.kind:.2}"
"""
NOW_MS = 1_225_756_800_000


def decide(rows: list[Row]) -> list[DecisionBatch]:
    """Fold rows, a frame each."""
    compiled = compile_book(load_text({"book.toml": BOOK}))
    table = Table(64)
    decider = Decider(table, Contacts(table.capacity, 8), 64)
    decider.activate(compiled, 0)
    found = []
    for position, row in enumerate(rows, start=1):
        batch = from_rows(compiled.book.schema, [row])
        slots = np.empty(1, np.int32)
        table.lookup(batch.subscriber, slots, position)
        found.append(decider.fold(position, row.at_ms, batch, np.zeros(1, np.int32), slots))
    return [one for one in found if one is not None]


def test_what_the_event_says_and_what_is_kept_are_two_facts_with_two_names() -> None:
    late = Row("profile", ANNA, NOW_MS - 1000, {"brand": "moved"})
    *_, batch = decide([Row("profile", ANNA, NOW_MS, {"brand": "new"}), late])
    book = load_text({"book.toml": BOOK})

    (decided,) = decided_of(0, batch, book, NO_TEXTS)

    assert record_of(0, batch, 0, book, NO_TEXTS)["facts"] == {"brand": "new", "profile.brand": "moved"}
    assert (decided.text, decided.fields["reason"]) == ("moved/ne", "now new, told moved")


def test_a_text_whose_value_is_not_kept_is_given_up_and_never_shows_a_hash() -> None:
    (batch,) = decide([Row("call", ANNA, NOW_MS, {"kind": "long"})])
    book = load_text({"book.toml": BOOK})

    batch.texts = NO_TEXTS
    (decided,) = decided_of(0, batch, book, NO_TEXTS)

    assert decided.fault == "NO_VALUE kind"
    assert "#" not in decided.text + decided.fields["reason"]
    assert record_of(0, batch, 0, book, NO_TEXTS)["facts"]["kind"] is None


def test_a_field_with_and_without_its_event_is_one_fact_and_shows_either_way() -> None:
    (batch,) = decide([Row("call", ANNA, NOW_MS, {"kind": "long"})])
    book = load_text({"book.toml": BOOK})

    (decided,) = decided_of(0, batch, book, NO_TEXTS)

    assert record_of(0, batch, 0, book, NO_TEXTS)["facts"] == {"kind": "long"}
    assert (decided.text, decided.fields["reason"]) == ("long lo", "long")
