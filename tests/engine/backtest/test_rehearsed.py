"""The book that ran, rehearsed, equals the live run; nothing of the data directory changes by it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.flow.datadir import DataDir
from engine.runtimes.backtest import other_lane
from engine.runtimes.backtest.lane import LaneResult, Span
from engine.runtimes.backtest.recorded import Recording
from engine.runtimes.backtest.sample import Sample
from engine.runtimes.backtest.side import RUNNING, Backtest, Side, compiled_folder
from engine.settings.reading import load_config
from state.decisions import DecisionBatch, OutcomeState
from tests.engine.backtest.days import backtest, check, live, steady
from tests.engine.engines import Engine, Nursery


@pytest.fixture(scope="module", params=[3])
def day(request: pytest.FixtureRequest, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A day that was live."""
    return live(nursery, tmp_path_factory.mktemp("day") / "engine", request.param)


def in_data(engine: Engine) -> dict[str, tuple[int, int]]:
    """Size and time of every file of the data directory."""
    return {str(one): (one.stat().st_size, one.stat().st_mtime_ns) for one in sorted(engine.data.rglob("*"))}


def figures_of(rows: list[dict[str, Any]], book: str) -> list[dict[str, Any]]:
    """The figures of a book, without its name and without what is held against the running one."""
    held = ("book", "both", "only_here", "only_running")
    return [{k: v for k, v in row.items() if k not in held} for row in rows if row.get("book") == book]


def in_memory(engine: Engine, book: Path) -> list[LaneResult]:
    """Run the running book and another one in this process."""
    config = load_config(engine.folder / "config.toml")
    recording = Recording(DataDir(config.data.directory))
    whole = Backtest(config, recording.extent(), Sample(1.0, recording.fixed.partitions), Span())
    results = [whole.run_one(side, lambda _: None) for side in (Side(RUNNING), Side("book", compiled_folder(book)))]
    recording.close()
    return results


def test_a_rehearsed_day_equals_the_live_one_record_by_record_and_changes_no_file(day: Engine) -> None:
    before = in_data(day)
    came = check(day)

    assert {"decided", "cap", "holdout", "paused"} <= came.keys(), came
    assert in_data(day) == before


def test_the_same_holds_for_a_part_of_the_subscribers(day: Engine) -> None:
    _, whole = backtest(day)
    status, part = backtest(day, "--sample", "30%")

    assert status == 0, part[0]
    assert "all as they were decided live" in " ".join(part[0]["notes"])
    (everybody,) = [row["value"] for row in whole if row["section"] == "decided" and row["rule"] == "all"]
    (bounds,) = [row for row in part if row["section"] == "decided" and row["rule"] == "all"]
    assert bounds["low"] <= everybody <= bounds["high"]


def test_what_is_modelled_is_what_came_live_where_gateways_accept_at_once(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = steady(nursery, tmp_path / "engine", 4)

    def none(ours: DecisionBatch, _: DecisionBatch | None) -> NDArray[np.bool_]:
        return np.zeros(ours.n, np.bool_)

    monkeypatch.setattr(other_lane, "shared", none)
    ran, modelled = (result.tally for result in in_memory(engine, engine.folder / "book"))

    assert ran.decided["key"].shape[0] > 50
    assert modelled.stopped == ran.stopped
    assert modelled.ended == ran.ended
    assert modelled.refunds == ran.refunds
    assert modelled.sent == ran.sent
    assert any(state == OutcomeState.REFUNDED for _, state in ran.ended)


def test_a_book_that_takes_over_where_it_did_live_decides_what_it_did_live(day: Engine) -> None:
    _, rows = backtest(day, "book", "--from", "2008-11-04T14:00:00+08:00")

    ran = figures_of(rows, "running")
    assert sum(row["value"] for row in ran if row["section"] == "decided") > 0
    assert figures_of(rows, "book") == ran
    assert all(row["only_here"] == row["only_running"] == 0 for row in rows if row["section"] == "decided")


def test_another_book_refuses_and_caps_by_its_own_contacts(day: Engine) -> None:
    text = (day.folder / "book" / "book.toml").read_text()
    other = day.folder / "other"
    other.mkdir(exist_ok=True)
    (other / "book.toml").write_text(text.replace('id = "long-care"', 'id = "long-carer"'))
    _, rows = backtest(day, "other", "--refuse", "100%")

    of = {
        (row["section"], row.get("rule"), row.get("reason")): row["value"]
        for row in rows
        if row.get("book") == "other" and row["section"] != "hour"
    }
    assert of["decided", "long-carer", None] > 0
    assert ("sent", "long-carer", None) not in of, "its outcomes are its own, and all are refused"
    assert of["refunded", "long-carer", "REFUSED"] > 0


def test_a_book_that_answers_its_own_refusals_is_named_and_ends(nursery: Nursery, tmp_path: Path) -> None:
    engine = steady(nursery, tmp_path / "engine", 6, 60)
    text = (engine.folder / "book" / "book.toml").read_text().replace("told == 3 and state == 1", "state == 2")
    other = engine.folder / "other"
    other.mkdir()
    (other / "book.toml").write_text(text)
    process = engine.command("backtest", "other", "--refuse", "100%")

    assert process.exit == 1
    assert "book other: rules decide on their own outcomes without end" in process.err
    assert "told-often" in process.err
