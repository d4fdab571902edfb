"""A number that passes to a new owner: nothing of the old one counts, is known, or goes."""

from random import Random

import numpy as np

from rules.gates import NUMBERS
from state.batch import Row, Value
from state.decisions import DecisionBatch
from tests.rules.deciding import HOUR_MS, MINUTE_MS, NOON_MS, WHO, Deciding

BOOK = """
[book]
zone = "Asia/Shanghai"
[attributes]
name = "string"
services = { set = ["roaming"] }
[lists.optout]
excludes = "commercial"
[lists.tested]
[channels.sms]
[channels.desk]
[offers.roam]
unless_holds = ["roaming"]
[events.e]
fields = { which = "string" }
[features.calls]
count = "e"
[features.owners]
count = "owner"
[[rule]]
id = "first"
on = "e"
when = "calls == 1"
channels = ["sms"]
cap = "1 per 30d"
text.sms = "t"
[[rule]]
id = "named"
on = "e"
when = "which == 'name' and name == 'A'"
channels = ["sms"]
class = "service"
text.sms = "t"
[[rule]]
id = "holds"
on = "e"
when = "which == 'holds' and holds('roaming')"
channels = ["sms"]
class = "service"
text.sms = "t"
[[rule]]
id = "tested"
on = "e"
when = "which == 'list' and 'tested' in lists"
channels = ["sms"]
class = "service"
text.sms = "t"
[[rule]]
id = "card"
on = "e"
when = "which == 'desk'"
channels = ["desk"]
class = "service"
[[rule]]
id = "welcome"
on = "owner"
when = "owners == 1"
channels = ["sms"]
class = "service"
text.sms = "t"
"""


def new_owner(log_ms: int, who: int = WHO) -> Row:
    return Row("owner", who, log_ms)


def erased(log_ms: int) -> Row:
    return Row("owner", WHO, log_ms, {"erased": True})


def listed(log_ms: int, name: str) -> Row:
    return Row("list", WHO, log_ms, {"list": name, "member": True})


def rules(one: Deciding, log_ms: int, which: str = "") -> list[str]:
    """Return the rules that decide on an event."""
    return [made.name for made in one.event(log_ms, which=which)]


def lived() -> Deciding:
    """A customer with attributes, lists, a visit, a contact and a history."""
    one = Deciding(BOOK)
    one.take(NOON_MS, Row("profile", WHO, NOON_MS, {"name": "A", "services": ["roaming"]}))
    assert rules(one, NOON_MS) == ["first"]
    one.take(NOON_MS, listed(NOON_MS, "optout"), listed(NOON_MS, "tested"))
    one.take(NOON_MS, Row("visit", WHO, NOON_MS, {"terminal": "t", "visit": "v"}))
    for which, rule in {"name": "named", "holds": "holds", "list": "tested", "desk": "card"}.items():
        assert rules(one, NOON_MS + 1, which) == [rule]
    return one


def test_with_a_new_owner_what_waits_ends_and_no_history_attribute_list_visit_or_contact_is_left() -> None:
    one = Deciding(BOOK)
    (waits,) = one.event(NOON_MS)
    found = one.take(NOON_MS + MINUTE_MS, new_owner(NOON_MS))
    assert one.withdrawn(found) == [(waits.position, waits.row, waits.rule)]
    assert found is not None
    assert found.gate[0] == NUMBERS["owner"]

    one = lived()
    one.take(NOON_MS + MINUTE_MS, new_owner(NOON_MS))
    assert rules(one, NOON_MS + HOUR_MS) == ["first"], "the opt-out and the cap were the old owner's"
    for which in ("name", "holds", "list", "desk"):
        assert rules(one, NOON_MS + HOUR_MS, which) == []


def test_the_row_itself_is_the_first_of_the_new_owner() -> None:
    one = lived()
    assert [made.name for made in one.decided(one.take(NOON_MS, new_owner(NOON_MS)))] == ["welcome"]
    assert [made.name for made in one.decided(one.take(NOON_MS, new_owner(NOON_MS)))] == ["welcome"]


def test_who_is_erased_stays_opted_out_and_nothing_else_is_left() -> None:
    one = lived()
    one.take(NOON_MS + MINUTE_MS, erased(NOON_MS))
    for which in ("", "name", "holds", "list", "desk"):
        assert rules(one, NOON_MS + HOUR_MS, which) == []
    kept = one.contacts.of(int(one.table.find(WHO)))
    assert [one.book.by_stable_id[contact["rule"]].id for contact in kept] == ["welcome"], "decided by the row itself"

    again = lived()
    again.take(NOON_MS + MINUTE_MS, erased(NOON_MS))
    found = again.take(NOON_MS + HOUR_MS, Row("e", WHO, NOON_MS))
    assert found is not None
    assert found.gate.tolist() == [NUMBERS["list"]], "the first call after it is stopped by the opt-out"


def _records(found: DecisionBatch | None) -> list[tuple[object, ...]]:
    if found is None:
        return []
    columns = (found.row, found.kind, found.rule, found.channel, found.gate, found.of_row, found.subscriber)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_frame_with_owners_in_its_middle_decides_as_its_rows_one_by_one() -> None:
    """Judged by the same rows in frames of one row each: only the names of what is withdrawn differ."""
    withdrawn = 0
    for seed in range(30):
        random = Random(seed)
        whole, single = Deciding(BOOK), Deciding(BOOK)
        for _ in range(6):
            log_ms = NOON_MS + random.randrange(10) * MINUTE_MS
            rows = []
            for _ in range(random.randint(1, 12)):
                who = WHO + random.randrange(3)
                kind = random.choice(["e", "e", "e", "owner", "list", "profile", "visit"])
                values: dict[str, dict[str, Value]] = {
                    "e": {"which": random.choice(["", "name", "holds", "list", "desk"])},
                    "owner": random.choice([{}, {"erased": True}, {"erased": False}]),
                    "list": {"list": random.choice(["optout", "tested"]), "member": True},
                    "profile": {"name": "A", "services": ["roaming"]},
                    "visit": {"terminal": "t", "visit": "v"},
                }
                rows.append(Row(kind, who, log_ms, values[kind]))
            together = _records(whole.take(log_ms, *rows))
            apart = [(n, *record[1:]) for n, row in enumerate(rows) for record in _records(single.take(log_ms, row))]
            assert [record[:5] for record in together] == [record[:5] for record in apart]
            withdrawn += sum(record[1] == 1 and record[4] == NUMBERS["owner"] for record in together)
        for who in range(WHO, WHO + 3):
            slots = [int(one.table.find(who)) for one in (whole, single)]
            assert (slots[0] < 0) == (slots[1] < 0)
            for (_, left), (_, right) in zip(_columns(whole, slots[0]), _columns(single, slots[1]), strict=True):
                np.testing.assert_array_equal(left, right)
    assert withdrawn > 20


def _columns(one: Deciding, slot: int) -> list[tuple[object, np.ndarray]]:
    return [(info.key, info.array[slot].copy()) for info in one.table.layout()] if slot >= 0 else []
