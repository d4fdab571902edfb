"""What operations may ask of a worker; `engine.serve.face` asks it over HTTP."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from connectors.desk.desk import Desk
from engine.answers.customer import described
from engine.counter.outside_reporter import OutsideReporter
from engine.dispatch import SwitchScope
from engine.flow.feedback import Feedback
from engine.runtimes.cluster.decide.owned import Owned
from engine.runtimes.cluster.decide.service import Decide
from engine.runtimes.cluster.dispatch.service import Dispatch
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.publisher import Publisher
from engine.runtimes.cluster.shared.texts import OldTexts
from engine.serve.controls import RequestError, Said
from rules.model import Book
from state.hashing import partition_of


class TopicOperations:
    """A worker, as its HTTP face sees it; what it says of partitions is about those that are its own.

    Args:
        agents: what this worker does.
        control_topic, publisher, feedback: ways into the cluster's topics.
        decide, dispatch, desk, texts: those that this worker has.
        partitions: of the cluster.
        failure: returns the fault that is ending it.
    """

    def __init__(
        self,
        agents: Sequence[str],
        control_topic: ControlTopic,
        publisher: Publisher,
        feedback: Feedback,
        decide: Decide | None,
        dispatch: Dispatch | None,
        desk: Desk | None,
        texts: OldTexts,
        partitions: int,
        failure: Callable[[], BaseException | None],
    ) -> None:
        self._agents = agents
        self._control_topic = control_topic
        self._publisher = publisher
        self._feedback = feedback
        self._outside = OutsideReporter(feedback)
        self._decide = decide
        self._dispatch = dispatch
        self._desk = desk
        self._texts = texts
        self._partitions = partitions
        self._failure = failure

    @property
    def failure(self) -> BaseException | None:
        """The fault that is ending the worker, if there is one."""
        return self._failure()

    @property
    def book(self) -> Book:
        """The active book."""
        assert self._control_topic.active is not None
        return self._control_topic.active

    async def control(self, record: Mapping[str, str]) -> int:
        """Pause, resume or kill, in every partition of the cluster; returns how many queued sends of this worker."""
        sends = self._dispatch
        touched = sends.queued(SwitchScope(record["kind"]), record["name"]) if sends is not None else 0
        await self._publisher.control(record)
        return touched

    async def members(self, subscribers: Sequence[int], name: str, *, member: bool, ends: Mapping[str, int]) -> None:
        """Put subscribers on a list or take them off; returns when their partitions of the log have it."""
        await self._feedback.members(subscribers, name, member=member, ends=ends)

    async def export(self, subscriber: int) -> Mapping[str, Any]:
        """Return all that the state keeps of a subscriber; RequestError where another worker owns its partition."""
        number = partition_of(subscriber, self._partitions)
        one = self._decide.owned.get(number) if self._decide is not None else None
        if one is None:
            raise RequestError(f"partition={number} of that number is not decided here: ask the worker that owns it")
        known = one.fold.known(subscriber, one.folded + 1)
        return described(number, subscriber, known, self.book, self._texts)

    async def erase(self, subscriber: int) -> None:
        """Have the state of a subscriber end; returns when its partition of the log has it."""
        await self._feedback.erase(subscriber)

    async def said(self, outcomes: Sequence[Said]) -> None:
        """Record what outside channels say of decisions; returns when the log has it."""
        await self._outside.said(outcomes)

    def status(self) -> Mapping[str, Any]:
        """Return the figures of now."""
        decide, sends = self._decide, self._dispatch
        active = self._control_topic.active
        return {
            "agents": list(self._agents),
            "book": active.version if active is not None else "",
            "renewed": list(self._control_topic.renewed),
            "desk": self._desk.status() if self._desk is not None else {},
            "held": {str(number): str(fault) for number, fault in decide.held.items()} if decide else {},
            "standby": {str(number): offset for number, offset in decide.standby.offsets.items()} if decide else {},
            "partitions": {str(number): _figures(one) for number, one in decide.owned.items()} if decide else {},
            **({"dispatch": sends.status(), "gateways": sends.gateways()} if sends is not None else {}),
        }


def _figures(one: Owned) -> Mapping[str, Any]:
    return {
        "position": one.folded,
        "events": one.fold.counts.events,
        "repeated": one.fold.counts.repeated,
        "subscribers": one.fold.table.count,
        "redo_from": one.fold.flusher.redo_from,
        "sweeps": one.fold.flusher.sweeps,
        "restored": asdict(one.restored),
    }
