"""One worker of the simulated cluster: the real services of a worker on a simulated computer, and Faust's part in it.

The computer outlives the process. What Faust does is said again here in few lines: two members of groups, and a stream
of frames from the group's committed offsets, which may flow while an assignment is still being taken.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from connectors.contract import Message, Outcome, Receipt
from connectors.kafka import BrokerError
from engine.book.compiled import CompiledBook
from engine.runtimes.cluster.decide.missing import MissingError
from engine.runtimes.cluster.services import WorkerServices
from engine.runtimes.cluster.shared.topics import Names
from engine.runtimes.cluster.shared.watchdog import SilentError
from engine.settings.config import Config
from rules.model import Book
from state.disk import DiskError
from tests.simulation.cluster.groups import Member, Places
from tests.simulation.cluster.loop import LIFE, Life
from tests.simulation.cluster.net import Net
from tests.simulation.cluster.network import Network
from tests.simulation.machine import Machine, PowerCut

EXPECTED = (BrokerError, KafkaError, DiskError, SilentError, MissingError)
"""Faults that may end a worker; any other is a bug."""
COMMIT_S = 0.5
ROOM = 20


def current() -> "Node":
    """Return the worker whose code runs."""
    life = LIFE.get()
    assert life is not None
    assert isinstance(life.owner, Node)
    return life.owner


class Services(WorkerServices):
    """What a worker has; a fault ends its process."""

    def fail(self, fault: BaseException) -> None:
        if self.failure is None:
            self.failure = fault
            current().failed(fault)


class NodeMachine(Machine):
    """The computer of a worker: where its power is cut, the process on it ends in the middle of its step."""

    def __init__(self, cut: Callable[[], None]) -> None:
        super().__init__()
        self._cut = cut

    def step(self, operation: str, path: Path, life: int) -> None:
        process = LIFE.get()
        if process is not None and process.dead:
            raise PowerCut(f"{operation} {path}: the process is dead")
        try:
            super().step(operation, path, life)
        except PowerCut:
            self._cut()
            raise


class Books:
    """Compiles in this process."""

    def __init__(self, compile_: Callable[[Mapping[str, str], Book | None], CompiledBook]) -> None:
        self.compile = compile_


class NodeGateway:
    """A gateway as a worker has it open; the network that it leads to is everybody's."""

    def __init__(self, name: str, network: Network) -> None:
        self.name = name
        self._network = network
        self._flying = 0
        self.up = True
        self.on_receipt: Callable[[Receipt], Any] | None = None

    def room(self) -> int:
        return ROOM - self._flying

    async def start(self, on_receipt: Any, _on_mo: Any) -> None:
        self.on_receipt = on_receipt
        current().gateways[self.name] = self

    async def send(self, message: Message) -> Outcome:
        self._flying += 1
        try:
            return await self._network.send(self.name, message)
        finally:
            self._flying -= 1

    async def stop(self) -> None:
        current().gateways.pop(self.name, None)

    def status(self) -> Mapping[str, int | str]:
        return {"links": 1, "links_up": 1, "in_flight": self._flying}


