"""Topics: made with the settings they need, and held against them when they exist already.

    faults = await check(config, wanted)      one line for everything that is wrong; none: all is well
    made = await create(config, wanted)       makes those that are missing, changes nothing that exists

A topic's number of partitions cannot be changed here, because a subscriber's partition follows from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from connectors.kafka import BrokerError
from connectors.kafka.client import admin, started
from connectors.kafka.config import KafkaConfig

_UNKNOWN_TOPIC = 3
_EXISTS = 36


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must be. `partitions` 0: as many as it has. `made`: whether `create` makes it."""

    name: str
    partitions: int
    replicas: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    made: bool = True


async def create(config: KafkaConfig, wanted: Sequence[Topic]) -> list[str]:
    """Make the topics that are missing; return their names. BrokerError when a broker refuses."""
    client = await started(admin(config), config)
    try:
        there = await _partitions(client, wanted)
        missing = [topic for topic in wanted if topic.made and topic.name not in there]
        if missing:
            answer = await client.create_topics(
                [NewTopic(one.name, one.partitions, one.replicas, topic_configs=dict(one.settings)) for one in missing]
            )
            for name, code, *words in answer.topic_errors:
                if code not in (0, _EXISTS):
                    why = next((word for word in words if word), for_code(code).__name__)
                    raise BrokerError(f"topic {name} cannot be made: {why}")
        return [topic.name for topic in missing]
    finally:
        await client.close()


async def check(config: KafkaConfig, wanted: Sequence[Topic]) -> list[str]:
    """Return what is wrong with the topics, one line a fault."""
    client = await started(admin(config), config)
    try:
        there = await _partitions(client, wanted)
        settings = await _settings(client, [topic.name for topic in wanted if topic.name in there])
        return [fault for topic in wanted for fault in _faults(topic, there, settings)]
    finally:
        await client.close()


async def exists(config: KafkaConfig, name: str) -> bool:
    """Return whether there is a topic."""
    client = await started(admin(config), config)
    try:
        return name in await _partitions(client, [Topic(name, 0)])
    finally:
        await client.close()


def _faults(topic: Topic, there: Mapping[str, tuple[int, int]], settings: Mapping[str, Mapping[str, str]]) -> list[str]:
    if topic.name not in there:
        return [f"topic {topic.name} is missing" + ("; opportune topics create makes it" if topic.made else "")]
    faults = []
    partitions, replicas = there[topic.name]
    if topic.partitions and partitions != topic.partitions:
        faults.append(f"topic {topic.name}: partitions={partitions} must be {topic.partitions}")
    if topic.made and replicas < topic.replicas:
        faults.append(f"topic {topic.name}: replicas={replicas} must be >= {topic.replicas}")
    for name, value in topic.settings.items():
        have = settings.get(topic.name, {}).get(name, "")
        if have != value:
            faults.append(f"topic {topic.name}: {name}={have or 'unset'} must be {value}")
    return faults


async def _partitions(client: AIOKafkaAdminClient, wanted: Sequence[Topic]) -> dict[str, tuple[int, int]]:
    """Return partitions and replicas of the topics that exist."""
    described: list[dict[str, Any]] = await client.describe_topics([topic.name for topic in wanted])
    return {
        one["topic"]: (len(one["partitions"]), min((len(part["replicas"]) for part in one["partitions"]), default=0))
        for one in described
        if one["error_code"] == 0
    }


async def _settings(client: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the settings of topics by name."""
    if not names:
        return {}
    answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }
