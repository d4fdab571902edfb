"""Dispatch at work: the loop between the journal's decisions and the doors.

One turn of the loop:

    1. take      the core says what goes now, and writes an attempt record for each
    2. commit    everything recorded so far is made durable, in one disk write for all of it (`commits`)
    3. launch    tasks hand the attempts to their doors and settle the outcomes (`flights`)
    4. report    outcomes go into the log, many at a time; the core remembers those that the log has (`reporter`)
    5. compact   the outbox forgets a little

While the disk writes, answers and receipts come in; they are in the next commit. A receipt, a switch or an opt-out is
acknowledged when its commit is done. A full disk stops attempts, not the process (`disk_full` says that it does); any
other fault ends dispatch (`failure`). What goes and what follows is decided in `core`; nothing here knows a rule, a
window or a quota. Several dispatchers of a process may share their doors: see `shared`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping

from connectors.contract import Gateway, NowMs, Receipt
from connectors.desk.desk import BehindError, Desk, NotDurableError
from connectors.desk.queue import QueueLostError
from engine.dispatch.commits import Commits
from engine.dispatch.core import DispatchCore
from engine.dispatch.doors import DeskDoor, Door, GatewayDoor
from engine.dispatch.due import Due
from engine.dispatch.flights import Flights, OnOutcome
from engine.dispatch.health import Health, Healthy
from engine.dispatch.model import Action, Decided, Send, SwitchScope, Withdrawn
from engine.dispatch.opted_out import OptOut
from engine.dispatch.outbox import Outbox
from engine.dispatch.policy import DESK, Policy
from engine.dispatch.recovery import Compaction, recover
from engine.dispatch.replies import Replies, answered
from engine.dispatch.replies import apply as apply_opt_out
from engine.dispatch.reporter import FeedbackSink, OutcomeReporter
from engine.dispatch.shared import Shared
from state.disk import DiskError

_SOON_S = 0.005
_IDLE_S = 0.05
_EMPTY_S = 0.5

log = logging.getLogger(__name__)


def figures(core: DispatchCore) -> dict[str, int | str]:
    """Return the figures of what waits, is on its way and has ended."""
    return {
        "waiting": len(core.sends) - core.in_flight,
        "in_flight": core.in_flight,
        "untold": len(core.unreported),
        "awaiting_receipts": len(core.receipts),
        "orphan_receipts": core.receipts.orphans_seen,
        "receipts_given_up": core.receipts.given_up,
        **{f"total_{name}": count for name, count in sorted(core.counts.items())},
    }


class Dispatcher(Healthy):
    """Sends what was decided, and says what became of it.

    Args:
        policy: how everything is sent.
        gateways: by the names that the policy's routes use; started and stopped here.
        desk: the front desk, None when there is none.
        feedback: the log.
        now_ms: the clock of windows, quotas and shelf lives.
        outbox: open; closed by `stop`.
        on_outcome: called with every outcome.
        shared: doors and rates of several dispatchers, in place of `gateways` and `desk`.
        stands: whether the clock stands still between two calls of `rest`, as the events' own does: what is taken next
            waits for all answers to what was taken before, and a restart takes up what was on its way. Not with
            `shared` doors: another worker's have it, and it ends as UNKNOWN.
    """

    def __init__(
        self,
        policy: Policy,
        gateways: Mapping[str, Gateway],
        desk: Desk | None,
        feedback: FeedbackSink,
        now_ms: NowMs,
        outbox: Outbox,
        on_outcome: OnOutcome | None = None,
        shared: Shared | None = None,
        *,
        stands: bool = False,
    ) -> None:
        doors: dict[str, Door] = {name: GatewayDoor(one, policy.channels) for name, one in gateways.items()}
        if desk is not None:
            doors[DESK] = DeskDoor(desk)
        if shared is not None:
            self.core = DispatchCore(policy, outbox, shared.doors, shared.rates, shared.orphans)
        else:
            self.core = DispatchCore(policy, outbox, doors)
        self._gateways = gateways
        self._desk = desk
        self._feedback = feedback
        self._now_ms = now_ms
        self._outbox = outbox
        self._health = Health()
        self._wake = asyncio.Event()
        self._commits = Commits(outbox, self.core.doors, self._health, "the flow" if stands else "dispatch")
        self._flights = Flights(self.core, now_ms, self._wake, on_outcome)
        self._reporter = OutcomeReporter(self.core, feedback, self._health, self._wake)
        self._compaction = Compaction(self.core)
        self.replies = Replies(self.core, feedback, now_ms, self._durable)
        self._loop_task: asyncio.Task[None] | None = None
        self._recovered = False
        self._stands = stands
        self._takes_up = stands and shared is None
        self._resumed: list[Send] = []
        self._rested = asyncio.Event()

    # From start to stop.

    def recover(self, switches: Iterable[tuple[str, str, str]] | None = None) -> None:
        """Read the outbox back; DiskError when it cannot be read.

        `switches` are those that hold now, as scope, name and action, where another system remembers them too.
        """
        self._resumed = recover(self.core, self.core.advance(self._now_ms()), resume=self._takes_up)
        if switches is not None:
            self.core.replace_switches(switches)
        self._recovered = True

    async def start(self) -> None:
        """Read the outbox back if that was not done, open the gateways, begin to send.

        Raises GatewayError when a gateway cannot be opened as configured, DiskError when the outbox cannot be read.
        """
        if not self._recovered:
            self.recover()
        for gateway in self._gateways.values():
            await gateway.start(self.receipt, self.replies.take)
        for send in self._resumed:
            self.core.doors[send.gateway].hold(send.parts)
        self._flights.launch(self._resumed)
        self._loop_task = asyncio.create_task(self._loop(), name="dispatch")

    async def stop(self, wait_s: float = 5.0) -> None:
        """Send nothing more, wait for answers, report them, close gateways and outbox."""
        self._health.stopping = True
        self._wake.set()
        await self._flights.wait(wait_s)
        for gateway in self._gateways.values():
            await gateway.stop()
        await self._flights.cancel()
        if self._loop_task is not None:
            self._wake.set()
            await asyncio.wait([self._loop_task])
        await self._outbox.close()

    async def abandon(self) -> None:
        """Send nothing more and wait for no answer, after a fault elsewhere: what is on its way is UNKNOWN later."""
        self._health.stopping = True
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.wait([self._loop_task])
        await self._reporter.cancel()
        await self._flights.cancel()

    # Decisions, and what operations and the network say.

    def room(self) -> int:
        """Return how many more decisions may be offered now."""
        return self.core.room()

    def offer(self, decided: Iterable[Decided], cursors: Mapping[str, int] | None = None) -> None:
        """Take decisions over, each partition's in the order of its log; one offered twice is sent once."""
        self.core.offer(decided, cursors or {}, self._now_ms())
        self._wake.set()

    async def rest(self, wait_s: float) -> Due | None:
        """Wait until nothing more can go at the present time and the log has every outcome; None after `wait_s`.

        Returns when there is something to do next.
        """
        self._rested.clear()
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rested.wait(), wait_s)
        return self.core.due if self._rested.is_set() else None

    def withdraw(self, withdrawn: Iterable[Withdrawn]) -> None:
        """End decisions that the fold has taken back, wherever they wait and also where they come later."""
        self.core.withdraw(withdrawn, self._now_ms())
        self._wake.set()

    def apply_switch(self, scope: SwitchScope, name: str, action: Action) -> None:
        """Pause, resume or kill, where the caller remembers it too: it holds at once, and is durable soon."""
        self.core.switch(scope, name, action, self._now_ms())
        self._wake.set()

    async def switch(self, scope: SwitchScope, name: str, action: Action) -> None:
        """Pause, resume or kill a rule, campaign or channel; returns when it holds, over a restart too."""
        self.core.switch(scope, name, action, self._now_ms())
        if action is Action.KILL and self._desk is not None and scope is not SwitchScope.CHANNEL:
            try:
                await self._desk.withdraw("rule" if scope is SwitchScope.RULE else "campaign", name)
            except (QueueLostError, BehindError, NotDurableError) as fault:
                log.warning("kill %s %s: its cards stay on the screens: %s", scope.value, name, fault)
        await self._durable()

    def opt_out(self, opt_out: OptOut, gateway: str = "", to_address: str = "") -> None:
        """Apply an opt-out that stands in the log, and confirm it; `settled` says when it holds."""
        apply_opt_out(self.core, opt_out, gateway, to_address, self._now_ms())
        self._wake.set()

    async def settled(self, subscriber: int) -> None:
        """Return when the opt-outs of a subscriber hold over a restart, and nothing commercial is on its way to it."""
        await self._durable()
        await answered(self.core, subscriber)

    async def receipt(self, receipt: Receipt) -> None:
        """Take a receipt from a gateway; returns when it is durable, so the gateway may acknowledge it."""
        self.note_receipt(receipt)
        if self._outbox.dirty:
            await self._durable()

    def note_receipt(self, receipt: Receipt) -> None:
        """Record a receipt that the caller keeps until it is durable here."""
        self.core.note_receipt(receipt, self._now_ms())
        self._wake.set()

    async def _durable(self) -> None:
        """Return when everything recorded so far is durable."""
        if self._loop_task is not None and self._loop_task.done():
            raise DiskError(f"dispatch has ended: {self.fault or 'stopped'}")
        waiter = self._commits.wait()
        self._wake.set()
        await waiter

    # What the runtime asks.

    @property
    def cursors(self) -> Mapping[str, int]:
        """How far the caller had read, as of what was taken over."""
        return self.core.cursors

    @property
    def durable_cursors(self) -> Mapping[str, int]:
        """How far the caller would have to read again after a crash now; what lies before may go."""
        return self.core.durable_cursors

    def queued(self, scope: SwitchScope, name: str) -> int:
        """Return how many sends of a scope have not gone yet."""
        return self.core.queued(scope, name)

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way, owed to the log, or waiting for anything but windows, quotas and switches."""
        self.core.advance(self._now_ms())  # what was held may go since
        return not self.core.unreported and not self._outbox.dirty and self.core.held

    @property
    def moves(self) -> int:
        """A number that grows with everything that happens to a send."""
        return self.core.counts.total()

    def status(self) -> dict[str, int | str]:
        """Return figures for the status table and metrics."""
        return {**figures(self.core), "outbox_bytes": self._outbox.kept_bytes, "fault": self.fault}

    # The loop.

    async def _loop(self) -> None:
        health = self._health
        try:
            while not health.stopping or self._flights or self._outbox.dirty or self._reporter.busy:
                await self._turn()
        except Exception as fault:
            health.fault = str(fault) or type(fault).__name__
            health.failure = fault
            log.log(logging.ERROR, "dispatch ends: %s", health.fault, exc_info=not isinstance(fault, DiskError))
            self._commits.release(fault)

    async def _turn(self) -> None:
        self._wake.clear()
        now_ms = self._now_ms()
        waits = self._health.stopping or (self._stands and len(self._flights) > 0)
        attempts = [] if waits else self.core.take(now_ms)
        if not (waits or attempts or self.core.busy):
            self._rested.set()
        await self._commits.turn(attempts, now_ms)
        # Only now: an attempt that is written to a gateway before its record is durable would be sent again after a
        # crash, because nothing says that it was made.
        self._flights.launch(attempts)
        self._reporter.step()
        self._compaction.step()
        await self._rest()

    async def _rest(self) -> None:
        """Wait for something to happen; look again soon when only rates and room held sends back."""
        if self._wake.is_set() or self.core.refunding:
            await asyncio.sleep(0)
            return
        starved = self.core.blocked if self._stands else self.core.starved
        rest_s = _SOON_S if starved else _IDLE_S if self.core.sends else _EMPTY_S
        timer = asyncio.get_running_loop().call_later(rest_s, self._wake.set)
        await self._wake.wait()
        timer.cancel()
