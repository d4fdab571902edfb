"""100,000 hostile records of a seed over every door of an engine and every topic of two workers on a real Kafka."""

from pathlib import Path

import pytest

from tests.engine.engines import Nursery
from tests.hostile.drawn import READ
from tests.hostile.flood import flood

RECORDS = 100_000

pytestmark = [pytest.mark.parts, pytest.mark.slow]


def test_an_engine_and_two_workers_under_hostile_records_live_and_count_each_once(
    nursery: Nursery, tmp_path: Path
) -> None:
    report = flood(nursery, tmp_path, RECORDS, seed=1)

    print(report)
    assert report.sent.keys() == {"lines", "requests", "raw", "redis", *READ}
    assert min(report.sent.values()) > 0
    assert report.counted == report.sent
    assert list(tmp_path.rglob("escaped*")) == []
