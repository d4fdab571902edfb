"""Faults that the oracle found, each as one small promise."""

from typing import Any

import pytest

from rules import spans
from rules.codes import Code
from rules.diagnostics import BookErrors
from rules.load import load_text
from state import features
from state.batch import Row
from tests.oracle.agreement import Agreement

BASE = """
[events.call]
fields = { cell = "string", cost = "float" }
[attributes]
services = { set = ["12593", "mms"] }
[channels.alert]
"""
START_MS = 1_225_760_400_000


def fired(book: str, *events: tuple[int, str, dict[str, Any]]) -> list[int]:
    """The rows, each a frame's only one, on which a rule acted; engine and interpreter agree on everything."""
    world = Agreement(slots=64, contacts_max=4)
    loaded = load_text({"book.toml": BASE + book})
    world.activate(loaded)
    found = []
    for number, (after_ms, kind, values) in enumerate(events):
        at_ms = START_MS + after_ms
        found += [number for _ in world.frame([Row(kind, 1, at_ms, values)], at_ms, loaded.schema)]
    return found


def test_a_rule_that_is_switched_off_is_never_asked() -> None:
    rule = '[[rule]]\nid = "one"\non = "call"\nchannels = ["alert"]\n'

    assert fired(rule, (0, "call", {})) == [0]
    assert fired(rule + "enabled = false\n", (0, "call", {})) == []


@pytest.mark.parametrize(("kind", "ago_ms"), [("first", 5000), ("previous", 4000), ("last", 0)])
def test_a_feature_of_an_event_without_a_field_is_its_time(kind: str, ago_ms: int) -> None:
    book = (
        f'[features.moment]\n{kind} = "call"\n'
        '[[rule]]\nid = "one"\non = "call"\nchannels = ["alert"]\n'
        f'when = "at - moment == {ago_ms}"\n'
    )
    calls = [(ms, "call", {"cell": "a"}) for ms in (0, 1000, 5000)]

    assert fired(book, *calls)[-1:] == [2]


def test_minus_zero_and_zero_are_one_value_of_a_field() -> None:
    book = (
        '[features.costs]\ndistinct = "call.cost"\n'
        '[[rule]]\nid = "one"\non = "call"\nwhen = "costs == 2"\nchannels = ["alert"]\n'
    )
    calls = [(ms, "call", {"cost": cost}) for ms, cost in enumerate((0.0, -0.0, 0.0, 1.5))]

    assert fired(book, *calls) == [3]


def test_a_remembered_set_is_asked_for_its_members_by_name() -> None:
    book = (
        '[features.held_before]\nprevious = "profile.services"\n'
        '[[rule]]\nid = "one"\non = "profile"\nwhen = "\'mms\' in held_before"\nchannels = ["alert"]\n'
        'reason = "had {held_before}"\n'
    )
    profiles = [(ms, "profile", {"services": held}) for ms, held in enumerate((["mms"], ["12593"], []))]

    assert fired(book, *profiles) == [1]


def test_a_book_may_ask_for_as_many_panes_as_a_feature_keeps() -> None:
    assert spans.PANES_MAX == features.PANES_MAX


@pytest.mark.parametrize(
    "use",
    [
        '[[rule]]\nid = "one"\non = "call"\nchannels = ["alert"]\npriority = "again"\n',
        "[values.both]\nis = \"cell == 'a' and again > 60\"\n",
        '[values.both]\nis = "call.cost > again"\n',
    ],
)
def test_where_a_feature_is_refused_nothing_is_said_of_what_uses_it(use: str) -> None:
    kept = 'sum = "call.cost"\nover = "today"\n'
    book = f"{BASE}[features.costs]\n{kept}[features.again]\n{kept}since = '30m'\n"

    with pytest.raises(BookErrors) as caught:
        load_text({"book.toml": book + use})

    assert [fault.code for fault in caught.value.diagnostics] == [Code.DECLARED_TWICE]
