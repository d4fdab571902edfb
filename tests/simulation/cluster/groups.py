"""Consumer groups with eager assignment: everybody gives everything back before anybody is given anything.

A member that is killed or frozen is missed after a session timeout. One that was frozen for longer learns that it is
out of the group only after it goes on: until then it believes in what it was given. An assignment may still be on its
way to a member, or be taken, when the next one begins.
"""

import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiokafka import TopicPartition

from tests.simulation.cluster.broker import Broker
from tests.simulation.cluster.loop import LIFE, Life, VirtualLoop

SESSION_S = 1.0
REJOIN_S = 2.0
HEARTBEAT_S = 0.06
SOON_S = 1.0

Places = set[TopicPartition]


@dataclass(eq=False)
class Member:
    """A member: what it is told, in its process."""

    group: str
    topics: tuple[str, ...]
    revoked: Callable[[], Awaitable[None]]
    assigned: Callable[[Places, Places], Awaitable[None]]
    standby_copies: int = 0
    generation: int = -1
    life: Life | None = field(default_factory=LIFE.get)
    left: bool = False
    coming: bool = False


@dataclass(eq=False)
class _Group:
    name: str
    members: list[Member] = field(default_factory=list)
    joined: list[Member] = field(default_factory=list)
    gathering: bool = False
    generation: int = 0
    owners: dict[TopicPartition, Member] = field(default_factory=dict)
    moved_s: dict[TopicPartition, float] = field(default_factory=dict)


class Groups:
    """The coordinator of all groups."""

    def __init__(self, loop: VirtualLoop, broker: Broker) -> None:
        self._loop = loop
        self._chance = loop.chance
        self._broker = broker
        self._groups: dict[str, _Group] = {}
        self._known: list[Member] = []
        self.over = False

    def join(self, member: Member) -> None:
        """Become a member; called in the process of the member."""
        self._known.append(member)
        self._admit(member)

    def leave(self, member: Member) -> None:
        """Leave in order."""
        member.left = True
        if not self.over and not (member.life is not None and member.life.dead):
            self._remove(member)

    def flap(self, member: Member) -> None:
        """A member leaves and joins again at once, as one does that missed a heartbeat."""
        group = self._group(member)
        if member in group.members and not group.gathering:
            group.members.remove(member)
            self._gather(group)
            self._later(self._chance.uniform(0, 0.2), self._start, member, partial(self._come_back, member))

    def gone(self, life: Life) -> None:
        """A process was killed or frozen: its members are missed after a while."""
        for member in self._known:
            if member.life is life:
                self._later(SESSION_S, self._miss, member)

    def back(self, life: Life) -> None:
        """A frozen process goes on: a member that is out of its group learns that with its next heartbeat."""
        for member in self._known:
            if member.life is life and not member.left and member not in self._group(member).members:
                self._broker.counted["a frozen worker went on after its partitions were given to others"] += 1
                self._later(self._chance.uniform(0, HEARTBEAT_S), self._start, member, partial(self._come_back, member))

    async def _come_back(self, member: Member) -> None:
        if member.coming or member in self._group(member).members:
            return
        member.coming = True
        await member.revoked()
        member.coming = False
        self._admit(member)

    def _group(self, member: Member) -> _Group:
        return self._groups.setdefault(member.group, _Group(member.group))

    def _admit(self, member: Member) -> None:
        if self.over or (member.life is not None and member.life.dead):
            return
        group = self._group(member)
        group.members.append(member)
        group.joined.append(member)
        self._gather(group)

    def _miss(self, member: Member) -> None:
        if member.life is not None and (member.life.dead or member.life.frozen):
            self._remove(member)

    def _remove(self, member: Member) -> None:
        group = self._group(member)
        if member in group.members:
            group.members.remove(member)
            if member in group.joined:
                group.joined.remove(member)
            self._gather(group)

    def _gather(self, group: _Group) -> None:
        """Take everything back from everybody, or go on with that."""
        if not group.gathering:
            group.gathering = True
            if any(self._broker.owners[name].touched for name in self._broker.owners):
                self._broker.counted["partitions were given anew while a transaction was open"] += 1
            for member in group.members:
                if member not in group.joined:
                    self._later(
                        self._chance.uniform(0, HEARTBEAT_S), self._start, member, partial(self._rejoin, member)
                    )
            self._later(REJOIN_S, self._wait_no_more, group, group.generation)
        self._later(self._chance.uniform(0.001, 0.03), self._assign, group)

    async def _rejoin(self, member: Member) -> None:
        await member.revoked()
        group = self._group(member)
        if group.gathering and member in group.members and member not in group.joined:
            group.joined.append(member)
            self._assign(group)

    def _wait_no_more(self, group: _Group, generation: int) -> None:
        if group.gathering and group.generation == generation:
            for member in [one for one in group.members if one not in group.joined]:
                group.members.remove(member)
                self._broker.counted["a member gave back too late"] += 1
                if member.life is not None and not member.life.dead and not member.life.frozen:
                    self._start(member, partial(self._come_back, member))
            self._assign(group)

    def _assign(self, group: _Group) -> None:
        """Give all partitions to those who are there, once all have given theirs back."""
        if not group.gathering or len(group.joined) < len(group.members):
            return
        group.gathering = False
        group.joined = []
        group.generation += 1
        self._broker.generations[group.name] = group.generation
        if not group.members:
            return
        given = self._share_out(group)
        for member in group.members:
            others = sorted(set(group.owners) - given[member])
            standby = set(others) if member.standby_copies else set()
            member.generation = group.generation
            delay_s = self._chance.choice((0.0, 0.001, 0.02))
            give = partial(self._give, group, member, given[member], standby)
            self._later(delay_s, self._start, member, give)

    async def _give(self, group: _Group, member: Member, places: Places, standby: Places) -> None:
        if member in group.members and member.generation == group.generation and not group.gathering:
            await member.assigned(places, standby)

    def _share_out(self, group: _Group) -> dict[Member, Places]:
        topics = {topic for member in group.members for topic in member.topics}
        places = sorted(place for topic in topics for place in self._broker.places(topic))
        given: dict[Member, Places] = {member: set() for member in group.members}
        most = -(-len(places) // len(group.members))
        stay = self._chance.random() < 0.6
        for place in places:
            owner = group.owners.get(place)
            free = [one for one in group.members if len(given[one]) < most]
            chosen = owner if stay and owner in free else self._chance.choice(free)
            assert chosen is not None
            given[chosen].add(place)
            if owner is not None and owner is not chosen:
                last_s, group.moved_s[place] = group.moved_s.get(place, -9.0), self._loop.now_s
                if self._loop.now_s - last_s < SOON_S:
                    self._broker.counted["a partition changed hands twice within a second"] += 1
            group.owners[place] = chosen
        return given

    def _later(self, delay_s: float, action: Callable[..., None], *args: Any) -> None:
        self._loop.call_at(self._loop.now_s + delay_s, action, *args, context=contextvars.Context())

    def _start(self, member: Member, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have a process do something."""
        if self.over or (member.life is not None and member.life.dead):
            return
        context = contextvars.Context()
        context.run(LIFE.set, member.life)
        self._loop.create_task(work(), context=context)
