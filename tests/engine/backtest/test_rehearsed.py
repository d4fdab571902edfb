"""The book that ran, rehearsed, equals the live run; another one has its own outcomes; no file changes by it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.flow.datadir import DataDir
from engine.flow.fold import limits_of
from engine.runtimes.backtest import other_lane
from engine.runtimes.backtest.lane import LaneResult, Span
from engine.runtimes.backtest.other_lane import EndlessError
from engine.runtimes.backtest.recorded import Recording
from engine.runtimes.backtest.sample import Sample, interval
from engine.runtimes.backtest.side import RUNNING, Backtest, Side, compiled_folder
from engine.runtimes.refold import Judged, Refold
from engine.settings.reading import load_config
from state.decisions import DecisionBatch, OutcomeState
from state.hashing import partition_of, stable_id
from tests.engine.backtest.days import check, live, steady
from tests.engine.engines import Engine, Nursery

PART_THREE_MS = 1_225_778_400_000
"""When the third book of a day is in force, and no row of the second part is to come: 2008-11-04T14:00:00+08:00."""


@pytest.fixture(scope="module")
def day(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A day that was live."""
    return live(nursery, tmp_path_factory.mktemp("day") / "engine", 3, 300)


def in_data(engine: Engine) -> dict[str, tuple[int, int]]:
    """Size and time of every file of the data directory."""
    return {str(one): (one.stat().st_size, one.stat().st_mtime_ns) for one in sorted(engine.data.rglob("*"))}


def rehearsed(
    engine: Engine, book: Path | None = None, *, share: float = 1.0, span: Span | None = None, refused: float = 0.0
) -> LaneResult:
    """Run a book, or what ran, in this process."""
    config = load_config(engine.folder / "config.toml")
    recording = Recording(DataDir(config.data.directory))
    sample = Sample(share, recording.fixed.partitions)
    whole = Backtest(config, recording.extent(), sample, span or Span(), refused)
    recording.close()
    return whole.run_one(Side(RUNNING) if book is None else Side("book", compiled_folder(book)), lambda _: None)


def changed(engine: Engine, name: str, change: Callable[[str], str]) -> Path:
    """A folder with the newest book, changed."""
    folder = engine.folder / name
    folder.mkdir()
    (folder / "book.toml").write_text(change((engine.folder / "book" / "book.toml").read_text()))
    return folder


def test_a_rehearsed_day_equals_the_live_one_record_by_record_and_changes_no_file(day: Engine) -> None:
    before = in_data(day)
    came = check(day)

    assert {"decided", "cap", "holdout", "paused"} <= came.keys(), came
    assert in_data(day) == before


def test_the_same_holds_for_a_part_of_the_subscribers(day: Engine) -> None:
    whole, part = rehearsed(day), rehearsed(day, share=0.3)

    assert part.agreement is not None
    assert part.agreement.whole
    assert 0 < part.tally.events < whole.tally.events
    counts = np.unique(part.tally.decided["subscriber"], return_counts=True)[1]
    low, high = interval(counts, 0.3)
    assert low <= whole.tally.decided["key"].shape[0] <= high


def test_a_book_that_takes_over_where_it_did_live_does_what_it_did_live(day: Engine) -> None:
    span = Span(PART_THREE_MS)
    ran, other = (rehearsed(day, book, span=span).tally for book in (None, day.folder / "book"))

    assert ran.decided["key"].shape[0] > 0
    assert np.array_equal(np.sort(other.decided["key"]), np.sort(ran.decided["key"]))
    assert (other.stopped, other.withdrawn, other.ended) == (ran.stopped, ran.withdrawn, ran.ended)
    assert (other.refunds, other.sent, other.waiting) == (ran.refunds, ran.sent, 0)