class Node:
    """A worker: a computer, and the process on it while one runs."""

    def __init__(self, name: str, config: Config, net: Net, network: Network, compile_: Any) -> None:
        data = config.data.model_copy(update={"directory": config.data.directory / name})
        self.config = config.model_copy(update={"data": data})
        self.name = name
        self.machine = NodeMachine(lambda: self.kill(power=True))
        self.net = net
        self.network = network
        self.life: Life | None = None
        self.lives: list[Life] = []
        self.services: Services | None = None
        self.gateways: dict[str, NodeGateway] = {}
        self.faults: list[BaseException] = []
        self.opening = False
        self._books = Books(compile_)
        self._stream: Stream | None = None
        self._members: list[Member] = []

    @property
    def runs(self) -> bool:
        """Whether a process runs here, frozen or not."""
        return self.life is not None and not self.life.dead

    # ---- the process, from outside

    def start(self) -> None:
        """Start the process."""
        assert not self.runs
        life = self.life = Life(self)
        self.lives.append(life)
        self.gateways = {}
        self.services = None
        self._in_process(life, self._live())

    def stop(self) -> None:
        """Ask the process to end in order."""
        if self.life is not None and not self.life.dead:
            self._in_process(self.life, self._end())

    def kill(self, *, power: bool) -> None:
        """End the process at once; without power, what was not synced may be gone."""
        life = self.life
        if life is None or life.dead or self.net.over:
            return
        self._note_state()
        self.net.loop.kill(life)
        self.gateways = {}
        self.net.groups.gone(life)
        if power:
            self.machine.lose_power(self.net.chance)
        else:
            self.machine.kill(self.net.chance)

    def freeze(self, seconds: float) -> None:
        """Stop the process for a while; it does not know."""
        life = self.life
        if life is None or life.dead or life.frozen:
            return
        self.net.loop.freeze(life)
        self.net.groups.gone(life)
        self.net.later(seconds, lambda: self._thaw(life))

    def _thaw(self, life: Life) -> None:
        if not life.dead:
            self.net.loop.thaw(life)
            self.net.groups.back(life)

    def failed(self, fault: BaseException) -> None:
        """The worker cannot go on: its process ends soon."""
        self.faults.append(fault)
        life = self.life
        self.net.broker.counted["a worker ended by itself"] += 1

        def end() -> None:
            if self.life is life:
                self.kill(power=False)

        self.net.later(self.net.chance.choice((0.0, 0.01, 0.5)), end)

    def do(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have the process do something; a fault of the brokers ends only that."""

        async def guarded() -> None:
            try:
                await work()
            except EXPECTED:
                self.net.broker.counted["an order failed"] += 1

        assert self.life is not None
        self._in_process(self.life, guarded())

    def _in_process(self, life: Life, work: Any) -> None:
        context = contextvars.Context()
        context.run(LIFE.set, life)
        self.net.loop.create_task(work, context=context)

    def _note_state(self) -> None:
        """Take note of what a kill hit."""
        counted = self.net.broker.counted
        decide = self.services.decide if self.services is not None else None
        if decide is not None and self.opening:
            counted["killed while partitions were restored"] += 1
        if decide is not None and any(one.fold.flusher.queued_bytes for one in decide.owned.values()):
            counted["killed with pages not written"] += 1
        if decide is not None and any(one.sent is not None for own in decide.owned.values() for one in own._pending):
            counted["killed with decisions on their way"] += 1
        if self.network.flying_of(self):
            counted["killed with texts on their way"] += 1

    # ---- the process, from inside

    async def _live(self) -> None:
        try:
            services = Services(self.config, cast("Any", self._books))
            await services.on_start()
        except EXPECTED as fault:
            self.failed(fault)
            return
        except Exception as fault:  # noqa: BLE001 the world judges it
            self.failed(fault)
            return
        self.services = services
        names = Names(self.config.cluster.prefix)
        self._stream = Stream(self.net, names, services)
        standby = self.config.cluster.standby_copies
        self._members = [
            Member(names.decide, (names.log,), self._stream.revoked, self._assigned, standby),
            Member(names.dispatch, (names.decisions,), self._dispatch_revoked, self._dispatch_assigned),
        ]
        for member in self._members:
            self.net.groups.join(member)

    async def _end(self) -> None:
        """End as a worker does on a signal: streams first, then partitions, then the groups, then all else."""
        services, life = self.services, self.life
        if services is None or life is None:
            return
        try:
            for member in self._members:
                member.left = True
            if self._stream is not None:
                self._stream.close()
            if services.dispatch is not None:
                await services.dispatch.revoked()
            await services.finish()
            for member in self._members:
                self.net.groups.leave(member)
            await services.on_stop()
        except EXPECTED as fault:
            self.faults.append(fault)
        self.net.broker.counted["ended in order"] += 1
        self.net.later(0.0, lambda: self.kill(power=False) if self.life is life else None)

    async def _assigned(self, places: Places, standby: Places) -> None:
        assert self._stream is not None
        self.opening = True
        try:
            await self._stream.assigned(places, standby)
        except Exception as fault:  # noqa: BLE001 as the app does
            assert self.services is not None
            self.services.fail(fault)
        finally:
            self.opening = False

    async def _dispatch_assigned(self, places: Places, _standby: Places) -> None:
        services = self.services
        assert services is not None
        assert services.dispatch is not None
        try:
            await services.dispatch.assigned({place.partition for place in places})
        except Exception as fault:  # noqa: BLE001 as the app does
            services.fail(fault)

    async def _dispatch_revoked(self) -> None:
        assert self.services is not None
        assert self.services.dispatch is not None
        await self.services.dispatch.revoked()


class Stream:
    """Faust's stream of the log: frames in order from what the group has committed, whatever is being assigned."""

    def __init__(self, net: Net, names: Names, services: Services) -> None:
        self._net = net
        self._group = names.decide
        self._services = services
        self._at: dict[TopicPartition, int] = {}
        self._committed_s = 0.0
        self._closed = False
        self._generation = 0
        task = asyncio.get_running_loop().create_task(self._flow())
        self._task = task

    def close(self) -> None:
        """Let no more frames flow."""
        self._closed = True

    async def revoked(self) -> None:
        """Everything is taken back."""
        decide = self._services.decide
        assert decide is not None
        await decide.revoked()
        self._commit()
        self._at = {}

    async def assigned(self, places: Places, standby: Places) -> None:
        """Go on from what is committed; frames may flow before the partitions are open."""
        decide, broker = self._services.decide, self._net.broker
        assert decide is not None
        self._generation = broker.generations[self._group]
        at = {place: broker.committed[self._group].get(place, broker.partitions[place].first) for place in places}
        early = self._net.chance.random() < 0.7
        if early:
            self._at = at
        await decide.assigned({place.partition for place in places}, {place.partition for place in standby})
        if not early and self._generation == broker.generations[self._group]:
            self._at = at

    async def _flow(self) -> None:
        net = self._net
        while not self._closed:
            moved = False
            for place in list(self._at):
                at = self._at.get(place)
                if at is None:
                    continue
                records, _ = net.broker.partitions[place].read(at, 1, committed=False)
                if not records or self._closed:
                    continue
                moved = True
                (record,) = records
                try:
                    assert self._services.decide is not None
                    await self._services.decide.take(place.partition, record)
                except Exception as fault:  # noqa: BLE001 as the agent does
                    self._services.fail(fault)
                    await asyncio.Event().wait()
                if self._at.get(place) == at:
                    self._at[place] = record.offset + 1
            if net.loop.now_s - self._committed_s > COMMIT_S:
                self._commit()
            await asyncio.sleep(0.0 if moved and net.chance.random() < 0.5 else net.chance.choice((0.002, 0.03, 0.1)))

    def _commit(self) -> None:
        """Say how far the stream has come; what an agent let pass counts, too."""
        self._committed_s = self._net.loop.now_s
        if self._at:
            try:
                self._net.broker.commit(self._group, self._generation, dict(self._at))
            except CommitFailedError:
                self._net.broker.counted["a commit came too late"] += 1
