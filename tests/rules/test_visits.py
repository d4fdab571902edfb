"""A visit at the desk by the log's clock: when it begins, when it ends, and what is on the screen meanwhile."""

from rules.gates.desk import VISIT_MS_MAX
from state.batch import Row, Value
from state.decisions import OutcomeState
from tests.rules.deciding import HOUR_MS, MINUTE_MS, NOON_MS, SECOND_MS, WHO, Deciding

BOOK = """
[channels.desk]
[offers.o]
[events.e]
[[rule]]
id = "r"
on = "e"
channels = ["desk"]
max_age = "10h"
[[rule]]
id = "offered"
on = "e"
priority = 10
channels = ["desk"]
offer = "o"
max_age = "10h"
"""


def visit(at_ms: int, **values: Value) -> Row:
    return Row("visit", WHO, at_ms, {"terminal": "t", **values})


def is_there(one: Deciding, log_ms: int, at_ms: int | None = None) -> bool:
    """Whether a card can be shown for an event."""
    return bool(one.event(log_ms, at_ms=at_ms))


def test_a_visit_lasts_from_its_row_in_the_log_however_late_that_is_and_for_half_an_hour() -> None:
    one = Deciding(BOOK)
    one.take(NOON_MS, visit(NOON_MS - HOUR_MS, visit="v"))
    assert is_there(one, NOON_MS + VISIT_MS_MAX - 1)
    assert not is_there(one, NOON_MS + VISIT_MS_MAX)
    assert not is_there(one, NOON_MS + VISIT_MS_MAX, at_ms=NOON_MS), "an event that comes in after the end"


def test_a_late_close_does_not_end_a_visit_that_has_begun_since_with_or_without_names() -> None:
    named, nameless = Deciding(BOOK), Deciding(BOOK)
    named.take(NOON_MS, visit(NOON_MS, visit="v1"))
    named.take(NOON_MS + MINUTE_MS, visit(NOON_MS + MINUTE_MS, visit="v2"))
    named.take(NOON_MS + 2 * MINUTE_MS, visit(NOON_MS + SECOND_MS, visit="v1", open=False))
    nameless.take(NOON_MS, visit(NOON_MS))
    nameless.take(NOON_MS + MINUTE_MS, visit(NOON_MS + MINUTE_MS))
    nameless.take(NOON_MS + 2 * MINUTE_MS, visit(NOON_MS + SECOND_MS, open=False))
    for one in (named, nameless):
        assert is_there(one, NOON_MS + 3 * MINUTE_MS)
    nameless.take(NOON_MS + 4 * MINUTE_MS, visit(NOON_MS + 4 * MINUTE_MS, open=False))
    assert not is_there(nameless, NOON_MS + 5 * MINUTE_MS)


def test_a_named_close_ends_its_visit_whatever_the_clocks_of_its_sources_say() -> None:
    one = Deciding(BOOK)
    one.take(NOON_MS, visit(NOON_MS, visit="v"))
    one.take(NOON_MS + MINUTE_MS, visit(NOON_MS - MINUTE_MS, visit="v", open=False))
    assert not is_there(one, NOON_MS + 2 * MINUTE_MS)


def test_an_offer_shown_in_this_visit_is_on_screen_and_one_of_an_earlier_visit_is_not() -> None:
    """The visit's event is a minute late each time: its time and that of the contact are one clock, the log's."""
    one = Deciding(BOOK.replace('id = "r"', 'id = "r"\nenabled = false'))
    one.take(NOON_MS, visit(NOON_MS - MINUTE_MS, visit="v1"))
    (shown,) = one.event(NOON_MS + SECOND_MS)
    one.outcome(NOON_MS + 2 * SECOND_MS, shown, OutcomeState.COMMITTED, NOON_MS + 2 * SECOND_MS)
    assert one.event(NOON_MS + MINUTE_MS) == [], "it is on the screen"
    one.take(NOON_MS + MINUTE_MS, visit(NOON_MS, visit="v2"))
    assert len(one.event(NOON_MS + MINUTE_MS + SECOND_MS)) == 1, "the second visit begins after it, in the log"
