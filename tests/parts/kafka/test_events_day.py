"""A cluster on the events' own clock sends what one machine sends, when it does; and its log says why."""

from pathlib import Path

import pytest

from tests.parts.kafka.broker import Broker
from tests.parts.kafka.events_day import day_of, differences

pytestmark = [pytest.mark.parts, pytest.mark.slow]


def test_a_recorded_day_with_a_kill_is_sent_as_by_one_machine_and_its_log_folds_to_its_journal(tmp_path: Path) -> None:
    day = day_of(tmp_path, lines=40, seed=3, partitions=1)
    expected = day.on_one_machine()
    assert len(expected.sent) > 20

    with Broker(tmp_path / "kafka") as broker:
        found = day.in_a_cluster(broker, expected, kills=1, supervised=False)

    assert differences(expected, found) == []
