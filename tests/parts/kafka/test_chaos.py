"""Two minutes of chaos on a real Kafka, Redis and message centre, start and end included; see `chaos`."""

import json
from pathlib import Path

import pytest

from tests.parts.kafka.chaos import chaos

pytestmark = [pytest.mark.parts, pytest.mark.slow]


def test_whatever_dies_nothing_is_lost_doubled_sent_twice_or_promised_too_often(tmp_path: Path) -> None:
    result = chaos(tmp_path, seed=20, seconds=50, rate=2_500)

    assert result["clean"], json.dumps(result, default=str)
    assert result["contacts"] > 1_000
    assert result["stopped_by_caps"] > 1_000
    assert result["refunded"] > 20
    assert len(result["faults"]) > 10
    assert result["faults"]["while another was away"] > 0
    assert result["restored"] > 20
    assert result["sent_from"] > 20
    texts, counters = result["texts"], result["counters"]
    assert texts["committed"] > 1_000
    assert texts["receipts"] > texts["committed"] / 2
    assert counters["answers"] > 10
    assert counters["cards_seen"] > 10
