"""A rule in shadow does what it would do live, and nothing to anybody else."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.gates import NUMBERS
from state.batch import Row
from state.decisions import DecisionBatch, OutcomeState
from tests.rules.deciding import DAY_MS, HOUR_MS, NOON_MS, WHO, Deciding

HEAD = """
[book]
cap = "3 per 2d"
decisions_per_event = 2
[events.e]
fields = { n = "int" }
[attributes]
services = { set = ["x"] }
[channels.sms]
cap = "2 per day"
[channels.desk]
per_event_max = 2
[channels.push]
kind = "sms"
[campaigns.c]
cap = "2 per 12h"
[categories.k]
cap = "2 per 12h"
[offers.o]
repeat = "6h"
declined_hides = "1d"
[lists.kept]
excludes = "commercial"
"""
CHANNELS = ('["sms"]', '["desk", "sms"]', '["push", "desk"]')
SHADOW = NUMBERS["shadow"]
Drawn = tuple[int, int, int, bool, bool, str, bool]


def rule(number: int, drawn: Drawn, *, shadow: bool) -> str:
    """The TOML of a rule."""
    priority, mask, channels, offers, service, cap, keeps = drawn
    lines = [
        f'[[rule]]\nid = "r{number}"\non = "e"\nwhen = "n % {mask} == 0"\npriority = {priority}',
        f'channels = {CHANNELS[channels]}\ncampaign = "c"\ncategory = "k"\nreason = "r"\n{cap}',
        *(f'text.{name} = "t"' for name in ("sms", "push") if name in CHANNELS[channels]),
        'offer = "o"' if offers else "",
        'class = "service"' if service else "",
        'keep = { list = "kept", for = "1h" }' if keeps and shadow else "",
        "shadow = true" if shadow else "",
    ]
    return "\n".join(lines) + "\n"


rules = st.lists(
    st.tuples(
        st.integers(0, 99), st.integers(1, 3), st.integers(0, 2), st.booleans(), st.booleans(),
        st.sampled_from(['cap = "1 per day"', 'cap = "2 per 6h"', ""]), st.booleans(),
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip
steps = st.lists(
    st.tuples(
        st.sampled_from(["e"] * 6 + ["visit", "outcome", "outcome", "answer", "profile"]),
        st.integers(0, 5),
        st.sampled_from([1, 60_000, HOUR_MS, 5 * HOUR_MS, DAY_MS]),
    ),
    max_size=40,
)


def rows_of(found: DecisionBatch | None, real: frozenset[int]) -> list[tuple[int, ...]]:
    """The records of some rules, but for the book that they name."""
    names = ("kind", "row", "rule", "channel", "detail", "subscriber", "outcome", "gate", "of_position", "of_row")
    if found is None:
        return []
    rows = zip(*(getattr(found, name).tolist() for name in names), strict=True)
    return [row for row in rows if row[2] in real]


def row_of(kind: str, number: int, at_ms: int, last: tuple[int, int, int]) -> Row:
    named: dict[str, Any] = dict(zip(("position", "row", "rule"), last, strict=True))
    values: dict[str, dict[str, Any]] = {
        "e": {"n": number},
        "visit": {"visit": "v", "open": number > 1},
        "outcome": {"partition": 0, **named, "state": int(list(OutcomeState)[number % 3])},
        "answer": {"partition": 0, **named, "answer": "decline"},
        "profile": {"services": ["x"]},
    }
    return Row(kind, WHO, at_ms, values[kind])


@settings(max_examples=30, deadline=None)
@given(rules, rules, steps, st.sampled_from([1, 2, 4, 24]))
def test_what_a_book_decides_is_to_the_record_what_it_would_without_its_rules_in_shadow(
    real: list[Drawn], shadows: list[Drawn], taken: list[tuple[str, int, int]], contacts_max: int
) -> None:
    alone = HEAD + "".join(rule(number, one, shadow=False) for number, one in enumerate(real))
    both = [alone, alone + "".join(rule(100 + number, one, shadow=True) for number, one in enumerate(shadows))]
    worlds = [Deciding(text, contacts_max) for text in both]
    ids = frozenset(one.stable_id for one in worlds[0].book.rules)
    at_ms, last = NOON_MS, (0, 0, 0)
    for kind, number, later_ms in taken:
        at_ms += later_ms
        found = [world.take(at_ms, row_of(kind, number, at_ms, last)) for world in worlds]

        assert rows_of(found[0], ids) == rows_of(found[1], ids)
        for one in worlds[0].decided(found[0]):
            last = one.position, one.row, one.rule


def shadow_and_live(rule_text: str, contacts_max: int = 24) -> tuple[Deciding, Deciding]:
    head = HEAD.replace('cap = "2 per 12h"\n[categories', "[categories").replace('cap = "3 per 2d"\n', "")
    return Deciding(head + rule_text + "shadow = true\n", contacts_max), Deciding(head + rule_text, contacts_max)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2), st.booleans(), steps)
def test_alone_in_a_book_it_would_decide_where_it_decides_once_it_is_live(
    channels: int, offers: bool, taken: list[tuple[str, int, int]]
) -> None:
    worlds = shadow_and_live(rule(1, (50, 1, channels, offers, False, 'cap = "2 per 6h"', False), shadow=False))
    at_ms = NOON_MS
    for kind, number, later_ms in taken:
        at_ms += later_ms
        if kind not in ("e", "visit"):
            continue
        shadow, live = (world.take(at_ms, row_of(kind, number, at_ms, (0, 0, 0))) for world in worlds)
        for one in worlds[1].decided(live):
            worlds[1].outcome(at_ms, one, OutcomeState.COMMITTED, at_ms)

        assert _passed(shadow, SHADOW) == _passed(live, 0)


def _passed(found: DecisionBatch | None, gate: int) -> list[tuple[bool, int]]:
    """Whether each record passed all gates up to one, and on which channel."""
    if found is None:
        return []
    return [(one == gate, channel) for one, channel in zip(found.gate.tolist(), found.channel.tolist(), strict=True)]


def test_a_rule_that_becomes_live_begins_with_all_of_its_caps() -> None:
    text = rule(1, (50, 1, 0, False, False, 'cap = "1 per day"', False), shadow=False)
    deciding, _ = shadow_and_live(text)
    assert deciding.event(NOON_MS, n=0) == []

    deciding.reload(HEAD + text)

    assert [one.name for one in deciding.event(NOON_MS + 1, n=0)] == ["r1"]


def test_a_rule_in_shadow_puts_nobody_on_its_list() -> None:
    keeps = rule(1, (50, 1, 0, False, False, "", True), shadow=True)
    deciding = Deciding(HEAD + keeps + rule(2, (40, 1, 0, False, False, "", False), shadow=False))

    assert [one.name for one in deciding.event(NOON_MS, n=0)] == ["r2"]
    assert [one.name for one in deciding.event(NOON_MS + 1, n=0)] == ["r2"]
