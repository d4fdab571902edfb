"""TLS and log-in reach the brokers from the configuration, from every client: topics, a worker's own and Faust's."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from connectors.kafka import BrokerError
from connectors.kafka.client import producer, started
from engine.settings.reading import load_config
from tests.parts.kafka.broker import Broker
from tests.parts.kafka.workers import START, wait_for_text

ROOT = Path(__file__).parents[3]
CONFIG = """
[data]
partitions = 2
clock = "wall"
[cluster]
bootstrap = ["{bootstrap}"]
replicas = 1
tls = true
ca_file = "{certificate}"
sasl = "PLAIN"
user = "opportune"
password = {{ env = "KAFKA_PASSWORD" }}
[[sources.kafka]]
name = "feed"
topic = "raw"
"""

pytestmark = [pytest.mark.parts, pytest.mark.slow]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "kafka", password="a secret") as made:
        yield made


def opportune(folder: Path, password: str, *words: str) -> dict[str, Any]:
    return {
        "args": [sys.executable, "-P", "-c", START, *words],
        "cwd": folder,
        "env": os.environ | {"PYTHONPATH": str(ROOT), "KAFKA_PASSWORD": password},
    }


def test_a_worker_logs_in_over_tls(tmp_path: Path, broker: Broker) -> None:
    (tmp_path / "rules").symlink_to(ROOT / "rules")
    text = CONFIG.format(bootstrap=broker.bootstrap, certificate=broker.certificate)
    (tmp_path / "config.toml").write_text(text)

    refused = subprocess.run(
        **opportune(tmp_path, "a guess", "topics", "create"), check=False, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "uthentication" in refused.stderr
    assert "a guess" not in refused.stderr
    assert (
        subprocess.run(**opportune(tmp_path, "a secret", "topics", "create", "--raw", "2"), check=False).returncode == 0
    )

    log = tmp_path / "worker.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            **opportune(tmp_path, "a secret", "worker", "--data", "one", "--port", "0"), stdout=out, stderr=out
        )
    try:
        wait_for_text(log, "partition 0: Restored", "partition 1: Restored")
    finally:
        worker.kill()
        worker.wait(20)
    assert "a secret" not in log.read_text()


def test_a_user_that_was_granted_nothing_writes_to_no_topic_of_ours(tmp_path: Path, broker: Broker) -> None:
    text = CONFIG.format(bootstrap=broker.bootstrap, certificate=broker.certificate)
    (tmp_path / "config.toml").write_text(text)
    assert (
        subprocess.run(**opportune(tmp_path, "a secret", "topics", "create", "--raw", "2"), check=False).returncode == 0
    )
    config = load_config(tmp_path / "config.toml").cluster.model_copy(update={"user": broker.other})
    os.environ["KAFKA_PASSWORD"] = "a secret"

    async def write() -> None:
        client = await started(producer(config), config)
        try:
            await client.send_and_wait("opportune.control", b"x", key=b"active", partition=0)
        finally:
            await client.stop()

    try:
        with pytest.raises((BrokerError, KafkaError), match=r"(?i)authoriz"):
            asyncio.run(write())
    finally:
        del os.environ["KAFKA_PASSWORD"]
