"""Two minutes of chaos on a real Kafka and a real Redis, start and end included; see `tests.parts.kafka.chaos`."""

import pytest

from tests.parts.kafka.chaos import chaos

pytestmark = [pytest.mark.parts, pytest.mark.slow]


def test_whatever_dies_nothing_is_lost_doubled_or_promised_too_often(tmp_path):
    result = chaos(tmp_path, seed=20, seconds=75, rate=2_500)

    assert result["clean"], result
    assert result["contacts"] > 1_000
    assert result["stopped_by_caps"] > 1_000
    assert len(result["faults"]) > 8
    assert result["restored"] > 20
