"""What the product writes into the log of a cluster: each row to its subscriber's partition, each text once."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.writer import Written
from engine.flow.feedback import Feedback
from engine.runtimes.cluster.shared.appender import TopicAppender
from state.decisions import OutcomeState, parse_decision_id
from state.frame import decode
from state.hashing import hash_text, partition_of
from state.schema import OUTCOME, make_schema
from tests.engine.cluster.test_settings import cluster

SCHEMA = make_schema((), ())
NOW_MS = 1_225_760_400_000


class Topics:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.records: list[Written] = []

    async def write(self, records: list[Written]) -> list[int]:
        self.records.extend(records)
        return list(range(len(self.records) - len(records), len(self.records)))

    def of(self, topic: str) -> list[Written]:
        return [one for one in self.records if one.topic == f"opportune.{topic}"]


def feedback() -> tuple[Topics, Feedback]:
    topics: Any = Topics()
    appender = TopicAppender(cluster(), topics, lambda: SCHEMA, lambda: NOW_MS)
    return topics, Feedback(appender, lambda: NOW_MS - 5)


@given(st.lists(st.integers(8613000000000, 8613999999999), min_size=1, max_size=40))
def test_outcomes_go_to_the_partitions_of_their_subscribers(subscribers: list[int]) -> None:
    topics, log = feedback()
    said = [
        (f"{partition_of(who, 8)}-{number}-0-7", who, OutcomeState.DELIVERED, "smsc", "0x0b")
        for number, who in enumerate(subscribers)
    ]
    asyncio.run(log.outcomes(said))

    found: list[tuple[int, ...]] = []
    for record in topics.of("log"):
        assert record.value is not None
        frame = decode(record.value, lambda _: SCHEMA)
        assert (frame.append_ms, record.at_ms, frame.sources, frame.payload) == (NOW_MS, NOW_MS, {}, b"")
        batch = frame.batch
        assert batch is not None
        assert set(batch.type.tolist()) == {OUTCOME}
        assert set(batch.at_ms.tolist()) == {NOW_MS - 5}
        partition, position, row, rule, state, gateway, error = batch.cells.tolist()[:7]
        assert set(partition) == {record.partition}
        assert (set(gateway), set(error)) == ({hash_text(b"smsc")}, {hash_text(b"0x0b")})
        found += zip(partition, position, row, rule, batch.subscriber.tolist(), state, strict=True)
    wanted = [(*parse_decision_id(name), who, int(state)) for name, who, state, *_ in said]
    assert sorted(found) == sorted(wanted)


def test_a_frame_brings_the_texts_of_its_rows() -> None:
    topics, log = feedback()
    for number in range(3):
        asyncio.run(log.outcomes([(f"0-{number}-0-7", 8613800000001, OutcomeState.REFUNDED, "smsc", "0x0b")]))
    for record in topics.of("log"):
        assert record.value is not None
        batch = decode(record.value, lambda _: SCHEMA).batch
        assert batch is not None
        assert sorted(text for _, text in batch.texts.pairs()) == [b"0x0b", b"smsc"]
    assert not topics.of("texts")
