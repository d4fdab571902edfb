"""What became of each decision, joined in buckets of columns, is what a reader of one row at a time finds."""

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.evidence.effects import EFFECT, MADE, End, Window, effects_of
from engine.evidence.said import SAID, What
from engine.evidence.spill import Rows, Spill
from engine.evidence.tally import Span
from engine.evidence.units import Units
from rules.load import load_text
from state import calendar

WITHIN_MS = (50, 20)
CLOCK_MS = 140
BOOK = """
[events.call]
fields = { kind = "string" }
[channels.sms]
[[rule]]
id = "r"
on = "call"
channels = ["sms"]
text.sms = "t"
[[goal]]
name = "slow"
on = "call"
within = "50ms"
campaign = "book"
[[goal]]
name = "quick"
on = "call"
within = "20ms"
rule = "r"
"""
ENDS = {
    What.COMMITTED: End.SENT,
    What.REFUNDED: End.REFUNDED,
    What.DELIVERED: End.DELIVERED,
    What.UNDELIVERED: End.UNDELIVERED,
    What.UNKNOWN: End.UNKNOWN,
    What.WITHDRAWN: End.WITHDRAWN,
    What.ANSWERED: End.ANSWERED,
    What.REPLIED: End.REPLIED,
}
small = st.integers(1, 3)
times = st.integers(1, 120)
decisions = st.lists(
    st.tuples(small, small, small, times, st.sampled_from([-1, 0, 1]), st.booleans()),
    max_size=12,
    unique_by=lambda d: d[:3],
)
sayings = st.lists(st.tuples(st.sampled_from(list(What)), small, small, small, times, st.integers(1, 5)), max_size=40)


def made_of(drawn: list[tuple[Any, ...]]) -> Rows:
    rows = np.zeros(len(drawn), MADE)
    for number, (subscriber, position, rule, log_ms, goal, held_out) in enumerate(sorted(drawn, key=lambda d: d[1])):
        rows[number] = (subscriber, number, position, rule, log_ms, 0, 0, goal, held_out, -1, 0)
    return rows


def said_of(drawn: list[tuple[Any, ...]]) -> Rows:
    rows = np.zeros(len(drawn), SAID)
    for number, (what, subscriber, position, rule, at_ms, word) in enumerate(drawn):
        rows[number] = (
            subscriber,
            position,
            rule % 2 if what == What.GOAL else rule,
            at_ms,
            word,
            0,
            0,
            word,
            word,
            what,
        )
    return rows


class Reader:
    """The plain meaning: one decision after the other, one row after the other."""

    def __init__(self, made: Rows, said: Rows) -> None:
        self.effects: list[dict[str, Any]] = [
            dict.fromkeys(EFFECT.names or (), 0) | {"ends": int(one["held_out"]) * int(End.HELD_OUT)} for one in made
        ]
        keys = [tuple(int(one[name]) for name in ("subscriber", "position", "row", "rule")) for one in made]
        terminals: dict[int, int] = {}
        for row in said:
            if row["what"] == What.VISIT:
                terminals[int(row["subscriber"])] = int(row["word"])
            key = tuple(int(row[name]) for name in ("subscriber", "position", "row", "rule"))
            if row["what"] in ENDS and key in keys:
                self._say(self.effects[keys.index(key)], row, terminals.get(key[0], 0))
        for number, one in enumerate(made):
            self.effects[number]["contact_ms"] = self._contact_ms(number, one)
        for row in said[said["what"] == What.GOAL]:
            self._reach(made, row)

    def _say(self, effect: dict[str, Any], row: Any, terminal: int) -> None:
        what, first = What(row["what"]), not effect["ends"] & ENDS[What(row["what"])]
        effect["ends"] |= int(ENDS[what])
        effect.setdefault("order", []).append((what, int(row["at_ms"]), int(row["word"]), terminal, first))

    def _contact_ms(self, number: int, made: Any) -> int:
        effect = self.effects[number]
        if made["held_out"]:
            return int(made["log_ms"])
        if effect["ends"] & End.REFUNDED:
            return 0
        said = {what: at_ms for what, at_ms, _, _, first in effect.get("order", []) if first}
        return said.get(What.UNKNOWN) or said.get(What.COMMITTED) or said.get(What.DELIVERED) or 0

    def _reach(self, made: Rows, row: Any) -> None:
        goal, at_ms = int(row["rule"]), int(row["at_ms"])
        theirs = (made["goal"] == goal) & (made["subscriber"] == row["subscriber"])
        mine = [(self.effects[n]["contact_ms"], n) for n in np.flatnonzero(theirs).tolist()]
        mine = [one for one in mine if 0 < one[0] <= at_ms]
        if mine and at_ms - max(mine)[0] <= WITHIN_MS[goal]:
            effect = self.effects[max(mine)[1]]
            effect["conversions"] += 1
            effect["value"] += float(row["value"])


