"""Sequences: what is found in which order of events, what is skipped, and what a changed book keeps."""

from typing import Any

import numpy as np
import pytest

from engine.answers.explained import explained
from engine.book.compiled import compile_book, spec_of
from rules.load import load_text
from state.batch import Row
from state.features import columns_of
from tests.rules.deciding import HOUR_MS, MINUTE_MS, NOON_MS, WHO, Deciding

BOOK = """
[book]
max_age = "366d"
decisions_per_event = 16
[events.a]
fields = { x = "string", n = "int", f = "float" }
[events.b]
fields = { x = "string", n = "int", f = "float" }
[events.c]
fields = { x = "string", n = "int", f = "float" }
[channels.desk]
per_event_max = 16
[channels.alert]
[sequences.s]
within = "1h"
steps = [STEPS]
[[rule]]
id = "ra"
on = "a"
channels = ["alert"]
reason = "{step}"
[[rule]]
id = "rb"
on = "b"
channels = ["alert"]
reason = "{step}"
[[rule]]
id = "rc"
on = "c"
channels = ["alert"]
reason = "{step} {whole}"
[values.step]
is = "step('s')"
[values.whole]
is = "completed('s')"
"""
PLAIN = '{ event = "a" }, { event = "b" }, { event = "c" }'
SAME = (
    '{ name = "one", event = "a" }, { name = "two", event = "b", where = "x == one.x" }, '
    '{ event = "c", where = "two.x == x and n > one.n and f != one.f" }'
)
Step = tuple[str, int] | tuple[str, int, dict[str, Any]]


def steps_of(world: Deciding, *events: Step) -> list[int]:
    """What `step` says on each event, a letter and the minute in which it happens; each is a frame of its own."""
    found = []
    for kind, minute, *values in events:
        at_ms = NOON_MS + minute * MINUTE_MS
        record = world.take(NOON_MS + HOUR_MS * 5, Row(kind, WHO, at_ms, values[0] if values else {}))
        assert record is not None
        found.append(int(record.facts[0]))
    return found


def book(steps: str) -> Deciding:
    return Deciding(BOOK.replace("STEPS", steps))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("abc", [1, 2, 3]),
        ("abac", [1, 2, 2, 3]),
        ("abbc", [1, 2, 2, 3]),
        ("acb", [1, 1, 2]),
        ("bac", [0, 1, 1]),
        ("abcc", [1, 2, 3, 0]),
        ("abacbc", [1, 2, 2, 3, 2, 3]),
        ("aabbc", [1, 1, 2, 2, 3]),
    ],
)
def test_a_sequence_takes_the_first_event_that_fits_and_skips_all_others(events: str, expected: list[int]) -> None:
    assert steps_of(book(PLAIN), *[(one, minute) for minute, one in enumerate(events)]) == expected


def test_the_last_step_must_come_before_the_span_is_over() -> None:
    assert steps_of(book(PLAIN), ("a", 0), ("b", 1), ("c", 59)) == [1, 2, 3]
    assert steps_of(book(PLAIN), ("a", 0), ("b", 1), ("c", 60)) == [1, 2, 0]


def test_a_run_that_began_later_goes_on_in_place_of_one_at_the_same_step() -> None:
    assert steps_of(book(PLAIN), ("a", 0), ("a", 30), ("b", 31), ("c", 80)) == [1, 1, 2, 3]


def test_an_event_that_happened_before_a_step_does_not_follow_it() -> None:
    assert steps_of(book(PLAIN), ("a", 5), ("b", 4), ("b", 5), ("c", 4), ("c", 6)) == [1, 1, 2, 2, 3]


def test_one_event_takes_one_step_of_a_run_and_may_begin_another() -> None:
    same = '{ event = "a" }, { event = "a" }, { event = "a" }'
    assert steps_of(book(same), ("a", 0), ("a", 1), ("a", 2), ("a", 3), ("a", 4)) == [1, 2, 3, 3, 3]


def test_a_step_is_compared_with_fields_of_those_before_it() -> None:
    first, other = {"x": "p", "n": 5, "f": 1.0}, {"x": "q", "n": 1, "f": 2.0}
    events: list[Step] = [
        ("a", 0, first),
        ("a", 1, other),
        ("b", 2, {"x": "p"}),
        ("c", 3, {"x": "q", "n": 9, "f": 0.0}),
    ]
    assert steps_of(book(SAME), *events) == [1, 1, 2, 2]
    whole = {"x": "p", "n": 6, "f": 1.5}
    for wrong in ({**whole, "n": 5}, {**whole, "f": 1.0}, {**whole, "x": "q"}, {"x": "p", "n": 6}):
        assert steps_of(book(SAME), *events[:3], ("c", 3, wrong), ("c", 4, whole)) == [1, 1, 2, 2, 3]


