"""`contacted` and `answered`: each decision counts once, while it lies in the window, and by name."""

import pytest

from engine.answers.explained import explained
from rules.load import load_text
from state.batch import Row
from state.decisions import OutcomeState, decision_id
from state.features.kinds import told
from tests.rules.deciding import DAY_MS, HOUR_MS, NOON_MS, WHO, Deciding, Made

BOOK = """
campaign = "spring"
[events.e]
[events.asked]
[channels.sms]
[channels.desk]
[offers.bundle]
[[rule]]
id = "wave-1"
on = "e"
channels = ["sms"]
offer = "bundle"
text.sms = "one"
[values.times]
is = "contacted('spring', '7d')"
[values.all_times]
is = "contacted('bundle')"
[values.yes]
is = "answered('wave-1', 'accept')"
[values.wrote]
is = "answered('spring', 'reply', '1d')"
[[rule]]
id = "told"
on = "asked"
channels = ["desk"]
reason = "{times} {all_times} {yes} {wrote}"
class = "service"
campaign = "other"
[campaigns.other]
"""


def facts(world: Deciding, log_ms: int) -> list[int]:
    """What is known at a time of the log: contacts in 7 days, contacts ever, whether accepted, whether replied."""
    found = world.take(log_ms, Row("asked", WHO, log_ms, {}))
    assert found is not None
    return [int(cell) for cell in found.facts.tolist()]


def contact(world: Deciding, log_ms: int, contact_ms: int | None = None) -> Made:
    (made,) = world.event(log_ms)
    world.outcome(log_ms, made, OutcomeState.COMMITTED, contact_ms)
    return made


def test_a_contact_counts_from_its_outcome_on_and_while_the_window_holds_it() -> None:
    world = Deciding(BOOK)
    (made,) = world.event(NOON_MS)
    assert facts(world, NOON_MS + 1) == [0, 0, 0, 0]

    world.outcome(NOON_MS + 2, made, OutcomeState.COMMITTED, NOON_MS)

    assert facts(world, NOON_MS + 7 * DAY_MS - 1) == [1, 1, 0, 0]
    assert facts(world, NOON_MS + 7 * DAY_MS) == [0, 1, 0, 0]


def test_a_contact_that_is_told_twice_counts_once_and_one_that_is_refunded_not_at_all() -> None:
    world = Deciding(BOOK)
    made = contact(world, NOON_MS, NOON_MS)
    for state in (OutcomeState.COMMITTED, OutcomeState.UNKNOWN, OutcomeState.DELIVERED):
        world.outcome(NOON_MS + 5, made, state)
    assert facts(world, NOON_MS + 6)[:2] == [1, 1]

    world.outcome(NOON_MS + 7, made, OutcomeState.REFUNDED)
    world.outcome(NOON_MS + 8, made, OutcomeState.COMMITTED)

    assert facts(world, NOON_MS + 9)[:2] == [0, 0]


def test_a_contact_of_which_nobody_can_say_counts_as_caps_have_it() -> None:
    world = Deciding(BOOK)
    (made,) = world.event(NOON_MS)
    world.outcome(NOON_MS, made, OutcomeState.UNKNOWN)
    assert facts(world, NOON_MS + 1)[:2] == [1, 1]


def test_of_more_contacts_than_are_kept_the_latest_count() -> None:
    world = Deciding(BOOK)
    for day in range(10):
        contact(world, NOON_MS + day * DAY_MS)
    last_ms = NOON_MS + 9 * DAY_MS
    assert facts(world, last_ms) == [7, told.KEPT, 0, 0]
    assert facts(world, last_ms + 5 * DAY_MS)[:2] == [2, told.KEPT]


