"""The sending half of a runtime: gateways, dispatch and the feeder between journal and dispatch, as one thing.

It exists so that the runtime has one thing to start and to close. What is sent when is decided in `engine.dispatch`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.contract import Gateway, Outcome
from connectors.desk.desk import Desk
from connectors.gateways import open_gateway
from engine.counter.arrivals import LocalArrivals
from engine.dispatch import Action, Decided, Dispatcher, LocalOutbox, Policy, SwitchScope, policy_of
from engine.dispatch.events_feeder import EventsFeeder
from engine.dispatch.feeder import Feeder
from engine.dispatch.wording import reworded
from engine.flow.clock import Clock, EventsClock
from engine.flow.core import Core
from engine.flow.event_time import EventTime
from engine.flow.feedback import Feedback
from engine.flow.fold import Appended
from engine.flow.partition import Partition
from engine.settings.alerts import check_alerts
from engine.settings.config import Config
from rules.model import Book
from state.disk import DiskFullError

OWED_POLL_S = 0.02


class Sending:
    """Everything between the journals and the gateways; see the module.

    `events`: how far the fold has come on the events' own clock, else None.
    Raises GatewayError when a gateway would not know whom to send alerts to.
    """

    def __init__(
        self,
        config: Config,
        book: Book,
        core: Core,
        desk: Desk | None,
        feedback: Feedback,
        clock: Clock,
        events: EventTime | None = None,
    ) -> None:
        check_alerts(config, book)
        self._config = config
        self._core = core
        self._clock = clock
        self._gateways = {name: open_gateway(name, one, clock.now_ms) for name, one in config.gateways.items()}
        outbox = LocalOutbox(core.datadir.outbox, core.disk)
        if isinstance(clock, EventsClock):
            clock.reach(outbox.flushed_ms)  # what was due by then is done first
        self._dispatcher = Dispatcher(
            make_policy(config, book),
            self._gateways,
            desk,
            feedback,
            clock.now_ms,
            outbox,
            self._measure,
            stands=events is not None,
        )
        self._events = events
        if desk is not None:
            desk.on_opt_out = self._dispatcher.replies.opt_out
        self.arrivals = LocalArrivals(desk, core.strings)
        self._feeder: Feeder | EventsFeeder | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._owed: set[tuple[str, int]] = set()

    async def start(self) -> None:
        """Read the outbox back and what was taken back since, open the gateways, begin to feed."""
        self._dispatcher.recover()
        self._owed = set(self._dispatcher.core.unreported)
        core = self._core
        for partition in core.partitions:
            await self.arrivals.resume(partition, self._dispatcher.cursors.get(str(partition.number), 0))
        self._feeder = self._make_feeder()
        # Before the first send: what waits in the outbox may have been taken back when the run before ended.
        await self._feeder.look_to_the_end()
        await self._dispatcher.start()
        self._task = asyncio.create_task(self._feeder.run(lambda: self._stopping), name="feeder")

    async def report_owed(self, stopped: Callable[[], bool], check: Callable[[], None]) -> None:
        """Return when the log has heard what became of texts of the run before; `check` raises where it never will.

        Before new events are judged: a reservation ends at its expiry, so after a long stop caps would not count one
        whose outcome comes later.
        """
        while self._owed and not stopped():
            check()
            await asyncio.sleep(OWED_POLL_S)
            self._owed &= self._dispatcher.core.unreported.keys()

    def _make_feeder(self) -> Feeder | EventsFeeder:
        core, dispatcher, before = self._core, self._dispatcher, self.arrivals.before
        read = (core.partitions, core.shelf, core.strings, dispatcher, self.follow, dispatcher.cursors)
        if isinstance(self._clock, EventsClock) and self._events is not None:
            return EventsFeeder(*read, self._clock, self._events, before)
        return Feeder(*read, before)

    async def stop(self) -> None:
        """Stop feeding, wait for answers, close the gateways."""
        self._stopping = True
        if self._task is not None and self._feeder is not None:
            self._feeder.wake()
            await asyncio.wait([self._task])
        await self._dispatcher.stop()

    def follow(self, book: Book) -> None:
        """Send by a book that became active, and judge by it what waits; from the loop's thread."""
        self._dispatcher.core.follow(make_policy(self._config, book))

    async def abandon(self) -> None:
        """Feed and send no more; after a fault, when nothing can be waited for."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._dispatcher.abandon()

    async def control(self, action: str, kind: str, name: str) -> int:
        """Pause, resume or kill; returns how many queued sends it touches."""
        touched = self._dispatcher.queued(SwitchScope(kind), name)
        await self._dispatcher.switch(SwitchScope(kind), name, Action(action))
        return touched

    async def heard(self) -> None:
        """Return when nothing goes any more that rows in the log took back; at once on the events' own clock."""
        if isinstance(self._feeder, Feeder):
            await self._feeder.passed(lambda: self._stopping or self.failure is not None)

    @property
    def idle(self) -> bool:
        """Whether all that can be sent now has been sent and reported."""
        return self._feeder is not None and self._feeder.idle and self._dispatcher.idle

    @property
    def failure(self) -> BaseException | None:
        """The fault that ended dispatch or its feeder, if one did."""
        fed = self._task
        ended = fed is not None and fed.done() and not fed.cancelled()
        return self._dispatcher.failure or (fed.exception() if fed is not None and ended else None)

    @property
    def disk_full(self) -> DiskFullError | None:
        """What the disk said, while it has no room for dispatch."""
        return self._dispatcher.disk_full

    @property
    def moves(self) -> int:
        """A number that grows while decisions are read and sent."""
        return self._dispatcher.moves

    def committed(self, partition: Partition, appended: Sequence[Appended]) -> None:
        """Look at durable frames for visits and decisions; called from the commit thread."""
        self.arrivals.note(partition, appended)
        if self._events is not None:
            self._events.committed(partition.number, appended[-1])
        if self._feeder is not None:
            self._feeder.wake()

    def entry(self, partition: Partition) -> int:
        """Return the journal entry that dispatch still needs; what lies before it may be removed.

        It is the durable cursor, which lags the one that is fed from: until the outbox has a decision, only the
        journal does.
        """
        return self._dispatcher.durable_cursors.get(str(partition.number), 0)

    def status(self) -> dict[str, Any]:
        """Return the figures of dispatch."""
        return self._dispatcher.status()

    def now_ms(self) -> int:
        """Return the time by which texts are sent."""
        return self._clock.now_ms()

    @property
    def opened(self) -> Mapping[str, Gateway]:
        """The gateways by name."""
        return self._gateways

    def gateways(self) -> dict[str, dict[str, int | str]]:
        """Return the figures of every gateway, by name."""
        return {name: dict(gateway.status()) for name, gateway in self._gateways.items()}

    def _measure(self, what: Decided, gateway: str, outcome: Outcome, now_ms: int) -> None:
        seconds = max(now_ms - what.append_ms, 0) / 1000
        self._core.metrics.count_send(gateway, outcome.state.value, seconds)


def make_policy(config: Config, book: Book) -> Policy:
    """Return how the channels of a book are sent."""
    kinds = {one.name: one.kind for one in book.channels.values()}
    desk, alert = ([name for name, kind in kinds.items() if kind == wanted] for wanted in ("desk", "alert"))
    return replace(
        policy_of(config, book.zone, desk, book.lists, alert),
        book=book.version,
        quiet=book.quiet,
        rules={rule.id: rule.sends for rule in book.rules},
        words=lambda what: reworded(what, book),
    )