def test_what_an_earlier_step_did_not_know_is_equal_to_nothing() -> None:
    assert steps_of(book(SAME), ("a", 0), ("b", 1), ("b", 2, {"x": "p"})) == [1, 1, 1]


def test_of_more_runs_than_there_is_room_for_the_first_is_given_up() -> None:
    two = '{ name = "one", event = "a" }, { event = "b", where = "x == one.x" }]\nruns_max = 2\nmore = ['
    world = Deciding(BOOK.replace("STEPS", two).replace("\nmore = []", ""))
    begun: list[Step] = [("a", minute, {"x": x}) for minute, x in enumerate("pqr")]
    assert steps_of(world, *begun, ("b", 4, {"x": "p"}), ("b", 5, {"x": "q"}), ("b", 6, {"x": "r"})) == [
        1,
        1,
        1,
        1,
        2,
        2,
    ]


def test_all_rows_of_one_frame_are_folded_like_frames_of_their_own() -> None:
    world, events = book(PLAIN), "abacbcabc"
    rows = [Row(kind, WHO, NOON_MS + minute, {}) for minute, kind in enumerate(events)]
    found = world.take(NOON_MS + HOUR_MS, *rows)
    assert found is not None
    steps = [int(found.facts[at]) for at in found.fact_start[:-1]]
    assert steps == steps_of(book(PLAIN), *[(one, minute) for minute, one in enumerate(events)])


def test_another_span_holds_for_what_is_open_and_other_steps_begin_anew() -> None:
    world = book(PLAIN)
    steps_of(world, ("a", 0), ("b", 1))
    text = BOOK.replace("STEPS", PLAIN)
    world.reload(text.replace('within = "1h"', 'within = "2h"'))
    assert steps_of(world, ("c", 90)) == [3]

    steps_of(world, ("a", 100))
    world.reload(text.replace('{ event = "b" }', '{ event = "b", where = "n > 1" }'))
    assert steps_of(world, ("b", 101, {"n": 2})) == [0]


def test_fields_in_another_order_keep_what_is_open() -> None:
    text = BOOK.replace("STEPS", SAME)
    world = Deciding(text)
    steps_of(world, ("a", 0, {"x": "p", "n": 5, "f": 1.0}), ("b", 1, {"x": "p"}))
    world.reload(
        text.replace(
            'fields = { x = "string", n = "int", f = "float" }', 'fields = { f = "float", n = "int", x = "string" }'
        )
    )
    assert steps_of(world, ("c", 2, {"x": "p", "n": 6, "f": 1.5})) == [3]


def test_a_sequence_without_comparisons_takes_sixteen_bytes_a_step_but_one() -> None:
    made = load_text({"book.toml": BOOK.replace("STEPS", PLAIN)})
    (feature,) = [one for one in made.features if one.kind == "sequence"]
    assert sum(column.row_bytes for column in columns_of(spec_of(feature, made))) == 32


def test_an_explanation_tells_the_step_that_is_asked_for() -> None:
    text = BOOK.replace("STEPS", PLAIN).replace('id = "rc"\non = "c"', 'id = "rc"\non = "c"\nwhen = "completed(\'s\')"')
    made = load_text({"book.toml": text})
    lines = list(explained(made, made.by_id["rc"]))
    assert "  (step('s') == 3)" in lines
    assert any("step('s'): of the steps a, b, c within 1h; 32 bytes" in line for line in lines)


def test_the_conditions_of_steps_and_of_other_features_do_not_mix() -> None:
    steps = PLAIN.replace('{ event = "b" }', '{ event = "b", where = "n == 2" }')
    more = '[features.many]\ncount = "b"\nwhere = "n == 3"\n'
    compiled = compile_book(load_text({"book.toml": BOOK.replace("STEPS", steps) + more}))
    used = [plan.where for plan in compiled.plans if plan.where >= 0] + [
        int(where) for plan in compiled.plans for where in plan.steps[:, 1] if where >= 0
    ]
    assert sorted(used) == list(np.arange(len(used)))
