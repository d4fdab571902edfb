"""Who reads raw topics where one member of the group reads them all, and the others stand by."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class AloneAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """Gives every partition to the first member by id, nothing to the others."""

    name = "alone"
    version = 0

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return what each member gets."""
        reader = min(members)
        every = {topic: sorted(cluster.partitions_for_topic(topic) or ()) for topic in members[reader].subscription}
        given = {member: list(every.items()) if member == reader else [] for member in members}
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(topics), b"")
            for member, topics in given.items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> Any:
        """Return what a member says of itself."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        """Nothing is remembered."""
