"""Fetching from raw topics as bytes: one request under way to every broker that leads a partition of ours.

    fetches.want({place: offset, ...})            from where to read, and what not to read any more
    answers = await fetches.next(wait_s)          what came; `go_on` says from where to read next

aiokafka's client finds the brokers, speaks TLS and SASL and frames requests; its fetcher, which makes an object of
every record, is not used. An answer to a question that was withdrawn is dropped. What brokers answer while leaders
change is asked again after a moment.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.fetch import FetchRequest

from connectors.kafka import BrokerError
from connectors.kafka.client import FETCH_BYTES, access
from connectors.kafka.config import KafkaConfig

WAIT_MS = 100
"""How long a broker waits for a first record before it answers that there is none."""
RETRY_S = 0.1
HOLD_S = 1.0
READ_COMMITTED = 1

log = logging.getLogger("opportune.kafka.fetch")


@dataclass(frozen=True, slots=True)
class Answer:
    """Record batches of a partition, from the one on that holds `offset`; `gone`: Kafka does not have it any more.

    Transactions that are open are not in it; of those given up, `aborted` holds producer and first offset.
    """

    place: TopicPartition
    offset: int
    data: bytes
    gone: bool = False
    aborted: tuple[tuple[int, int], ...] = ()


class Fetches:
    """Reads partitions; used by one task.

    Args:
        config: where the brokers are.
        topics: what may be read.
    """

    def __init__(self, config: KafkaConfig, topics: Collection[str]) -> None:
        self._config = config
        self._topics = topics
        self._wanted: dict[TopicPartition, int] = {}
        self._under_way: dict[int, asyncio.Task[list[Answer]]] = {}
        self._held_s: dict[TopicPartition, float] = {}
        self.rest: Collection[TopicPartition] = ()
        """Partitions that are not asked for now."""

    async def start(self) -> None:
        """Connect; BrokerError when no broker answers."""
        self._client = AIOKafkaClient(**access(self._config))
        try:
            await self._client.bootstrap()
            await self._client.set_topics(self._topics)
        except KafkaError as fault:
            await self._client.close()
            raise BrokerError(
                f"Kafka at {', '.join(self._config.bootstrap)}: {fault or type(fault).__name__}"
            ) from fault

    async def stop(self) -> None:
        """Close the connections."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        self._under_way.clear()
        await self._client.close()

    def want(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from now on, from these offsets, and no others."""
        self._wanted = dict(offsets)

    def go_on(self, place: TopicPartition, offset: int) -> None:
        """Read a partition from another offset on."""
        self._wanted[place] = offset

    def position(self, place: TopicPartition) -> int:
        """Return from where a partition is read next."""
        return self._wanted.get(place, 0)

    async def next(self, wait_s: float) -> list[Answer]:
        """Return what has come, waiting a moment for the first; asks where nothing is under way."""
        self.ask()
        if not self._under_way:
            await asyncio.sleep(wait_s)
            return []
        done, _ = await asyncio.wait(self._under_way.values(), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        for node in [node for node, task in self._under_way.items() if task in done]:
            del self._under_way[node]
        answers = [answer for task in done for answer in task.result()]
        return [one for one in answers if self._wanted.get(one.place) == one.offset]

    def hold(self, place: TopicPartition) -> None:
        """Do not ask for a partition for `HOLD_S`: what stands there cannot be read now."""
        self._held_s[place] = time.monotonic() + HOLD_S

    def ask(self) -> None:
        """Send a request to every broker that has none."""
        by_node: defaultdict[int, dict[TopicPartition, int]] = defaultdict(dict)
        for place, offset in self._wanted.items():
            if place in self.rest or self._held_s.get(place, 0.0) > time.monotonic():
                continue
            node = self._client.cluster.leader_for_partition(place)
            if node is None or node == -1:
                self._client.force_metadata_update()
            else:
                by_node[node][place] = offset
        for node, offsets in by_node.items():
            if node not in self._under_way:
                self._under_way[node] = asyncio.create_task(self._fetch(node, offsets))

    async def _fetch(self, node: int, offsets: Mapping[TopicPartition, int]) -> list[Answer]:
        topics: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for place, offset in offsets.items():
            topics[place.topic].append((place.partition, offset, FETCH_BYTES))
        request = FetchRequest(WAIT_MS, 1, 4 * FETCH_BYTES, READ_COMMITTED, list(topics.items()))
        answers: list[Answer] = []
        fault = ""
        try:
            response = await self._client.send(node, request)
            for topic, partitions in response.topics:
                for partition, code, *words, data in partitions:
                    place = TopicPartition(topic, partition)
                    kind = for_code(code)
                    if kind is TopicAuthorizationFailedError:
                        raise BrokerError(f"topic {topic} may not be read: {kind.__name__}")
                    if code == 0 and data:
                        aborted = next((word for word in words if isinstance(word, list)), [])
                        answers.append(Answer(place, offsets[place], data, aborted=tuple(aborted)))
                    elif kind is OffsetOutOfRangeError:
                        answers.append(Answer(place, offsets[place], b"", gone=True))
                    elif code:
                        fault = kind.__name__
        except KafkaError as error:
            fault = str(error) or type(error).__name__
        if fault:
            log.warning("broker %d does not give records now: %s", node, fault)
            self._client.force_metadata_update()
            await asyncio.sleep(RETRY_S)
        return answers
