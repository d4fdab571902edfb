"""What a report and an export write cannot be made to say something else by what others called things."""

import csv
import io
from html.parser import HTMLParser
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evidence.interval import Interval
from engine.evidence.measures import NAMES, RATES
from engine.evidence.page import page
from engine.evidence.table import report_lines, width
from engine.evidence.tally import Group, total
from engine.evidence.texts import csv_lines, ndjson_lines
from engine.evidence.units import Lift
from engine.metrics import Metrics
from rules.load import load_text
from state.decisions import OutcomeState, decision_id
from state.hashing import stable_id

BOOK = """
[events.e]
[channels.sms]
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"
"""
COUNTS = {"candidates": 50_000, "decided": 33_000, "sent": 32_000, "shown": 31_733, "accepted": 20_461}
HOSTILE = "<script>alert(1)</script>\x1b[2K\r\n=cmd|' /C calc'!A0\u202e8613800001234"


def group(*keys: str) -> Group:
    return Group(keys, np.array([float(COUNTS.get(name, 0)) for name in NAMES]))


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action", "srcset"}]


@given(st.lists(st.lists(st.text(max_size=30), min_size=2, max_size=2), max_size=5))
def test_csv_has_a_row_a_record_and_no_formula_whatever_things_are_called(rows: list[list[str]]) -> None:
    lines = "".join(csv_lines(["a", "b"], [{"a": a, "b": b} for a, b in rows]))

    read = list(csv.reader(io.StringIO(lines)))
    assert len(read) == 1 + len(rows) == lines.count("\n")
    for cells in read:
        assert len(cells) == 2
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


@given(st.dictionaries(st.sampled_from("ab"), st.text(st.characters(exclude_categories=["Cs"]), max_size=30)))
def test_ndjson_reads_back_as_it_was_from_one_line(record: dict[str, str]) -> None:
    (line,) = ndjson_lines([record])

    assert len(line.splitlines()) == 1
    assert orjson.loads(line) == record


def test_a_share_stands_beside_its_denominator() -> None:
    record = group("care").record(["rule"])

    assert record["accepted_of_shown"] == pytest.approx(0.6448, abs=5e-5)
    assert record["declined_of_shown"] == 0
    assert record["converted_of_contacts_over"] is None
    assert all(f"{part}_of_{whole}" == name for name, (part, whole) in RATES.items())
    assert "20,461  64.48%" in list(report_lines(["rule"], [group("care")], group("all")))[1]


def test_a_table_is_aligned_and_whole_whatever_rules_are_called() -> None:
    lines = list(report_lines(["rule"], [group(HOSTILE), group("首次长途")], group("all")))

    assert len({width(line) for line in lines}) == 1
    assert not any(ord(letter) < 32 or letter == "\u202e" for line in lines for letter in line)


def test_a_page_loads_nothing_runs_nothing_and_shows_no_number_of_a_subscriber() -> None:
    lift = Lift(HOSTILE, HOSTILE, 10, 1, 10, 5, 2, Interval(-0.4, -0.6, -0.1))
    groups = [group(HOSTILE), group("care")]
    tags = Tags()

    text = page(["rule"], groups, [group("2008-11-04")], total(groups, 1), [lift], span=HOSTILE, zone="Asia/Shanghai")

    tags.feed(text)
    assert "script" not in tags.seen
    assert tags.addresses == []
    assert "8613800001234" not in text
    assert "\x1b" not in text
    assert "default-src 'none'" in text
    assert "64.48%" in text
    assert "hurt:" in text


def test_outcomes_and_answers_are_counted_by_rule_and_words_of_others_are_other() -> None:
    book = load_text(
        {"b.toml": '[events.e]\n[channels.sms]\n[[rule]]\nid = "r"\non = "e"\nchannels = ["sms"]\ntext.sms = "t"'}
    )
    metrics = Metrics()
    mine, gone = (decision_id(0, 1, 2, stable_id(name)) for name in ("r", "gone"))
    metrics.count_outcome(mine, OutcomeState.COMMITTED, "")
    metrics.active_book = lambda: book

    metrics.count_outcome(mine, OutcomeState.COMMITTED, "")
    metrics.count_outcome(gone, OutcomeState.REFUNDED, "EXPIRED")
    for word in ("accept", "8613800001234"):
        metrics.count_answer(mine, word)

    said: dict[Any, float] = {
        (one.labels["rule"], one.labels["outcome"]): one.value
        for family in metrics.rule_outcomes.collect() for one in family.samples if one.name.endswith("_total")
    }  # fmt: skip
    assert said == {
        ("other", "committed"): 1, ("other", "refunded"): 1,
        ("r", "committed"): 1, ("r", "accept"): 1, ("r", "other"): 1,
    }  # fmt: skip
