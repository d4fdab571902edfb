"""100,000 hostile records of a seed over every door and topic; `make hostile` sends 10,000,000."""

from pathlib import Path

import pytest

from tests.engine.engines import Nursery
from tests.hostile.drawn import READ
from tests.hostile.flood import flood

RECORDS = 100_000


@pytest.mark.slow
def test_an_engine_under_a_hundred_thousand_hostile_records_lives_and_counts_each_once(
    nursery: Nursery, tmp_path: Path
) -> None:
    report = flood(nursery, tmp_path / "engine", RECORDS, seed=1)

    print(report)
    assert report.sent.keys() == {"lines", "requests", "raw", *READ}
    assert report.counted == report.sent