def test_an_answer_and_a_reply_are_facts_by_name() -> None:
    world = Deciding(BOOK)
    made = contact(world, NOON_MS)
    named = {"partition": 0, "position": made.position, "row": made.row, "rule": made.rule}
    world.take(NOON_MS, Row("answer", WHO, NOON_MS, {**named, "answer": "decline"}))
    assert facts(world, NOON_MS)[2:] == [0, 0]

    world.take(NOON_MS, Row("answer", WHO, NOON_MS, {**named, "answer": "accept"}))
    decision = decision_id(0, made.position, made.row, made.rule)
    world.take(NOON_MS, Row("reply", WHO, NOON_MS, {"text": "1", "decision": decision}))
    world.take(NOON_MS, Row("reply", WHO, NOON_MS, {"text": "1"}))

    assert facts(world, NOON_MS + HOUR_MS)[2:] == [1, 1]
    assert facts(world, NOON_MS + DAY_MS)[2:] == [1, 0]


def test_a_campaign_that_gets_another_rule_keeps_its_history_and_counts_both() -> None:
    world = Deciding(BOOK)
    contact(world, NOON_MS)
    world.reload(
        BOOK
        + '[[rule]]\nid = "wave-2"\non = "e"\nchannels = ["sms"]\ncampaign = "spring"\ntext.sms = "t"\npriority = 90\n'
    )

    made = contact(world, NOON_MS + 1)

    assert made.name == "wave-2"
    assert facts(world, NOON_MS + 2)[:2] == [2, 1]


def test_another_span_begins_anew_and_the_others_go_on() -> None:
    world = Deciding(BOOK)
    contact(world, NOON_MS)
    world.reload(BOOK.replace("'7d'", "'8d'"))
    assert facts(world, NOON_MS + 1)[:2] == [0, 1]


def test_calls_that_mean_the_same_are_one_feature() -> None:
    book = load_text({"book.toml": BOOK.replace("contacted('bundle')", "contacted('campaign:spring', '168h')")})
    assert [one.name for one in book.features if one.kind == "told"].count("contacted('spring', '7d')") == 1
    assert len([one for one in book.features if one.kind == "told"]) == 3


def test_an_explanation_tells_a_call_as_it_is_written() -> None:
    text = BOOK.replace('on = "asked"', "on = \"asked\"\nwhen = \"contacted('wave-1', '30d') == 0\"")
    book = load_text({"book.toml": text})

    lines = list(explained(book, book.by_id["told"]))

    assert "  (contacted('wave-1', '30d') == 0)" in lines
    assert any(
        "contacted('wave-1', '30d'): kept for this call, of events `outcome` over 30d; 64 bytes" in one for one in lines
    )


def test_the_plain_numbers_of_the_kernel_are_those_of_outcomes() -> None:
    assert (told.REACHED, told.REFUNDED, told.UNKNOWN) == (
        OutcomeState.COMMITTED,
        OutcomeState.REFUNDED,
        OutcomeState.UNKNOWN,
    )


@pytest.mark.parametrize("contact_ms", [-(1 << 63), -1, 0, (1 << 63) - 1])
def test_no_time_of_a_contact_however_absurd_breaks_the_count(contact_ms: int) -> None:
    world = Deciding(BOOK)
    contact(world, NOON_MS, contact_ms)
    assert facts(world, NOON_MS)[1] == 1


def test_a_rule_that_did_not_change_brings_its_feature_along_into_the_next_book() -> None:
    asking = (
        BOOK + '[[rule]]\nid = "asks"\non = "asked"\nwhen = "contacted(\'wave-1\', \'3d\') == 1"\nchannels = ["desk"]\n'
    )
    world = Deciding(asking)
    contact(world, NOON_MS)

    world.reload(
        asking + '[[rule]]\nid = "more"\non = "asked"\nwhen = "contacted(\'told\') == 1"\nchannels = ["desk"]\n'
    )

    rule = world.book.by_id["asks"]
    (read,) = [one for one in rule.facts if one.source == "feature"]
    assert world.book.features[read.index].name == read.name == "contacted('wave-1', '3d')"
    found = world.take(NOON_MS + 1, Row("asked", WHO, NOON_MS + 1, {}))
    assert found is not None
    assert rule.stable_id in found.rule.tolist()
