"""From records of a raw topic to the chunks that decoders take, thousands of records at a time.

A chunk's `key` is `topic/partition`, its `end` the offset to go on from; places inside it are bytes, as everywhere, and
`Records.record_of` gives the offset of the record that a decoded row came from.

Measured on one core with records of 185 bytes: an agent costs 70 microseconds a record, aiokafka's `getmany` and
joining 1.7. So aiokafka's consumer is here the member of the group, with all its partitions paused, and no more:
records are fetched (`fetch`) and laid out (`batches`) as bytes.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError

from connectors.kafka import BrokerError
from connectors.kafka.client import broker_errors, consumer, started
from connectors.kafka.config import KafkaConfig
from connectors.kafka.groups import notes_of
from connectors.seldom import Seldom
from connectors.sources.contract import Chunk, Records
from connectors.sources.dead_letter import Code, DeadLetter
from connectors.sources.kafka.alone import AloneAssignor
from connectors.sources.kafka.batches import Laid, lay_out_batches
from connectors.sources.kafka.config import RawConfig
from connectors.sources.kafka.fetch import Answer, Fetches

MUCH_BYTES = 1 << 18
"""A poll that brought this much starts the next fetch while its records are packed. After a smaller one, a fetch at
once would be answered with the little that is there, and later records would wait for the fetch after it."""

ANSWER_BYTES = 64 << 20
"""Of the lines of one partition in one answer: what unpacks to more is read in several."""

log = logging.getLogger("opportune.kafka")
seldom = Seldom(log)


def records_of(source: RawConfig, partition: int, laid: Laid, received_ns: int, assignment: int = 0) -> Records:
    """Make one chunk of consecutive records of one partition; a record without a value (a tombstone) holds no event."""
    chunk = Chunk(
        source=source.name,
        key=f"{source.topic}/{partition}",
        data=laid.text,
        length=laid.length,
        start=0,
        end=laid.next_offset,
        dedupe=source.deduplicated,
        done=False,
        received_ns=received_ns,
    )
    return Records(chunk, laid.starts, laid.offsets, assignment, _refused(chunk, laid) if laid.refused else ())


def _refused(chunk: Chunk, laid: Laid) -> tuple[DeadLetter]:
    """Return the letter that stands for a batch which cannot be unpacked; it cannot be replayed from there."""
    raw, length, received_ms = b"", laid.next_offset - laid.base, chunk.received_ns // 1_000_000
    return (
        DeadLetter(
            chunk.source, chunk.key, laid.base, 0, Code.BATCH_UNREADABLE, "", f"{length} records", laid.refused,
            raw, length, received_ms,
        ),
    )  # fmt: skip


class RawReader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The contract's `GroupSource`: a member of the group that reads the raw topics; used by one task.

    `assignment` grows when partitions are taken back. What was read before and is not committed then is read again,
    here or elsewhere, and must not be committed any more: so every record is committed once, by one member.

    Args:
        config: where the brokers are.
        sources: the raw topics.
        group: the group's name; it holds how far each partition is packed.
        session_timeout_ms: silence after which a member counts as dead.
        records_max: records of one chunk; a batch is not cut.
        name: the client's name, as lists of the group's members show it.
        alone: one member reads all partitions, and the others stand by.
    """

    def __init__(
        self,
        config: KafkaConfig,
        sources: Sequence[RawConfig],
        group: str,
        session_timeout_ms: int,
        records_max: int,
        name: str,
        *,
        alone: bool = False,
    ) -> None:
        self._config = config
        self._group = group
        self._alone = alone
        self.notes: Mapping[str, str] = {}
        """What was committed beside the offsets, by key, as of the present assignment; of a reader that is alone."""
        self._sources = {source.topic: source for source in sources}
        self.assignment = 0
        self._assigned = False
        self._consumer = consumer(
            config,
            client_id=name,
            group_id=group,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=session_timeout_ms // 6,
            partition_assignment_strategy=(AloneAssignor if alone else RoundRobinPartitionAssignor,),
        )
        self._records_max = records_max
        self._fetches = Fetches(config, tuple(self._sources))
        self._positioned = -1

    async def start(self) -> None:
        """Join the group."""
        await self._fetches.start()
        await started(self._consumer, self._config)
        self._consumer.subscribe(list(self._sources), listener=self)

    def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        """Mark the assignment as over: all partitions are revoked before any is assigned."""
        self.assignment += 1
        self._assigned = False

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Mark that reading may begin again, from the committed offsets."""
        self._consumer.pause(*assigned)
        self._assigned = True

    async def stop(self) -> None:
        """Leave the group."""
        await self._consumer.stop()
        await self._fetches.stop()

    async def poll(self, wait_ms: int, received_ns: Callable[[], int]) -> list[Records]:
        """Return what came, in the order of the records of each raw partition."""
        await self._consumer.getmany(timeout_ms=0)  # keeps us a member, and raises what the group refuses
        if not self._assigned:
            await asyncio.sleep(wait_ms / 1000)
            return []
        assignment = self.assignment
        if self._positioned != assignment and not await self._find_positions(assignment):
            return []
        answers = await self._fetches.next(wait_ms / 1000)
        found = [records for answer in answers for records in await self._read(answer, received_ns(), assignment)]
        if self.assignment != assignment:
            return []
        if sum(records.chunk.length for records in found) >= MUCH_BYTES:
            self._fetches.ask()
        return found

    async def _find_positions(self, assignment: int) -> bool:
        """Go to what is committed, or to the beginning; False where partitions were taken back meanwhile."""
        self._fetches.want({})
        try:
            offsets = {place: await self._consumer.position(place) for place in self._consumer.assignment()}
            notes = await notes_of(self._config, self._group) if self._alone else {}
        except IllegalStateError:
            return False
        except BrokerError as fault:
            seldom.error("nothing is read of raw topics until a broker answers: %s", fault)
            return False
        if self.assignment != assignment:
            return False
        self.notes = {_key(TopicPartition(*place)): note for place, note in notes.items()}
        self._fetches.want(offsets)
        self._positioned = assignment
        return True

    async def _read(self, answer: Answer, received_ns: int, assignment: int) -> list[Records]:
        place, source = answer.place, self._sources[answer.place.topic]
        if answer.gone:
            first = (await self._consumer.beginning_offsets([place]))[place]
            log.error("%s: Kafka has deleted the records from %d on; going on at %d", _key(place), answer.offset, first)
            self._fetches.go_on(place, first)
            return []
        found = []
        single = not source.blocks
        pieces = lay_out_batches(
            _key(place), answer.data, answer.offset, self._records_max, single=single, aborted=answer.aborted
        )
        try:
            for laid in pieces:
                self._fetches.go_on(place, laid.next_offset)
                if laid.offsets.shape[0] or laid.refused:
                    found.append(records_of(source, place.partition, laid, received_ns, assignment))
                if sum(records.chunk.length for records in found) >= ANSWER_BYTES:
                    break  # what follows is fetched again
        except BrokerError as fault:
            self._fetches.hold(place)
            seldom.error("nothing more is read of %s until it can be read: %s", _key(place), fault)
        return found

    async def stay(self) -> None:
        """Stay a member while nothing is read."""
        await self._consumer.getmany(timeout_ms=0)

    @property
    def keys(self) -> set[str]:
        """The keys of the partitions that this member reads now."""
        if self._positioned != self.assignment:
            return set()
        return {_key(place) for place in self._consumer.assignment()}

    async def unread(self) -> set[str]:
        """Return the keys of the partitions that were not read to their ends."""
        places = [place for place in self._consumer.assignment() if self._positioned == self.assignment]
        with broker_errors("ends of raw topics"):
            ends = await self._consumer.end_offsets(places)
        return {_key(place) for place in places if self._fetches.position(place) < ends[place]}

    def rest(self, keys: Collection[str]) -> None:
        """Do not read these partitions until told otherwise."""
        self._fetches.rest = {place for place in self._consumer.assignment() if _key(place) in keys}

    async def commit(self, ends: Mapping[str, int], notes: Mapping[str, str] | None = None) -> bool:
        """Say how far raw partitions of this assignment are packed, by key; whether the group took it.

        `notes` are kept beside them, of at most 4 kilobytes.

        A commit that comes too late is no fault: the new owner packs again what we packed, and readers leave it out.
        """
        notes = notes or {}
        mine = [place for place in self._consumer.assignment() if _key(place) in ends]
        places = {place: (ends[_key(place)], notes.get(_key(place), "")) for place in mine}
        if len(places) < len(ends):
            return False
        try:
            await self._consumer.commit(places)
        except (CommitFailedError, IllegalStateError):
            return False
        return True


def _key(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"
