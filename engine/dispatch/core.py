"""The decisions of dispatch, without a loop, a thread or a clock: what goes now, and what follows from each answer.

    offer ─► queue ─► take ─► (attempt durable) ─► door ─► settle ─► unreported ─► (log) ─► mark_reported
                                                              └─► receipts ─► note_receipt ─► unreported

Each step has a module: `offer`, `take`, `settle`, `withdraw`; what they share is `state`. The caller passes the time
in, makes `outbox` durable between `take` and the doors, and carries `unreported` to the log: see `dispatcher`. Every
change of state is a record in the outbox before anything relies on it, and `recovery` rebuilds this object from them;
a decision whose attempt has no outcome there is UNKNOWN.
"""

from collections.abc import Iterable, Mapping
from itertools import islice, takewhile

from connectors.contract import Outcome, Receipt
from engine.dispatch import records
from engine.dispatch.doors import Door, GatewayDoor
from engine.dispatch.hours import LocalTime
from engine.dispatch.model import Action, Decided, Phase, Report, Send, SwitchScope, Withdrawn
from engine.dispatch.offer import Offering
from engine.dispatch.opted_out import OptOut
from engine.dispatch.orphans import Orphans
from engine.dispatch.outbox import Outbox
from engine.dispatch.policy import Policy
from engine.dispatch.rates import Rates
from engine.dispatch.settle import Settling
from engine.dispatch.state import DispatchState
from engine.dispatch.take import Taking
from engine.dispatch.withdraw import Withdrawing


