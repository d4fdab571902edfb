"""Consumer groups as the brokers know them: the members, what each one has, how far the group has committed.

group = await group_of(config, name)                  asks; changes nothing
notes = await notes_of(config, name)                  what is kept beside its offsets
ends = await ends_of(config, [(topic, partition)])    first and next offset of each
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from connectors.kafka.client import admin, broker_errors, consumer, started
from connectors.kafka.config import KafkaConfig

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group: the client's name, the address that the broker sees, the partitions it was given."""

    client: str
    host: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A group: its state in Kafka's words, members, and committed offsets."""

    state: str
    members: tuple[Member, ...]
    committed: Mapping[Place, int]

    def owner(self, place: Place) -> Member | None:
        """Return the member that has a partition."""
        return next((one for one in self.members if place in one.places), None)


async def group_of(config: KafkaConfig, name: str) -> Group:
    """Return a group; one that was never joined has no members. BrokerError when the brokers do not say."""
    client = await started(admin(config), config)
    try:
        with broker_errors(f"group {name}"):
            (answer,) = await client.describe_consumer_groups([name])
            (described,) = answer.groups
            committed = await client.list_consumer_group_offsets(name)
    finally:
        await client.close()
    members = tuple(Member(one[1], one[2].lstrip("/"), _places(one[4])) for one in described[5])
    return Group(described[2], members, {(place.topic, place.partition): at.offset for place, at in committed.items()})


async def notes_of(config: KafkaConfig, name: str) -> dict[Place, str]:
    """Return what a group has committed beside its offsets. BrokerError when the brokers do not say."""
    client = await started(admin(config), config)
    try:
        with broker_errors(f"group {name}"):
            committed = await client.list_consumer_group_offsets(name)
    finally:
        await client.close()
    return {(place.topic, place.partition): at.metadata for place, at in committed.items()}


async def ends_of(config: KafkaConfig, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
    """Return the oldest offset kept and the next one to be written, by partition."""
    reader = await started(consumer(config), config)
    try:
        wanted = [TopicPartition(*place) for place in places]
        with broker_errors(f"offsets of {len(places)} partitions"):
            first, last = await reader.beginning_offsets(wanted), await reader.end_offsets(wanted)
    finally:
        await reader.stop()
    return {(place.topic, place.partition): (int(first[place]), int(last[place])) for place in wanted}


async def partitions_of(config: KafkaConfig, topics: Sequence[str]) -> dict[str, int]:
    """Return how many partitions the topics have, of those that exist."""
    client = await started(admin(config), config)
    try:
        described = await client.describe_topics(list(topics))
    finally:
        await client.close()
    return {one["topic"]: len(one["partitions"]) for one in described if one["error_code"] == 0}


def _places(assignment: bytes) -> tuple[Place, ...]:
    """Return the partitions of a member; one that has just joined has none."""
    if not assignment:
        return ()
    given = ConsumerProtocolMemberAssignment.decode(assignment).partitions()
    return tuple((place.topic, place.partition) for place in given)
