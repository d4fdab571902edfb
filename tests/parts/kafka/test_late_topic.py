"""A group whose leader could not see its topic at the start shares the partitions out as soon as it can."""

import asyncio
import time
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from connectors.kafka.client import METADATA_MS, admin, consumer
from connectors.kafka.config import KafkaConfig
from engine.book.loader import Loader
from engine.runtimes.cluster.app import make_app
from engine.settings.config import Config
from tests.parts.kafka.broker import Broker

pytestmark = [pytest.mark.parts, pytest.mark.slow]


async def test_partitions_seen_late_are_shared_out_within_seconds(tmp_path: Path) -> None:
    with Broker(tmp_path / "kafka") as broker:
        config = KafkaConfig(bootstrap=[broker.bootstrap])
        member, administrator = consumer(config, group_id="late"), admin(config)
        await asyncio.gather(member.start(), administrator.start())
        try:
            member.subscribe(["late"])
            await member.getmany(timeout_ms=100)
            assert not member.assignment()
            await administrator.create_topics([NewTopic("late", 4, 1)])

            began = time.monotonic()
            while len(member.assignment()) < 4:
                assert time.monotonic() - began < METADATA_MS / 1_000 + 10, "aiokafka's own default is five minutes"
                await member.getmany(timeout_ms=100)
        finally:
            await member.stop()
            await administrator.close()


def test_both_groups_of_a_worker_look_as_often(tmp_path: Path) -> None:
    config = Config.model_validate({
        "data": {"directory": tmp_path}, "cluster": {"bootstrap": ["127.0.0.1:9"]},
    })  # fmt: skip
    with Loader() as loader:
        app = make_app(config, loader)

        assert app.beside is not None
        assert [one.conf.consumer_metadata_max_age_ms for one in (app, app.beside)] == [METADATA_MS] * 2