class DispatchCore(DispatchState):
    """The state of dispatch and the steps that change it; arguments as of `DispatchState`."""

    def __init__(
        self,
        policy: Policy,
        outbox: Outbox,
        doors: Mapping[str, Door],
        rates: Rates | None = None,
        orphans: Orphans | None = None,
    ) -> None:
        super().__init__(policy, outbox, doors, rates, orphans)
        self._settling = Settling(self)
        self._offering = Offering(self, self._settling)
        self._taking = Taking(self)
        self._withdrawing = Withdrawing(self, self._settling)

    # Taking decisions over.

    def room(self) -> int:
        """Return how many more decisions may be offered; the rest waits in the journal."""
        return self._offering.room()

    def offer(self, decided: Iterable[Decided], cursors: Mapping[str, int], now_ms: int) -> None:
        """Take decisions over, in the order of the log; those seen before change nothing.

        `cursors` says how far the caller has read with them; it comes back as `cursors` after a restart.
        """
        self._offering.offer(decided, cursors, self.advance(now_ms))

    @property
    def durable_cursors(self) -> Mapping[str, int]:
        """How far a restart would let the caller read again; what lies before is not needed. For any thread."""
        return self._offering.durable_cursors

    def follow(self, policy: Policy) -> None:
        """Send by another policy from now on, as when a book with other channels becomes active."""
        self.policy = policy
        self.local = LocalTime(policy.zone)
        self.rates.add(policy.channel_rates)
        self._withdrawing.find_killed()
        for door in self.doors.values():
            if isinstance(door, GatewayDoor):
                door.channels = policy.channels

    def restored(self) -> None:
        """Go on from the outbox, which was read back to its end."""
        self._offering.restored()
        self._withdrawing.find_killed()
        self.counts.clear()

    # Letting sends go.

    def take(self, now_ms: int) -> list[Send]:
        """Return the sends to hand to their doors once the outbox is durable; each must come back to `settle`."""
        now_ms = self.advance(now_ms)
        self._offering.advance_cursors()
        self.receipts.tidy(now_ms)
        self._withdrawing.refund_killed(now_ms)
        self._withdrawing.refund_expired(now_ms)
        self.queue.wake(now_ms)
        taken = self._taking.take(now_ms)
        for send in dict.fromkeys(self._taking.taken_back):
            self._settling.refund(send, self.taken_back(send.what), now_ms, attempted=False)
        for send, until_ms in self._taking.quiet:
            self.queue.back_off(send, until_ms)
        return taken

    @property
    def starved(self) -> bool:
        """Whether something could have gone but for rates and room, so it pays to look again soon."""
        return self._taking.starved

    @property
    def held(self) -> bool:
        """Whether all that waits is held by a window, a quota or a switch, and nothing by a try to come."""
        return not self.in_flight and not self.refunding and self._taking.held

    # What the doors and the network say.

    def settle(self, send: Send, outcome: Outcome, now_ms: int) -> None:
        """Draw the conclusion from the outcome of an attempt."""
        self._settling.settle(send, outcome, self.advance(now_ms))

    def unknown(self, send: Send, code: str, now_ms: int) -> None:
        """End an attempt that nobody can say the outcome of, unless sending twice is allowed."""
        self._settling.unknown(send, code, now_ms)

    def note_receipt(self, receipt: Receipt, now_ms: int) -> None:
        """Match a receipt to its message, and record what it says."""
        self._settling.note_receipt(receipt, self.advance(now_ms))

    def opt_out(self, opt_out: OptOut, now_ms: int) -> bool:
        """Refund what waits for a subscriber that has opted out, and let nothing go that was decided before.

        Returns whether it is news: the first opt-out of that service that stands in the log.
        """
        new = self.opted_out.add(opt_out)
        if not opt_out.pending:
            self.outbox.put(records.opted_out(opt_out))
        self._withdrawing.opt_out(opt_out, self.advance(now_ms))
        return new

    def withdraw(self, withdrawn: Iterable[Withdrawn], now_ms: int) -> None:
        """End decisions that the fold has taken back, also those that come later; what is on its way may arrive."""
        self.advance(now_ms)
        for one in withdrawn:
            self._withdrawing.withdraw(one, self.now_ms)

    def reaches(self, subscriber: int) -> bool:
        """Whether something commercial is on its way to a subscriber: handed to a door that has not answered."""
        flying = (send for send in self.sends_to(subscriber) if send.phase is Phase.FLYING)
        return any(send.what.klass != "service" for send in flying)

    def notify(self, notice: Decided, now_ms: int) -> None:
        """Send a text that no rule decided; its outcome goes into the log like any other."""
        self._offering.notify(notice, self.advance(now_ms))

    # What operations say.

    def switch(self, scope: SwitchScope, name: str, action: Action, now_ms: int) -> None:
        """Pause, resume or kill; nothing of a paused or killed scope is taken from now on."""
        self.advance(now_ms)
        self.switches.set(scope, name, action)
        self.outbox.put(records.switch(scope.value, name, action.value))
        self._withdrawing.find_killed()

    def replace_switches(self, switches: Iterable[tuple[str, str, str]]) -> None:
        """Let other switches hold than those in the outbox, where another system remembers them."""
        self.switches.restore(switches)
        self._withdrawing.find_killed()

    def queued(self, scope: SwitchScope, name: str) -> int:
        """Return how many sends of a scope have not gone yet."""
        queues = [queue for key, queue in self.queue.rule_queues.items() if getattr(key, scope.value) == name]
        return sum(send.phase is not Phase.FLYING for queue in queues for send in queue.sends)

    @property
    def refunding(self) -> bool:
        """Whether killed sends are still to be refunded; `take` does so, a bounded number a turn."""
        return self._withdrawing.pending

    # What the log does not have yet.

    def reports(self, count_max: int) -> list[Report]:
        """Return outcomes that the log does not have yet, oldest first.

        Only durable ones: the log must not hear of a refund that a crash turns into a send.
        """
        durable = takewhile(lambda owed: owed.position <= self.outbox.durable, self.unreported.values())
        return [owed.report for owed in islice(durable, count_max)]

    def contact_ms(self, report: Report) -> int | None:
        """Return when an outcome that is owed reached, or may have reached, somebody; None where it did not."""
        return self.unreported[report.decision_id, report.state].contact_ms

    def mark_reported(self, reports: Iterable[Report]) -> None:
        """Record that the log has these outcomes."""
        done = [report for report in reports if self.unreported.pop((report.decision_id, report.state), None)]
        if done:
            self.outbox.put(records.reported(done))
