"""Dispatch at work: the loop between the journal's decisions and the doors.

One turn of the loop:

    1. take      the core says what goes now, and writes an attempt record for each
    2. commit    everything recorded so far is made durable, in one disk write for all of it
    3. launch    a task for each attempt hands it to its door and settles the outcome
    4. tell      outcomes go into the log, many at a time; the core remembers those that the log has
    5. compact   the outbox forgets a little

While the disk writes, answers and receipts come in; they are in the next commit. A receipt, a switch or an opt-out is
acknowledged when its commit is done. A full disk stops attempts, not the process (`disk_full` says that it does); any
other fault ends dispatch (`failure`). What goes and what follows is decided in `core`; nothing here knows a rule, a
window or a quota. Several dispatchers of a process may share their doors: see `shared`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from connectors.contract import Gateway, MobileOriginated, NowMs, Outcome, Receipt, State
from connectors.desk.desk import BehindError, Desk, NotDurableError
from connectors.desk.queue import QueueLostError
from engine.dispatch.core import Core
from engine.dispatch.doors import DeskDoor, Door, GatewayDoor
from engine.dispatch.model import Action, Decided, Report, Scope, Send
from engine.dispatch.optout import OPT_OUT_LIST, is_opt_out
from engine.dispatch.outbox import Outbox
from engine.dispatch.policy import DESK, Policy
from engine.dispatch.recovery import Compaction, recover
from engine.dispatch.shared import Shared
from state.disk import DiskError, DiskFullError

_SOON_S = 0.005
_IDLE_S = 0.05
_EMPTY_S = 0.5
_DISK_FULL_S = 1.0
_LOG_AWAY_S = 0.5
_REPORTS_MAX = 2_000

log = logging.getLogger(__name__)

OnOutcome = Callable[[Decided, str, Outcome, int], None]
"""Told of every attempt's outcome: the decision, the gateway, the outcome, the time; for metrics."""


class Feedback(Protocol):
    """The way back into the log; both return when it is durable."""

    async def outcomes(self, said: Sequence[Report]) -> None:
        """Say what became of several decisions."""

    async def member(self, subscriber: int, name: str, *, member: bool) -> None:
        """Put a subscriber on a list, or take one off it."""


