"""A recorded day gives one set of sends with one set of times, whatever its runs went through."""

from pathlib import Path

import pytest

from tests.engine.engines import Engine, Nursery
from tests.faults.recorded_day import BOOK, Day, against_the_rules, config_of, is_sms

RUNS = 4


@pytest.mark.slow
def test_kills_partitions_frames_and_chunks_change_neither_what_is_sent_nor_when(
    nursery: Nursery, tmp_path: Path, seed: int
) -> None:
    def make(name: str, partitions: int, rows: int) -> Engine:
        return Engine(nursery, tmp_path / name, BOOK, config_of(partitions, rows))

    day = Day(make, seed)
    first = day.undisturbed()

    assert len([one for one in first.sent if is_sms(one)]) > 200
    assert len([one for one in first.sent if not is_sms(one)]) > 15
    assert against_the_rules(first.sent) == []
    for number in range(1, RUNS):
        assert first.difference(day.disturbed(number)) == ""
