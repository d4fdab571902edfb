"""Dispatch: which partitions of decisions this worker sends, its gateways, and the switches that it applies.

Faust assigns the partitions of `decisions`, in a consumer group of dispatchers: one that comes or goes does not disturb
those that decide. Reading is below the agent, because a dispatcher goes on from the cursor in its outbox, holds back
when its queue is full, and acknowledges nothing until it is durable: the agent only pauses what Faust would fetch.

Gateways belong to the worker and are shared by its partitions; rates and quotas are split (`shares`). A spool has a
folder of its own in each worker, below the one that is configured and named as the worker's data directory. A switch
comes over the topic `control` (`control_topic`), holds at once for what waits, and reaches workers that start later.

A partition that another worker has fenced sends nothing more here and is dropped. Where that worker had been given the
partition, an assignment follows; where it had not, and only woke up late, nobody sends once it has died: unless an
assignment comes within `LOST_SESSIONS`, this worker ends, and the partition is given anew. Any other fault of a
partition ends the worker at once, because it is unknown whether the last transaction was committed: the next owner
reads it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from connectors.contract import Outcome
from connectors.desk.desk import BehindError, Desk, NotDurableError
from connectors.desk.queue import QueueLostError
from connectors.gateways import open_gateway
from connectors.kafka.writer import Writer
from engine.book.shelf import BookShelf
from engine.dispatch import DESK, Action, Decided, Policy, SwitchScope
from engine.dispatch.doors import DeskDoor, Door, GatewayDoor
from engine.dispatch.orphans import Orphans
from engine.dispatch.shared import Shared
from engine.flow.clock import Clock, WallClock
from engine.flow.feedback import Feedback
from engine.metrics import Metrics
from engine.runtimes.cluster.dispatch.context import DispatchContext
from engine.runtimes.cluster.dispatch.exchange import Exchange
from engine.runtimes.cluster.dispatch.outbox import LostError
from engine.runtimes.cluster.dispatch.sending_partition import SendingPartition
from engine.runtimes.cluster.dispatch.shares import partition_policy, process_rates
from engine.runtimes.cluster.dispatch.wording import Wording
from engine.runtimes.cluster.shared.control_records import Switch
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.moments import publish_rest
from engine.runtimes.cluster.shared.record_guard import RecordGuard
from engine.runtimes.cluster.shared.topics import Names
from engine.runtimes.cluster.shared.watchdog import SilentError, Watchdog
from engine.runtimes.sending import make_policy
from engine.serve.gauges import add_by_partition, add_gateways
from engine.settings.alerts import check_alerts
from engine.settings.config import Config
from rules.model import Book
from state.texts import Lookup

POLL_S = 0.1
ANSWERS_S = 5.0
"""How long answers of gateways are waited for when a partition is let go; what has none by then is UNKNOWN."""
OPENING_MAX = 8
LOST_SESSIONS = 2
"""Session timeouts in which an assignment must follow the loss of a partition."""

_GAUGES = (
    ("waiting_sends", "Decisions taken over and not handed to a gateway.", "waiting"),
    ("flying_sends", "Decisions handed to a gateway that has not answered.", "in_flight"),
    ("untold_outcomes", "Outcomes that the log does not have yet.", "untold"),
    ("awaited_receipts", "Messages whose receipts have not come.", "awaiting_receipts"),
    ("outbox_bytes", "Bytes that a new owner would read.", "outbox_bytes"),
)
"""Gauges of a partition: name, text, and the figure of its dispatcher's status."""

log = logging.getLogger("opportune.cluster")


@dataclass(frozen=True, slots=True)
class LostPartition:
    """A partition that is assigned to us and that another worker has fenced: where we stood, and since when."""

    read: int
    since_s: float


