"""The parts of a backtest: which rows another book takes, what a sample stands for, and what is written."""

import csv as csv_format
import io

import numpy as np
import pytest

from engine.runtimes.backtest.derived import SharedDecisions, decided_rows, keys_of, shared
from engine.runtimes.backtest.figures import Figure, masked, overlaps
from engine.runtimes.backtest.output import Shown, csv, table
from engine.runtimes.backtest.page import page
from engine.runtimes.backtest.sample import Sample, interval
from state.batch import Row, from_rows
from state.decisions import DecisionBatch, Outcome, activation
from state.schema import make_schema

SCHEMA = make_schema((), ())


def records(rows: list[tuple[int, int, int]]) -> DecisionBatch:
    """Decisions of frame 7, each (row, rule, channel)."""
    batch = activation(7, 0, "book")
    row, rule, channel = np.array(rows, np.int64).reshape(-1, 3).T
    n = row.shape[0]
    for name in ("kind", "outcome", "gate", "arm"):
        setattr(batch, name, np.zeros(n, np.uint8))
    batch.row, batch.rule, batch.channel = row.astype(np.int32), rule, channel
    batch.fact_start = np.zeros(n + 1, np.int32)
    return batch


def outcome(position: int, row: int, rule: int) -> Row:
    return Row("outcome", 1, 0, {"partition": 0, "position": position, "row": row, "rule": rule, "state": 1})


def test_a_decision_is_the_same_where_row_rule_and_channel_are() -> None:
    ours, live = records([(0, 5, 1), (1, 5, 1), (2, 5, 1), (3, 6, 1)]), records([(0, 5, 1), (1, 5, 2), (3, 5, 1)])
    assert shared(ours, live).tolist() == [True, False, False, False]
    live.outcome = np.full(live.n, Outcome.SUPPRESSED, np.uint8)
    assert not shared(ours, live).any()
    assert not shared(ours, None).any()
    assert decided_rows(ours).tolist() == [0, 1, 2, 3]


def test_another_book_takes_derived_rows_of_shared_decisions_alone_and_all_others() -> None:
    batch = from_rows(
        SCHEMA,
        [
            outcome(7, 0, 5),
            outcome(7, 1, 5),
            Row("answer", 1, 0, {"position": 7, "row": 1, "rule": 5}),
            Row("visit", 1, 0, {"terminal": "t"}),
            Row("list", 1, 0, {"list": "l", "member": True}, cause=(0, 7, 1, 5)),
            Row("list", 1, 0, {"list": "l", "member": True}, cause=(0, 7, 0, 5)),
        ],
    )
    ours = SharedDecisions()
    ours.add(7, records([(0, 5, 1)]), np.array([0]))
    keep = ours.keep(batch)
    assert keep is not None
    assert keep.tolist() == [True, False, False, True, False, True]
    ours.discard(keys_of(7, np.array([0], np.int32), np.array([5])))
    keep = ours.keep(batch)
    assert keep is not None
    assert keep.tolist() == [False, False, False, True, False, False]
    assert ours.keep(from_rows(SCHEMA, [Row("visit", 1, 0, {"terminal": "t"})])) is None


def test_a_sample_holds_its_part_of_every_partition_it_reads() -> None:
    numbers = np.arange(8_613_800_000_000, 8_613_800_200_000)
    for share in (0.01, 0.1, 0.5):
        sample = Sample(share, 4)
        expected = share * 4 / len(sample.chosen)
        assert abs(sample.rows(numbers).mean() - expected) < 0.01
    assert Sample(1.0, 4).rows(numbers).all()
    assert list(Sample(0.01, 4).chosen) == [0]


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_the_interval_holds_the_whole_in_93_of_100_rule_days(share: float) -> None:
    chance = np.random.default_rng(5)
    held = 0
    for day in range(300):
        people = int(chance.integers(100, 20_000))
        counts = (
            chance.poisson(0.3, people) if day % 2 else chance.geometric(0.4, people) * (chance.random(people) < 0.05)
        )
        drawn = counts[(chance.random(people) < share) & (counts > 0)]
        low, high = interval(drawn.astype(np.int64), share)
        held += low <= int(counts.sum()) <= high
    assert held >= 279


def test_overlaps_count_subscribers_and_not_decisions() -> None:
    rule, who = np.array([1, 1, 2, 2, 3]), np.array([10, 10, 10, 11, 12])
    assert list(overlaps(rule, who)) == [(1, 2, 1)]
    assert list(overlaps(rule[:0], who[:0])) == []


@pytest.mark.parametrize("sign", ["=", "＝", "＠", "|", "%"])
def test_numbers_are_masked_and_names_from_outside_are_text_in_every_form(sign: str) -> None:
    assert masked(8613800000001) == "86138******01"
    assert masked(12345) == "*****"
    evil = f"{sign}x<script>\x1b[2J"
    row: Figure = {"section": "stopped", "book": evil, "rule": evil, "gate": "cap", "value": 1}
    shown = Shown((evil,), (evil,), (row,), disagrees=False)
    assert "\x1b" not in table(shown)
    assert "<script>" not in page(shown)
    cells = next(line for line in csv_format.DictReader(io.StringIO(csv(shown))))
    assert cells["rule"].startswith(f"'{sign}")
    assert "\x1b" not in cells["rule"]