def test_what_is_modelled_is_what_came_live_where_gateways_accept_at_once(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = steady(nursery, tmp_path / "engine", 4, 500)

    def none(ours: DecisionBatch, _: DecisionBatch | None) -> NDArray[np.bool_]:
        return np.zeros(ours.n, np.bool_)

    monkeypatch.setattr(other_lane, "shared", none)
    ran, modelled = rehearsed(engine).tally, rehearsed(engine, engine.folder / "book").tally

    assert ran.decided["key"].shape[0] > 50
    assert (modelled.stopped, modelled.ended) == (ran.stopped, ran.ended)
    assert (modelled.refunds, modelled.sent) == (ran.refunds, ran.sent)
    assert any(state == OutcomeState.REFUNDED for _, state in ran.ended)


def test_decisions_of_its_own_are_sent_and_refused_apart_from_what_is_recorded(day: Engine) -> None:
    other = changed(day, "other", lambda text: text.replace('id = "long-care"', 'id = "long-carer"'))
    tally = rehearsed(day, other, refused=1.0).tally
    own, before = stable_id("long-carer"), stable_id("long-care")

    assert np.count_nonzero(tally.decided["rule"] == own) > 0
    assert tally.ended[own, OutcomeState.COMMITTED] == 0
    assert tally.refunds[own, "REFUSED"] > 0
    assert not any(rule == before for rule, _ in tally.ended), "outcomes of decisions that it did not make"


def test_a_book_that_answers_its_own_refusals_is_told_and_ends(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = steady(nursery, tmp_path / "engine", 6, 60)
    other = changed(engine, "other", lambda text: text.replace("told == 3 and state == 1", "state == 2"))
    monkeypatch.setattr(other_lane, "CHAIN_MAX", 20)

    with pytest.raises(EndlessError, match=r"without end.*told-often"):
        rehearsed(engine, other, refused=1.0)


def judged(engine: Engine, subscriber: int, rule: str) -> list[Judged]:
    """What `why SUBSCRIBER --rule RULE` says."""
    config = load_config(engine.folder / "config.toml")
    recording = Recording(DataDir(config.data.directory))
    partition = partition_of(subscriber, recording.fixed.partitions)
    try:
        refold = Refold(recording, recording.extent(), subscriber, partition, limits_of(config))
        return list(refold.judged(stable_id(rule)))
    finally:
        recording.close()


def test_why_a_rule_did_not_fire_agrees_with_every_record_and_names_the_parts_that_failed(day: Engine) -> None:
    records = Counter(
        (one["subscriber"], one["gate"]) for one in day.records("--rule", "long-care") if "kind" not in one
    )
    failed = 0
    for subscriber in sorted({who for who, _ in records})[:3]:
        found = judged(day, subscriber, "long-care")
        here = Counter((subscriber, one.gate) for one in found if one.truth)
        assert here == Counter({key: count for key, count in records.items() if key[0] == subscriber})
        assert not any("report" in one.note for one in found)
        for one in (one for one in found if one.truth is False):
            failed += 1
            assert one.parts
            assert all(part.truth is False and part.values for part in one.parts)
    assert failed > 0


def test_every_version_is_listed_compared_and_put_back_but_never_over_what_would_be_lost(day: Engine) -> None:
    versions = [line.split()[0] for line in day.command("books", "list").out.splitlines()]
    assert len(versions) == 3
    saved = (day.folder / "book" / "book.toml").read_text()

    assert "+++ b/book.toml" in day.command("books", "diff", versions[0], versions[2]).out
    assert day.command("books", "diff", versions[2]).out == ""
    assert day.command("books", "rollback", versions[0]).exit == 0
    assert day.command("books", "diff", versions[0]).out == ""
    day.write_book(saved + "\n# edited\n")
    refused = day.command("books", "rollback", versions[2])
    assert (refused.exit, "would be lost" in refused.err) == (1, True)
    assert day.command("books", "rollback", versions[2], "--force").exit == 0
    assert (day.folder / "book" / "book.toml").read_text() == saved