class Dispatch:
    """The sending half of a worker; everything is called on the loop.

    Args:
        config: checked settings.
        shelf: books by version.
        control_topic: what every worker knows.
        metrics: what is counted.
        writer: the worker's, started.
        feedback: the log.
        texts: those of records of format 1.
        desk: the front desk, where this worker has one.
        guard: what reads records.
        clock: the wall's; or the events', which the partitions move.
    """

    def __init__(
        self,
        config: Config,
        shelf: BookShelf,
        control_topic: ControlTopic,
        metrics: Metrics,
        writer: Writer,
        feedback: Feedback,
        texts: Lookup,
        desk: Desk | None = None,
        guard: RecordGuard | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._guard = guard or RecordGuard()
        self._config = config
        self._control_topic = control_topic
        self._metrics = metrics
        self._feedback = feedback
        self._report = partial(publish_rest, writer, Names(config.cluster.prefix).moments)
        self._desk = desk
        self._clock = clock or WallClock()
        self._orphans = Orphans()
        self._wording = Wording(shelf, control_topic, texts)
        self._exchange = Exchange(config, writer, feedback, self._orphans, guard=self._guard)
        self._gateways = {
            name: open_gateway(name, one.for_worker(config.data.directory.name), self._clock.now_ms)
            for name, one in config.gateways.items()
        }
        self._doors: dict[str, Door] = {}
        self._changing = asyncio.Lock()
        self._assignment = 0
        self._withdrawing: set[asyncio.Task[None]] = set()
        self._away_since_s: dict[int, float] = {}
        self.owned: dict[int, SendingPartition] = {}
        self.lost: dict[int, LostPartition] = {}
        self.given: set[int] = set()
        """Partitions that the group gave us last; `assigned`, which opens them, may be forgotten by Faust."""
        self._watchdog = Watchdog(config, Names(config.cluster.prefix).decisions, self.positions, self.at_rest)

    async def start(self) -> None:
        """Connect, open the gateways; GatewayError when one cannot be opened as configured."""
        check_alerts(self._config, self._active)
        policy = make_policy(self._config, self._active)
        self._exchange.words = policy.optout
        self._doors = {name: GatewayDoor(one, policy.channels) for name, one in self._gateways.items()}
        if self._desk is not None:
            self._doors[DESK] = DeskDoor(self._desk)
        await self._exchange.start()
        await self._watchdog.start()
        for gateway in self._gateways.values():
            await gateway.start(self._exchange.receipt, self._exchange.reply)
        self._control_topic.listeners.append(self._follow)
        self._control_topic.switch_listeners.append(self._apply_switch)

    async def stop(self) -> None:
        """Let every partition go, close the gateways."""
        await self.revoked()
        for gateway in self._gateways.values():
            await gateway.stop()
        await self._watchdog.stop()
        await self._exchange.stop()

    def work(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what is to run until cancelled: each follows a topic, or the partitions, and raises what ended it."""
        yield self._exchange.follow()
        yield self._watchdog.run()
        yield self._watch()

    # ---- partitions

    def positions(self) -> dict[int, int]:
        """Return the record that was read last of every partition that is ours, -1 where none was."""
        open_ones = {number: one.read - 1 for number, one in (self.owned | self.lost).items()}
        return dict.fromkeys(self.given, -1) | open_ones

    def at_rest(self) -> set[int]:
        """Return the partitions that may stand still now: they are being opened, are lost, or have no room."""
        opening = self.given - self.owned.keys() if self._changing.locked() else set()
        full = {number for number, one in self.owned.items() if one.waits or not one.dispatcher.room()}
        return opening | self.lost.keys() | full

    async def assigned(self, numbers: Collection[int]) -> None:
        """Open the partitions that are ours now; gives up where another assignment comes in between."""
        self._assignment += 1
        mine = self._assignment
        async with self._changing:
            if set(numbers) == set(self.owned):
                return
            await self._close_all()
            await self._control_topic.catch_up()
            active, policy_of = self._active, policies(self._config, len(numbers))
            rates = process_rates(make_policy(self._config, active), self._config.data.partitions, len(numbers))
            shared = Shared(self._doors, rates, self._orphans)
            measure = partial(_measure, self._metrics)
            parts = (self._config, self._clock, self._wording, self._exchange, self._feedback, measure)
            context = DispatchContext(*parts, shared, self._guard, policy_of, self._report)
            room = asyncio.Semaphore(OPENING_MAX)

            async def open_one(number: int) -> None:
                async with room:
                    if self._assignment != mine:
                        return
                    one = SendingPartition(number, policy_of(number, active), context)
                    await one.open(self._switches())
                    self.owned[number] = one
                    if self._active is not active:  # another came while the partition was opened
                        one.dispatcher.core.follow(policy_of(number, self._active))

            await asyncio.gather(*(open_one(number) for number in sorted(numbers)))

    async def revoked(self) -> None:
        """Close every partition: eager assignment takes them all before it gives any."""
        self._assignment += 1
        async with self._changing:
            await self._close_all()

    async def _close_all(self) -> None:
        closing = list(self.owned.values())
        self.owned.clear()
        self.lost.clear()
        await asyncio.gather(*(one.close(ANSWERS_S) for one in closing))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self._check_lost()
            for number, one in list(self.owned.items()):
                if self.owned.get(number) is not one:
                    continue  # an assignment came while we closed another
                fault = one.failure
                if isinstance(fault, LostError):
                    log.warning("partition %d is sent by another worker: %s", number, fault)
                    del self.owned[number]
                    self.lost[number] = LostPartition(one.read, time.monotonic())
                    await one.close(0.0)
                elif fault is not None:
                    raise fault
                else:
                    self._check_log_reachable(number, one)

    def _check_lost(self) -> None:
        """Raise SilentError when a lost partition is not assigned anew: then nobody may send it."""
        silent_s = LOST_SESSIONS * self._config.cluster.session_timeout_ms / 1000
        for number, one in self.lost.items():
            away_s = time.monotonic() - one.since_s
            if away_s > silent_s:
                raise SilentError(
                    f"partition {number} was taken by another worker {away_s:.0f} s ago and is still assigned to us; "
                    f"{LOST_SESSIONS} session timeouts are {silent_s:.0f} s"
                )

    def _check_log_reachable(self, number: int, one: SendingPartition) -> None:
        """Raise SilentError when the log has taken no outcome for too long: only another process may do better."""
        if not one.dispatcher.log_away:
            self._away_since_s.pop(number, None)
            return
        now_s, silent_s = time.monotonic(), self._config.cluster.silent_s
        away_s = now_s - self._away_since_s.setdefault(number, now_s)
        if away_s > silent_s:
            raise SilentError(
                f"partition {number} could tell the log nothing for {away_s:.0f} s; silent_s={silent_s}: "
                f"{one.dispatcher.fault}"
            )

    # ---- what it follows

    @property
    def _active(self) -> Book:
        assert self._control_topic.active is not None
        return self._control_topic.active

    def _follow(self, book: Book) -> None:
        """Send by the channels of a new book from now on."""
        policy_of = policies(self._config, len(self.owned))
        self._exchange.words = make_policy(self._config, book).optout
        for number, one in self.owned.items():
            one.dispatcher.core.follow(policy_of(number, book))

    def _switches(self) -> list[tuple[str, str, str]]:
        return [(one["kind"], one["name"], one["action"]) for one in self._control_topic.switches.values()]

    def _apply_switch(self, switch: Switch) -> None:
        scope, name, action = SwitchScope(switch["kind"]), switch["name"], Action(switch["action"])
        for one in self.owned.values():
            one.dispatcher.apply_switch(scope, name, action)
        if action is Action.KILL and self._desk is not None and scope is not SwitchScope.CHANNEL:
            task = asyncio.create_task(self._withdraw("rule" if scope is SwitchScope.RULE else "campaign", name))
            self._withdrawing.add(task)
            task.add_done_callback(self._withdrawing.discard)

    async def _withdraw(self, kind: Literal["rule", "campaign"], name: str) -> None:
        assert self._desk is not None
        try:
            await self._desk.withdraw(kind, name)
        except (QueueLostError, BehindError, NotDurableError) as fault:
            log.warning("kill %s %s: its cards stay on the screens: %s", kind, name, fault)

    async def opt_out(self, subscriber: int) -> None:
        """Opt a subscriber out who said so at the desk; returns when its partition's owner has applied it."""
        await self._exchange.opt_out(subscriber)

    # ---- what it shows

    def queued(self, scope: SwitchScope, name: str) -> int:
        """Return how many sends of a scope wait in this worker."""
        return sum(one.dispatcher.queued(scope, name) for one in self.owned.values())

    def status(self) -> dict[str, Any]:
        """Return the figures of every partition, and of what the network said."""
        partitions = {str(number): one.dispatcher.status() for number, one in self.owned.items()}
        return {"partitions": partitions, "lost": sorted(self.lost), **dict(self._exchange.counts)}

    def gateways(self) -> Mapping[str, Mapping[str, int | str]]:
        """Return the figures of every gateway, by name."""
        return {name: dict(gateway.status()) for name, gateway in self._gateways.items()}

    def add_gauges(self) -> None:
        """Show partitions and gateways."""
        gauges = self._metrics.gauges
        add_gateways(gauges, self.gateways)
        add_by_partition(
            gauges,
            "lag_decisions",
            "Records of decisions that wait to be taken over.",
            lambda: list(self._watchdog.lags.items()),
        )
        for name, text, figure in _GAUGES:

            def read(figure: str = figure) -> Iterator[tuple[int, float]]:
                return ((number, float(one.dispatcher.status()[figure])) for number, one in self.owned.items())

            add_by_partition(gauges, name, text, read)


def _measure(metrics: Metrics, what: Decided, gateway: str, outcome: Outcome, now_ms: int) -> None:
    metrics.count_send(gateway, outcome.state.value, max(now_ms - what.append_ms, 0) / 1000)


def policies(config: Config, owned: int) -> Callable[[int, Book], Policy]:
    """Return how a partition is sent by a book, in a process that owns `owned` of them."""
    return lambda number, book: partition_policy(make_policy(config, book), number, config.data.partitions, owned)
