"""What waits is judged again when its customer changes: a list, a profile, an answer withdraws what may go no more.

The judge of the random worlds knows lists and holdings by their rows alone, and asks after every row whether anything
may still be sent that its rule forbids.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np

from engine.answers.records import record_of
from engine.flow import decider as decider_module
from rules.gates import NUMBERS
from rules.gates.kernel import decide
from state.batch import Row
from state.contacts import COMMITTED, RESERVED, WITHDRAWN
from state.decisions import DecisionBatch, Outcome, OutcomeState, RecordKind, decision_id
from state.decisions import decode as decode_decisions
from state.schema import LIST
from tests.rules.deciding import HOUR_MS, MINUTE_MS, NOON_MS, WHO, Deciding, Made

BOOK = """
[book]
zone = "Asia/Shanghai"
cap = ["3 per 24h"]
[attributes]
services = { set = ["roaming", "data"] }
name = "string"
[lists.optout]
excludes = "commercial"
[lists.black]
excludes = "all"
[channels.sms]
[channels.mail]
kind = "sms"
[offers.roam]
title = "Roaming"
unless_holds = ["roaming"]
[events.e]
fields = { which = "string" }
decisions_max = 3
[[rule]]
id = "offered"
on = "e"
when = "which == 'offered'"
offer = "roam"
channels = ["sms"]
text.sms = "t"
[[rule]]
id = "plain"
on = "e"
when = "which == 'plain'"
channels = ["mail", "sms"]
text.mail = "t"
text.sms = "t"
[[rule]]
id = "notice"
on = "e"
when = "which == 'notice'"
class = "service"
channels = ["sms"]
text.sms = "t"
"""
NO_CAP = BOOK.replace('cap = ["3 per 24h"]', "")


class Texts:
    """No text is kept."""

    def text(self, hashed: int) -> bytes | None:
        return None


def listed(log_ms: int, name: str, *, member: bool = True) -> Row:
    return Row("list", WHO, log_ms, {"list": name, "member": member})


def named(*made: Made) -> list[tuple[int, int, int]]:
    return [(one.position, one.row, one.rule) for one in made]


def test_a_list_withdraws_what_it_excludes_whether_or_not_caps_count_it() -> None:
    for book in (BOOK, NO_CAP):
        one = Deciding(book)
        (plain,) = one.event(NOON_MS, which="plain")
        (notice,) = one.event(NOON_MS, which="notice")
        found = one.take(NOON_MS + MINUTE_MS, listed(NOON_MS, "optout"))
        assert one.withdrawn(found) == named(plain)
        assert one.withdrawn(one.take(NOON_MS + MINUTE_MS, listed(NOON_MS, "optout"))) == [], "once is enough"
        assert one.withdrawn(one.take(NOON_MS + HOUR_MS, listed(NOON_MS, "black"))) == named(notice)


def test_a_profile_withdraws_what_its_customer_now_holds() -> None:
    one = Deciding(BOOK)
    (offered,) = one.event(NOON_MS, which="offered")
    one.event(NOON_MS, which="plain")
    assert one.withdrawn(one.take(NOON_MS + 1, Row("profile", WHO, NOON_MS, {"name": "A"}))) == []
    found = one.take(NOON_MS + 2, Row("profile", WHO, NOON_MS, {"services": ["roaming"]}))
    assert one.withdrawn(found) == named(offered)
    assert found is not None
    assert found.gate.tolist() == [NUMBERS["eligibility"]]


def test_an_answer_has_what_waits_judged_by_what_is_known_then() -> None:
    one = Deciding(BOOK)
    (plain,) = one.event(NOON_MS, which="plain")
    answer = Row("answer", WHO, NOON_MS, {"card": "c", "answer": "no"})
    assert one.withdrawn(one.take(NOON_MS + 1, answer)) == []
    one.decider.control({"kind": "channel", "name": "mail", "action": "pause"})
    found = one.take(NOON_MS + 2, answer)
    assert one.withdrawn(found) == named(plain)
    assert found is not None
    assert (found.gate.tolist(), found.detail.tolist()) == ([NUMBERS["channel paused"]], [0])


def test_what_was_decided_by_an_earlier_row_of_the_same_frame_is_withdrawn_and_by_a_later_one_is_stopped() -> None:
    one = Deciding(BOOK)
    e = Row("e", WHO, NOON_MS, {"which": "plain"})
    found = one.take(NOON_MS, e, Row("profile", WHO, NOON_MS, {}), listed(NOON_MS, "optout"), e)
    assert found is not None
    found = decode_decisions(found.encode())
    assert found.row.tolist() == [0, 2, 3]
    assert found.kind.tolist() == [RecordKind.DECISION, RecordKind.WITHDRAWAL, RecordKind.DECISION]
    assert found.outcome.tolist() == [Outcome.DECIDED, Outcome.SUPPRESSED, Outcome.SUPPRESSED]
    assert (found.of_position.tolist()[1], found.of_row.tolist()[1]) == (1, 0)
    assert np.diff(found.fact_start).tolist() == [1, 0, 1]


def test_what_has_been_sent_is_not_withdrawn_and_what_was_sent_before_its_withdrawal_counts() -> None:
    one = Deciding(BOOK)
    sent, late = one.event(NOON_MS, which="plain")[0], one.event(NOON_MS, which="plain")[0]
    one.outcome(NOON_MS + 1, sent, OutcomeState.COMMITTED, NOON_MS + 1)
    assert one.withdrawn(one.take(NOON_MS + 2, listed(NOON_MS, "optout"))) == named(late)
    assert one.states() == [COMMITTED, WITHDRAWN]
    one.outcome(NOON_MS + 3, late, OutcomeState.COMMITTED, NOON_MS + 1)
    assert one.states() == [COMMITTED, COMMITTED]


def test_a_withdrawn_text_may_be_on_its_way_and_counts_until_its_refund() -> None:
    one = Deciding(BOOK)
    made = [one.event(NOON_MS, which="plain")[0] for _ in range(3)]
    assert one.event(NOON_MS, which="plain") == []
    one.take(NOON_MS + 1, listed(NOON_MS, "optout"))
    one.take(NOON_MS + 2, listed(NOON_MS, "optout", member=False))
    assert one.event(NOON_MS + 3, which="plain") == []
    for each in made:
        one.outcome(NOON_MS + 4, each, OutcomeState.REFUNDED)
    assert len(one.event(NOON_MS + 5, which="plain")) == 1
    assert one.states() == [RESERVED]


def test_a_withdrawal_is_a_record_that_names_the_decision_and_the_reason() -> None:
    one = Deciding(BOOK)
    (plain,) = one.event(NOON_MS, which="plain")
    found = one.take(NOON_MS + 1, listed(NOON_MS, "optout"))
    assert found is not None
    record = record_of(4, found, 0, one.book, Texts())
    assert (record["kind"], record["of"]) == ("withdrawal", decision_id(4, plain.position, plain.row, plain.rule))
    assert (record["outcome"], record["gate"], record["detail"]) == ("suppressed", "list", "optout")
    assert (record["rule"], record["channel"], record["facts"]) == ("plain", "mail", {})


# Random worlds.


def run_world(seed: int) -> int:
    """Return how often something was left waiting that its rule forbids; of what is kept, in a list that has room."""
    random = Random(seed)
    one = Deciding(random.choice([BOOK, NO_CAP]), contacts_max=200)
    waiting: dict[tuple[int, int, int], Made] = {}
    lists, holds, faults, log_ms = set[str](), False, 0, NOON_MS
    for _ in range(40):
        log_ms += random.choice([0, 1, MINUTE_MS, HOUR_MS])
        rows = []
        for _ in range(random.randint(1, 4)):
            kind = random.choice(["e", "e", "e", "list", "profile", "answer"])
            if kind == "list":
                name, member = random.choice(["optout", "black"]), random.random() < 0.5
                rows.append(listed(log_ms, name, member=member))
                lists = lists | {name} if member else lists - {name}
            elif kind == "profile":
                holds = random.random() < 0.5
                rows.append(Row("profile", WHO, log_ms, {"services": ["roaming"] if holds else ["data"]}))
            elif kind == "answer":
                rows.append(Row("answer", WHO, log_ms, {"answer": "no"}))
            else:
                which = random.choice(["offered", "plain", "notice"])
                rows.append(Row("e", WHO, log_ms, {"which": which}))
        found = one.take(log_ms, *rows)
        for made in one.decided(found):
            waiting[made[:3]] = made
        for ended in one.withdrawn(found):
            waiting.pop(ended, None)
        for made in list(waiting.values()):
            forbidden = "black" in lists or (made.name != "notice" and "optout" in lists)
            faults += forbidden or (made.name == "offered" and holds)
            if random.random() < 0.2:
                del waiting[made[:3]]
                one.outcome(log_ms, made, random.choice([OutcomeState.COMMITTED, OutcomeState.REFUNDED]), log_ms)
    assert one.contacts.untracked == 0
    return faults


def test_nothing_waits_that_its_customers_lists_and_holdings_forbid_in_any_world() -> None:
    assert [seed for seed in range(150) if run_world(seed)] == []


@contextmanager
def lost_withdrawals() -> Iterator[None]:
    """The records of withdrawals do not reach the journal."""

    def without(first: DecisionBatch, second: DecisionBatch) -> DecisionBatch:
        return second

    with patch.object(decider_module, "merged", without):
        yield


@contextmanager
def lists_judge_nothing_again() -> Iterator[None]:
    """A list is taken in and nothing that waits is looked at."""
    kernel: Any = decide

    def without(*arguments: Any) -> int:
        rows, state_rows = arguments[6], arguments[7]
        others = state_rows[rows.type[state_rows] != LIST]
        return int(kernel(*arguments[:7], others, *arguments[8:]))

    with patch.object(decider_module, "decide", without):
        yield


def test_planted_bugs_are_found_by_the_judge_of_lists_and_holdings() -> None:
    for plant in (lost_withdrawals(), lists_judge_nothing_again()):
        with plant:
            assert any(run_world(seed) for seed in range(20)), plant