@given(decisions, sayings)
def test_effects_are_what_a_reader_of_one_row_at_a_time_finds(
    drawn: list[tuple[Any, ...]], sayings: list[tuple[Any, ...]]
) -> None:
    made, said = made_of(drawn), said_of(sayings)

    found = effects_of(made, said, WITHIN_MS, np.array([CLOCK_MS]))

    reader = Reader(made, said)
    assert found["ends"].tolist() == [one["ends"] for one in reader.effects]
    assert found["conversions"].tolist() == [one["conversions"] for one in reader.effects]
    assert found["value"].tolist() == [one["value"] for one in reader.effects]
    windows = [
        Window.NONE if not one["contact_ms"] or made["goal"][n] < 0
        else Window.OVER if one["contact_ms"] + WITHIN_MS[made["goal"][n]] < CLOCK_MS else Window.OPEN
        for n, one in enumerate(reader.effects)
    ]  # fmt: skip
    assert found["window"].tolist() == windows
    for number, effect in enumerate(reader.effects):
        answers = [one for one in effect.get("order", []) if one[0] == What.ANSWERED]
        assert found["answer"][number] == (answers[0][2] if answers else 0)
        if answers:
            assert found["terminal"][number] == answers[0][3]


@given(decisions, sayings)
def test_a_subscriber_is_one_unit_from_its_first_decision_on(
    drawn: list[tuple[Any, ...]], sayings: list[tuple[Any, ...]]
) -> None:
    made, said = made_of(drawn), said_of(sayings)
    goals = load_text({"book.toml": BOOK}).goals
    units = Units(goals, calendar.transitions("UTC"), Span())

    units.add(made, said, np.array([CLOCK_MS]))

    expected = np.zeros((2, 4), np.int64)
    for goal, within_ms in enumerate(WITHIN_MS):
        for subscriber in (1, 2, 3):
            mine = made[(made["goal"] == goal) & (made["subscriber"] == subscriber)]
            if not mine.shape[0]:
                continue
            first = min(mine, key=lambda one: (one["log_ms"], one["position"]))
            begin, end = int(first["log_ms"]), int(first["log_ms"]) + within_ms
            if end >= CLOCK_MS:
                continue
            hits = said[(said["what"] == What.GOAL) & (said["rule"] == goal) & (said["subscriber"] == subscriber)]
            arm = 2 if first["held_out"] else 0
            expected[goal, arm] += 1
            expected[goal, arm + 1] += bool(((hits["at_ms"] >= begin) & (hits["at_ms"] <= end)).any())
    for goal in range(2):
        assert units.counts.get((goal, 0), np.zeros(4)).tolist() == expected[goal].tolist()


@given(st.lists(st.integers(1, 1 << 62), max_size=300), st.integers(1, 9))
def test_rows_of_a_subscriber_come_back_together_and_in_order(
    tmp_path_factory: Any, subscribers: list[int], count: int
) -> None:
    folder: Path = tmp_path_factory.mktemp("spill")
    spill = Spill(folder, "rows", MADE, count)
    rows = np.zeros(len(subscribers), MADE)
    rows["subscriber"], rows["ordinal"] = subscribers, np.arange(len(subscribers))
    for part in np.array_split(rows, 3):
        spill.add(part)

    buckets = [spill.read(number) for number in range(count)]
    spill.close()

    assert sorted(np.concatenate(buckets)["ordinal"].tolist()) == list(range(len(subscribers)))
    for number in set(subscribers):
        (home,) = [bucket for bucket in buckets if number in bucket["subscriber"]]
        assert np.all(np.diff(home["ordinal"][home["subscriber"] == number]) > 0)