class Dispatcher:
    """Sends what was decided, and says what became of it.

    Args:
        policy: how everything is sent.
        gateways: by the names that the policy's routes use; started and stopped here.
        desk: the front desk, None when there is none.
        feedback: the log.
        now_ms: the clock of windows, quotas and shelf lives.
        outbox: open; closed by `stop`.
        on_outcome: told of every outcome.
        shared: doors and rates of several dispatchers, in place of `gateways` and `desk`.
    """

    def __init__(
        self,
        policy: Policy,
        gateways: Mapping[str, Gateway],
        desk: Desk | None,
        feedback: Feedback,
        now_ms: NowMs,
        outbox: Outbox,
        on_outcome: OnOutcome | None = None,
        shared: Shared | None = None,
    ) -> None:
        doors: dict[str, Door] = {name: GatewayDoor(one, policy.channels) for name, one in gateways.items()}
        if desk is not None:
            doors[DESK] = DeskDoor(desk)
        if shared is not None:
            self.core = Core(policy, outbox, shared.doors, shared.rates, shared.orphans)
        else:
            self.core = Core(policy, outbox, doors)
        self.failure: Exception | None = None
        self.disk_full: DiskFullError | None = None
        self.fault = ""
        self._gateways = gateways
        self._desk = desk
        self._feedback = feedback
        self._now_ms = now_ms
        self._outbox = outbox
        self._on_outcome = on_outcome
        self._compaction = Compaction(self.core)
        self._wake = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._flights: set[asyncio.Task[None]] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self.log_away = False
        """Whether the log did not take what it was told last."""
        self._stopping = False
        self._taken_up = False

    # From start to stop.

    def take_up(self, thrown: Iterable[tuple[str, str, str]] | None = None) -> None:
        """Read the outbox back; DiskError when it cannot be read.

        `thrown` are the switches as they stand now, where somebody else remembers them too.
        """
        recover(self.core, self.core.at(self._now_ms()))
        if thrown is not None:
            self.core.switches.restore(thrown)
            self.core.find_killed()
        self._taken_up = True

    async def start(self) -> None:
        """Read the outbox back if that was not done, open the gateways, begin to send.

        Raises GatewayError when a gateway cannot be opened as configured, DiskError when the outbox cannot be read.
        """
        if not self._taken_up:
            self.take_up()
        for gateway in self._gateways.values():
            await gateway.start(self.receipt, self._reply)
        self._loop_task = asyncio.create_task(self._loop(), name="dispatch")

    async def stop(self, wait_s: float = 5.0) -> None:
        """Send nothing more, wait for answers, tell the log, close gateways and outbox."""
        self._stopping = True
        self._wake.set()
        if self._flights:
            await asyncio.wait(set(self._flights), timeout=wait_s)
        for gateway in self._gateways.values():
            await gateway.stop()
        await self._end_flights()
        if self._loop_task is not None:
            self._wake.set()
            await asyncio.wait([self._loop_task])
        await self._outbox.close()

    async def abandon(self) -> None:
        """Send nothing more and wait for no answer, after a fault elsewhere: what is on its way is UNKNOWN later."""
        self._stopping = True
        for task in (self._loop_task, self._telling):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._end_flights()

    async def _end_flights(self) -> None:
        for task in self._flights:
            task.cancel()
        if self._flights:
            await asyncio.wait(set(self._flights))

    # What the engine asks.

    @property
    def cursors(self) -> Mapping[str, int]:
        """How far the caller had read, as of what was taken over."""
        return self.core.cursors

    @property
    def durable_cursors(self) -> Mapping[str, int]:
        """How far the caller would have to read again after a crash now; what lies before may go."""
        return self.core.durable_cursors

    def queued(self, scope: Scope, name: str) -> int:
        """Return how many sends of a scope have not gone yet."""
        return self.core.queued(scope, name)

    def room(self) -> int:
        """Return how many more decisions may be offered now."""
        return self.core.room()

    def offer(self, decided: Iterable[Decided], cursors: Mapping[str, int] | None = None) -> None:
        """Take decisions over, each partition's in the order of its log; one offered twice is sent once."""
        self.core.offer(decided, cursors or {}, self._now_ms())
        self._wake.set()

    def obey(self, scope: Scope, name: str, action: Action) -> None:
        """Pause, resume or kill, where who asked remembers it too: it holds at once, and is durable soon."""
        self.core.switch(scope, name, action, self._now_ms())
        self._wake.set()

    def opted_out(self, subscriber: int) -> None:
        """Refund what waits for a subscriber who wants no more of it."""
        self.core.opt_out(subscriber, self._now_ms())
        self._wake.set()

    async def switch(self, scope: Scope, name: str, action: Action) -> None:
        """Pause, resume or kill a rule, campaign or channel; returns when it holds, over a restart too."""
        self.core.switch(scope, name, action, self._now_ms())
        if action is Action.KILL and self._desk is not None and scope is not Scope.CHANNEL:
            try:
                await self._desk.withdraw("rule" if scope is Scope.RULE else "campaign", name)
            except (QueueLostError, BehindError, NotDurableError) as fault:
                log.warning("kill %s %s: its cards stay on the screens: %s", scope.value, name, fault)
        await self._durable()

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way, owed to the log, or waiting for anything but windows, quotas and switches."""
        return not self.core.unreported and not self._outbox.dirty and self.core.held

    @property
    def moves(self) -> int:
        """A number that grows with everything that happens to a send."""
        return self.core.counts.total()

    def status(self) -> dict[str, int | str]:
        """Return figures for the status table and metrics."""
        core = self.core
        return {
            "waiting": len(core.sends) - core.in_flight,
            "in_flight": core.in_flight,
            "untold": len(core.unreported),
            "awaiting_receipts": len(core.receipts),
            "orphan_receipts": core.receipts.orphans_seen,
            "receipts_given_up": core.receipts.given_up,
            "outbox_bytes": self._outbox.kept_bytes,
            "fault": self.fault,
            **{f"total_{name}": count for name, count in sorted(core.counts.items())},
        }

    # The loop.

    async def _loop(self) -> None:
        try:
            while not self._stopping or self._flights or self._outbox.dirty or self._is_telling:
                await self._turn()
        except Exception as fault:
            self.fault = str(fault) or type(fault).__name__
            self.failure = fault
            log.log(logging.ERROR, "dispatch ends: %s", self.fault, exc_info=not isinstance(fault, DiskError))
            self._release(fault)

    async def _turn(self) -> None:
        self._wake.clear()
        now_ms = self._now_ms()
        attempts = [] if self._stopping else self.core.take(now_ms)
        waiters, self._waiters = self._waiters, []
        if attempts or self._outbox.dirty:
            await self._commit_attempts(attempts, now_ms)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for send in attempts:
            self._launch(send)
        self._tell()
        self._compaction.step()
        await self._rest()

    async def _commit_attempts(self, attempts: Sequence[Send], now_ms: int) -> None:
        """Commit, with places held for what is to be sent behind it."""
        doors = self.core.doors
        for send in attempts:
            doors[send.gateway].hold(send.parts)
        try:
            await self._commit(now_ms)
        except BaseException:
            for send in attempts:
                doors[send.gateway].let_go(send.parts)
            raise

    async def _commit(self, now_ms: int) -> None:
        while True:
            try:
                self._outbox.flush(now_ms)
                break
            except DiskFullError as fault:
                if self._stopping:
                    raise
                self.fault = str(fault)
                self.disk_full = fault
                await asyncio.sleep(_DISK_FULL_S)
        self.fault = ""
        self.disk_full = None
        await self._outbox.commit()

    async def _rest(self) -> None:
        """Wait for something to happen; look again soon when only rates and room held sends back."""
        if self._wake.is_set() or self.core.refunding:
            await asyncio.sleep(0)
            return
        rest_s = _SOON_S if self.core.starved else _IDLE_S if self.core.sends else _EMPTY_S
        timer = asyncio.get_running_loop().call_later(rest_s, self._wake.set)
        await self._wake.wait()
        timer.cancel()

    async def _durable(self) -> None:
        """Return when everything recorded so far is durable."""
        if self._loop_task is not None and self._loop_task.done():
            raise DiskError(f"dispatch has ended: {self.fault or 'stopped'}")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wake.set()
        await waiter

    def _release(self, fault: Exception) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(fault)

    # Doors.

    def _launch(self, send: Send) -> None:
        task = asyncio.get_running_loop().create_task(self._fly(send))
        self._flights.add(task)
        task.add_done_callback(self._flights.discard)

    async def _fly(self, send: Send) -> None:
        door = self.core.doors[send.gateway]
        door.let_go(send.parts)
        try:
            outcome = await door.send(send.what, self._now_ms())
        except Exception as fault:
            log.exception("gateway %s", send.gateway)
            outcome = Outcome(State.UNKNOWN, type(fault).__name__)
        now_ms = self._now_ms()
        self.core.settle(send, outcome, now_ms)
        if self._on_outcome is not None:
            self._on_outcome(send.what, send.gateway, outcome, now_ms)
        self._wake.set()

    async def receipt(self, receipt: Receipt) -> None:
        """Take note of a receipt; returns when it is durable."""
        self.noted(receipt)
        if self._outbox.dirty:
            await self._durable()

    def noted(self, receipt: Receipt) -> None:
        """Take note of a receipt that somebody else keeps until it is durable here."""
        self.core.receipt(receipt, self._now_ms())
        self._wake.set()

    async def _reply(self, reply: MobileOriginated) -> None:
        if not is_opt_out(reply.text):
            self.core.counts["replies"] += 1
            return
        self.core.counts["opt_outs"] += 1
        self.opted_out(reply.subscriber)
        await self._feedback.member(reply.subscriber, OPT_OUT_LIST, member=True)

    # The log.

    @property
    def _is_telling(self) -> bool:
        return self._telling is not None and not self._telling.done()

    def _tell(self) -> None:
        gives_up = self._stopping and self.log_away
        if self._is_telling or gives_up:
            return
        reports = self.core.reports(_REPORTS_MAX)
        if reports:
            self._telling = asyncio.get_running_loop().create_task(self._tell_log(reports))

    async def _tell_log(self, reports: list[Report]) -> None:
        try:
            await self._feedback.outcomes(reports)
        except Exception as fault:  # noqa: BLE001 - the log is away; the outcomes stay owed and are told again
            self.log_away = True
            self.fault = f"log: {fault}"
            await asyncio.sleep(_LOG_AWAY_S)
        else:
            self.log_away = False
            self.core.told(reports)
        self._wake.set()
