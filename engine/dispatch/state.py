"""What dispatch remembers: every send that has not ended, the outcomes it owes to the log, and each reason to wait.

The steps (`offer`, `take`, `settle`, `withdraw`) share one of these and change it. Every change is also a record in
the outbox, so `recovery` can rebuild this object from the records alone. No loop, no thread, no clock.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from connectors.gateways.text import parts_count
from engine.dispatch.doors import Door
from engine.dispatch.hours import LocalTime
from engine.dispatch.model import Decided, Phase, Places, Report, Send
from engine.dispatch.opted_out import OptedOut, OptOut
from engine.dispatch.orphans import Orphans
from engine.dispatch.outbox import Outbox
from engine.dispatch.policy import DESK, ChannelPolicy, Policy
from engine.dispatch.queue import SendQueue
from engine.dispatch.quotas import Quotas
from engine.dispatch.rates import Rates
from engine.dispatch.reached import Reached
from engine.dispatch.receipts import Receipts
from engine.dispatch.seen import SeenDecisions
from engine.dispatch.switches import Switches


class Owed(NamedTuple):
    """An outcome that the log does not have yet.

    `position` is that of its record; `contact_ms` when it reached, or may have reached, somebody, else
    None.
    """

    report: Report
    position: int
    contact_ms: int | None = None


Unreported = dict[tuple[str, int], Owed]
"""By decision and state."""

OPTED_OUT = "OPTED_OUT"
"""The reason of a refund: decided before the subscriber's opt-out, and not sent by then."""

_NO_CHANNEL = ChannelPolicy(())


class DispatchState:
    """The state of dispatch.

    Args:
        policy: how everything is sent.
        outbox: where every change goes.
        doors: by name, as the policy's routes have them.
        rates: the buckets that sends are taken from; its own unless several dispatchers share them.
        orphans: receipts that no message awaits yet; its own likewise.
    """

    def __init__(
        self,
        policy: Policy,
        outbox: Outbox,
        doors: Mapping[str, Door],
        rates: Rates | None = None,
        orphans: Orphans | None = None,
    ) -> None:
        self.policy = policy
        self.outbox = outbox
        self.doors = doors
        self.local = LocalTime(policy.zone)
        self.queue = SendQueue()
        self.quotas = Quotas(
            {name: channel.quota_per_day for name, channel in policy.channels.items()}, policy.campaign_quotas
        )
        self.rates = rates or Rates(policy.gateway_rates, policy.channel_rates)
        self.switches = Switches()
        self.receipts = Receipts(policy.receipt_keep_ms, policy.awaited_max, orphans, self.is_flying)
        self.seen = SeenDecisions()
        self.opted_out = OptedOut()
        self.reached = Reached()
        self.withdrawn: dict[str, str] = {}
        """Decisions taken back that are on their way or still to come, with the reason."""
        self.cursors: dict[str, int] = {}
        """How far the caller had read, as of what was taken over."""
        self.sends: dict[str, Send] = {}
        """By decision id, in the order of their records' positions: compaction rewrites the first one first."""
        self.unreported: Unreported = {}
        self.counts: Counter[str] = Counter()
        self.in_flight = 0
        self.now_ms = 0
        self._next_order = 0

    def advance(self, now_ms: int) -> int:
        """Move the time on and return it; a caller's clock that was set back does not take it back."""
        self.now_ms = max(self.now_ms, now_ms)
        return self.now_ms

    @property
    def next_order(self) -> int:
        """The place among all sends that the next one gets."""
        return self._next_order

    def enqueue(self, what: Decided, parts: int, order: int, position: int) -> Send:
        """Let a decision wait for its turn; `order` is its place among all, `position` that of its record."""
        send = Send(what, order, position)
        send.parts = parts
        self._next_order = max(self._next_order, order + 1)
        self.sends[what.decision_id] = send
        self.queue.add(send)
        return send

    def forget(self, send: Send) -> None:
        """Drop a send that has ended."""
        self.sends.pop(send.what.decision_id, None)
        self.withdrawn.pop(send.what.decision_id, None)
        self.queue.drop(send)

    def taken_back(self, what: Decided) -> str:
        """Return why a decision must not be sent any more, or again; empty where it may."""
        reason = self.withdrawn.get(what.decision_id, "") if self.withdrawn else ""
        return reason or (OPTED_OUT if self.opted_out.refuses(what) else "")

    def sends_to(self, subscriber: int) -> list[Send]:
        """Return the sends to a subscriber that have not ended, on every channel."""
        queue = self.queue
        return [send for name in self.policy.channels for send in queue.subscriber_queue(subscriber, name)]

    def passed(self, opt_out: OptOut) -> bool:
        """Return whether nothing from before an opt-out can come any more, and nothing of it is left here."""
        return self.seen.passed(opt_out.partition, opt_out.position) and not self.sends_to(opt_out.subscriber)

    def owe(self, report: Report, position: int, contact_ms: int | None = None) -> None:
        """Keep an outcome for the log; the rest as of `Owed`."""
        self.counts[report.state.name.lower()] += 1
        self.unreported[report.decision_id, report.state] = Owed(report, position, contact_ms)

    def is_flying(self, subscriber: int) -> bool:
        """Return whether an attempt to reach a subscriber has no answer yet, on any channel."""
        queues = (self.queue.subscriber_queue(subscriber, channel) for channel in self.policy.channels)
        return any(send.phase is Phase.FLYING for queue in queues for send in queue)

    def channel_policy(self, channel: str) -> ChannelPolicy:
        """Return how a channel is sent; one without a route when the policy no longer has it."""
        return self.policy.channels.get(channel, _NO_CHANNEL)

    def parts_of(self, what: Decided) -> int:
        """Return how many messages on the air a decision is; a card is one."""
        return 1 if self.channel_policy(what.channel).route == (DESK,) else parts_count(what.text)


def places_of(send: Send) -> Places:
    """Return what an attempt takes of quotas."""
    return send.day, send.what.channel, send.what.campaign, send.parts
