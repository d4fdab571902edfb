"""The decider of one machine comes to the records of a cluster, over a log of two intakes; on the wall's clock."""

import pytest

from tests.engine.cluster.test_fold import BOOKS, KafkaLog, columns_of, decided, fold_of, two_intakes
from tests.fakes.store import MemoryStore
from tests.parts.kafka.log_fold import folded_at_once


@pytest.mark.parametrize("seed", range(6))
def test_one_machines_decider_folds_a_clusters_log_to_the_clusters_records(seed: int) -> None:
    log = two_intakes(seed)
    whole = fold_of(KafkaLog(), MemoryStore())
    expected = decided(whole, log.read(0))
    assert whole.counts.repeated
    assert whole.counts.doubled

    folded = folded_at_once({0: list(log.read(0))}, BOOKS)

    assert {batch.position: columns_of(batch) for _, batch in folded} == expected
