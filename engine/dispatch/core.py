"""The decisions of dispatch, without a loop, a thread or a clock: what goes now, and what follows from each answer.

    offer ─► queue ─► take ─► (attempt durable) ─► door ─► settle ─► unreported ─► (log) ─► told
                                                              └─► receipts ─► receipt ─► unreported

The caller passes the time in, makes `outbox` durable between `take` and the doors, and carries `unreported` to the
log: see `dispatcher`. Every change of state is a record in the outbox before anything relies on it, and `recovery`
rebuilds this object from them; a decision whose attempt has no outcome there is UNKNOWN.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, takewhile

from connectors.contract import Outcome, Receipt, State
from connectors.gateways.text import parts_count
from engine.dispatch import records
from engine.dispatch.doors import Door
from engine.dispatch.hours import LocalTime
from engine.dispatch.model import Action, Decided, Phase, Places, Report, Scope, Send
from engine.dispatch.outbox import Outbox
from engine.dispatch.policy import DESK, ChannelPolicy, Policy
from engine.dispatch.queue import Lane, LaneKey, Queue, Verdict
from engine.dispatch.quotas import Quotas
from engine.dispatch.rates import Rates
from engine.dispatch.receipts import Awaited, Orphans, Receipts
from engine.dispatch.retries import wait_ms
from engine.dispatch.seen import Seen
from engine.dispatch.switches import Switches
from state.decisions import OutcomeState

Unreported = dict[tuple[str, int], tuple[Report, int]]
"""Outcomes the log does not have yet, by decision and state: the report, and the position of its record."""

_REFUNDED_PER_TURN = 2_000
_PASSED_MAX = 64
_NOWHERE = ChannelPolicy(())


class Core:
    """The state of dispatch.

    Args:
        policy: how everything is sent.
        outbox: where every change goes.
        doors: by name, as the policy's routes have them.
        rates: the buckets that sends are taken from; its own unless several cores share them.
        orphans: receipts that nobody awaits yet; its own likewise.
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
        self.queue = Queue()
        self.quotas = Quotas(
            {name: channel.quota_per_day for name, channel in policy.channels.items()}, policy.campaign_quotas
        )
        self.switches = Switches()
        self.receipts = Receipts(policy.receipt_keep_ms, policy.awaited_max, orphans)
        self.seen = Seen()
        self.cursors: dict[str, int] = {}
        self._cursors_to_be: deque[tuple[int, Mapping[str, int]]] = deque()
        self._cursors_durable: Mapping[str, int] = {}
        self.sends: dict[str, Send] = {}  # by decision, in the order of positions
        self.unreported: Unreported = {}
        self.counts: Counter[str] = Counter()
        self.in_flight = 0
        self.starved = False
        """Whether something could have gone but for rates and room, so that it pays to look again soon."""
        self._next_order = 0
        self._now_ms = 0
        self._killed: list[LaneKey] = []
        self._rates = rates or Rates(policy.gateway_rates, policy.channel_rates)
        self._rooms: dict[str, int] = {}
        self._passed = 0
        self._open_channels: set[str] = set()

    def at(self, now_ms: int) -> int:
        """Return the time, which never goes back here."""
        self._now_ms = max(self._now_ms, now_ms)
        return self._now_ms

    # Taking decisions over.

    def room(self) -> int:
        """Return how many more decisions may be offered; the rest waits in the journal."""
        return max(0, self.policy.queue_max - len(self.sends) - len(self.unreported))

    def offer(self, decided: Iterable[Decided], cursors: Mapping[str, int], now_ms: int) -> None:
        """Take decisions over, in the order of the log; those seen before change nothing.

        `cursors` says how far the caller has read with them; it comes back as `cursors` after a restart.
        """
        now_ms = self.at(now_ms)
        opens_ms = {name: self.local.opens_ms(one.windows, now_ms) for name, one in self.policy.channels.items()}
        for what in decided:
            if not self.seen.mark(what.decision_id):
                self.counts["repeated"] += 1
                continue
            self.counts["offered"] += 1
            parts = self.parts_of(what)
            error = self._hopeless(what, parts, opens_ms.get(what.channel), now_ms)
            if error:
                self._report(Report(what.decision_id, what.subscriber, OutcomeState.REFUNDED, "", error), None, now_ms)
            else:
                order = self._next_order
                self.enqueue(what, parts, order, self.outbox.put(records.queued(what, order)))
        if cursors:
            self.cursors.update(cursors)
            position = self.outbox.put(records.cursors(cursors))
            self._cursors_to_be.append((position, dict(self.cursors)))
            self._pass_cursors()

    @property
    def durable_cursors(self) -> Mapping[str, int]:
        """How far a restart would let the caller read again; what lies before is not needed. For any thread."""
        return self._cursors_durable

    def _pass_cursors(self) -> None:
        while self._cursors_to_be and self._cursors_to_be[0][0] <= self.outbox.durable:
            self._cursors_durable = self._cursors_to_be.popleft()[1]

    def follow(self, policy: Policy) -> None:
        """Send by another policy from now on, as when a book with other channels becomes active."""
        self.policy = policy
        self.local = LocalTime(policy.zone)
        self._rates.add(policy.channel_rates)

    def restored(self) -> None:
        """Take note that the outbox was read back to its end."""
        self._cursors_durable = dict(self.cursors)
        self.find_killed()
        self.counts.clear()

    def enqueue(self, what: Decided, parts: int, order: int, position: int) -> Send:
        """Let a decision wait for its turn; `order` is its place among all, `position` that of its record."""
        send = Send(what, order, position)
        send.parts = parts
        self._next_order = max(self._next_order, order + 1)
        self.sends[what.decision_id] = send
        self.queue.add(send)
        return send

    def parts_of(self, what: Decided) -> int:
        """Return how many messages on the air a decision is; a card is one."""
        return 1 if self.policy.channels.get(what.channel, _NOWHERE).route == (DESK,) else parts_count(what.text)

    def _hopeless(self, what: Decided, parts: int, opens_ms: int | None, now_ms: int) -> str:
        """Return why a decision can never be sent; empty when it can."""
        if what.fault:
            return what.fault
        if opens_ms is None:
            return "NO_CHANNEL"
        if self.switches.action(LaneKey(what.channel, what.campaign, what.rule)) is Action.KILL:
            return "KILLED"
        if what.expires_ms <= now_ms:
            return "EXPIRED"
        if self.quotas.never_fits(what.channel, what.campaign, parts):
            return "QUOTA"
        return "NO_WINDOW" if opens_ms >= what.expires_ms else ""

    # Letting sends go.

    def take(self, now_ms: int) -> list[Send]:
        """Return the sends to hand to their doors once the outbox is durable; each must come back to `settle`."""
        now_ms = self.at(now_ms)
        self._pass_cursors()
        self.receipts.tidy(now_ms)
        self._refund_killed(now_ms)
        for send in self.queue.expired(now_ms):
            self._refund(send, "EXPIRED", now_ms, attempted=False)
        self.queue.wake(now_ms)
        self.starved = False
        self._passed = 0
        self._rooms = {name: self._room_of(name, door, now_ms) for name, door in self.doors.items()}
        day = self.local.day(now_ms)
        self._open_channels = self._channels_open(now_ms)
        taken = self.queue.take(lambda lane: self._is_open(lane, day), lambda send: self._judge(send, day))
        for send in taken:
            self.outbox.put(records.attempt(send))
        return taken

    def _room_of(self, name: str, door: Door, now_ms: int) -> int:
        rate = self._rates.gateways.get(name)
        return door.room() if rate is None else min(door.room(), rate.room(now_ms / 1000))

    def _channels_open(self, now_ms: int) -> set[str]:
        return {
            name
            for name, channel in self.policy.channels.items()
            if self.local.opens_ms(channel.windows, now_ms) <= now_ms
        }

    def _is_open(self, lane: Lane, day: int) -> bool:
        key = lane.key
        return (
            key.channel in self._open_channels
            and self.switches.action(key) is None
            and self.quotas.left(day, key.channel, key.campaign)
        )

    def _judge(self, send: Send, day: int) -> Verdict:
        """Give a send its gateway and count it, where rates, room and quotas allow."""
        what = send.what
        bucket = self._rates.channels[what.channel]
        if self.in_flight >= self.policy.in_flight_max or bucket.room(self._now_ms / 1000) < 1:
            self.starved = True
            return Verdict.CLOSE
        if not self.quotas.fits(day, what.channel, what.campaign, send.parts):
            return Verdict.CLOSE
        gateway = self._gateway_of(send)
        if not gateway:
            self._passed += 1
            return Verdict.PASS if send.refused and self._passed < _PASSED_MAX else Verdict.CLOSE
        bucket.take(send.parts)
        if gateway in self._rates.gateways:
            self._rates.gateways[gateway].take(send.parts)
        self._rooms[gateway] -= send.parts
        self.in_flight += 1
        send.gateway, send.day = gateway, day
        self.quotas.take(*_places(send))
        return Verdict.TAKE

    def _gateway_of(self, send: Send) -> str:
        """Return the first gateway of the route that is up and has not refused the send, if it has room."""
        for name in self.policy.channels[send.what.channel].route:
            door = self.doors.get(name)
            if name in send.refused or door is None or not door.up:
                continue
            if self._rooms[name] > 0:
                return name
            self.starved = True
            return ""
        return ""

    # What the doors say.

    def settle(self, send: Send, outcome: Outcome, now_ms: int) -> None:
        """Take note of the outcome of an attempt."""
        now_ms = self.at(now_ms)
        self.in_flight -= 1
        self.counts[outcome.state.value] += 1
        if outcome.state is State.ACCEPTED:
            self._end(send, OutcomeState.COMMITTED, "", outcome.gateway_message_ids, now_ms)
        elif outcome.state is State.UNKNOWN:
            self.unknown(send, outcome.code, now_ms)
        elif outcome.state is State.PERMANENT:
            self._refund(send, outcome.code or "REFUSED", now_ms, attempted=True)
        else:
            self._again(send, outcome, now_ms)

    def unknown(self, send: Send, code: str, now_ms: int) -> None:
        """Nobody can say what became of an attempt: the end, unless sending twice is allowed."""
        door = self.doors.get(send.gateway)
        service = self.policy.resend_unknown_service and send.what.klass == "service"
        if service or (door is not None and door.repeatable):
            send.doubtful = True
            self._again(send, Outcome(State.RETRY, code), now_ms)
        else:
            self._end(send, OutcomeState.UNKNOWN, code or "UNKNOWN", (), now_ms)

    def _again(self, send: Send, outcome: Outcome, now_ms: int) -> None:
        """Let a send that certainly reached nobody wait for another try, while there is one."""
        what = send.what
        policy = self.policy.channels.get(what.channel, _NOWHERE)
        if outcome.state is State.REROUTE:
            send.refused = (*send.refused, send.gateway)
        elif outcome.state is State.RETRY:
            send.tries += 1
        routes_left = set(policy.route) - set(send.refused)
        if self.switches.action(LaneKey(what.channel, what.campaign, what.rule)) is Action.KILL:
            self._refund(send, "KILLED", now_ms, attempted=True)
        elif send.tries >= policy.attempts_max or not routes_left:
            self._refund(send, outcome.code or outcome.state.value, now_ms, attempted=True)
        elif send.expires_ms <= now_ms:
            self._refund(send, "EXPIRED", now_ms, attempted=True)
        else:
            wait = 0
            if outcome.state is not State.REROUTE:
                wish_ms = outcome.retry_after_ms
                wait = wait_ms(what.decision_id, send.tries, policy.retry_ms_min, policy.retry_ms_max, wish_ms)
            if not send.doubtful:
                self.quotas.give_back(*_places(send))
            self.queue.back_off(send, now_ms + wait)
            self.outbox.put(records.waits(send))

    def _refund(self, send: Send, error: str, now_ms: int, *, attempted: bool) -> None:
        """Give the caps their place back, unless an earlier attempt may have reached somebody."""
        if send.doubtful:
            self._end(send, OutcomeState.UNKNOWN, error, (), now_ms)
            return
        what = send.what
        given_back = _places(send) if attempted else None
        if given_back:
            self.quotas.give_back(*given_back)
        report = Report(what.decision_id, what.subscriber, OutcomeState.REFUNDED, send.gateway, error)
        self._forget(send)
        self._report(report, given_back, now_ms)

    def _end(self, send: Send, state: OutcomeState, error: str, ids: Sequence[str], now_ms: int) -> None:
        what = send.what
        ids = tuple(message_id for message_id in ids if message_id)
        self._forget(send)
        report = Report(what.decision_id, what.subscriber, state, send.gateway, error)
        position = self._report(report, None, now_ms, ids)
        if ids:
            awaited = Awaited(what.decision_id, what.subscriber, send.gateway, ids, now_ms, position)
            for early in self.receipts.expect(awaited):
                self.receipt(early, now_ms)

    def _forget(self, send: Send) -> None:
        self.sends.pop(send.what.decision_id, None)
        self.queue.drop(send)

    def _report(self, report: Report, given_back: Places | None, now_ms: int, ids: tuple[str, ...] = ()) -> int:
        position = self.outbox.put(records.outcome(report, given_back, ids, now_ms))
        self._owe(report, position)
        return position

    def _owe(self, report: Report, position: int) -> None:
        self.counts[report.state.name.lower()] += 1
        self.unreported[report.decision_id, report.state] = (report, position)

    # What the network says later.

    def receipt(self, receipt: Receipt, now_ms: int) -> None:
        """Take note of a receipt."""
        now_ms = self.at(now_ms)
        matched = self.receipts.match(receipt, now_ms)
        if matched is None:
            return
        if matched.report is None:
            self.outbox.put(records.part(receipt.gateway, receipt.gateway_message_id))
        else:
            position = self.outbox.put(records.receipt(matched.report, matched.awaited.ids))
            self._owe(matched.report, position)

    def opt_out(self, subscriber: int, now_ms: int) -> int:
        """Refund what waits for a subscriber who wants no more of it; return how many."""
        now_ms = self.at(now_ms)
        leaving = [
            send
            for channel in self.policy.channels
            for send in self.queue.line(subscriber, channel)
            if send.phase is not Phase.FLYING and send.what.klass != "service"
        ]
        for send in leaving:
            self._refund(send, "OPTED_OUT", now_ms, attempted=False)
        return len(leaving)

    # What operations say.

    def switch(self, scope: Scope, name: str, action: Action, now_ms: int) -> None:
        """Pause, resume or kill; nothing of a paused or killed scope is taken from now on."""
        self.at(now_ms)
        self.switches.throw(scope, name, action)
        self.outbox.put(records.switch(scope.value, name, action.value))
        self.find_killed()

    def queued(self, scope: Scope, name: str) -> int:
        """Return how many sends of a scope have not gone yet."""
        lanes = [lane for key, lane in self.queue.lanes.items() if getattr(key, scope.value) == name]
        return sum(send.phase is not Phase.FLYING for lane in lanes for send in lane.sends)

    def find_killed(self) -> None:
        """Look for waiting sends of what is killed."""
        self._killed = [key for key in self.queue.lanes if self.switches.action(key) is Action.KILL]

    @property
    def refunding(self) -> bool:
        """Whether killed sends are still to be refunded; `take` does so, a bounded number a turn."""
        return bool(self._killed)

    def _refund_killed(self, now_ms: int) -> None:
        if not self._killed:
            return
        lanes = [self.queue.lanes[key] for key in self._killed if key in self.queue.lanes]
        waiting = (send for lane in lanes for send in lane.sends if send.phase is not Phase.FLYING)
        leaving = list(islice(waiting, _REFUNDED_PER_TURN))
        for send in leaving:
            self._refund(send, "KILLED", now_ms, attempted=False)
        if len(leaving) < _REFUNDED_PER_TURN:
            self._killed = []

    def is_flying(self, send: Send) -> bool:
        """Whether a send is with its gateway now."""
        return send.phase is Phase.FLYING

    # What the log is told.

    def reports(self, count_max: int) -> list[Report]:
        """Return outcomes that the log does not have yet, oldest first.

        Only durable ones: the log must not hear of a refund that a crash turns into a send.
        """
        durable = takewhile(lambda owed: owed[1] <= self.outbox.durable, self.unreported.values())
        return [report for report, _ in islice(durable, count_max)]

    def told(self, reports: Iterable[Report]) -> None:
        """Take note that the log has them."""
        gone = [report for report in reports if self.unreported.pop((report.decision_id, report.state), None)]
        if gone:
            self.outbox.put(records.told(gone))

    @property
    def held(self) -> bool:
        """Whether all that waits is held by a window, a quota or a switch, and nothing by a try to come."""
        if self.in_flight or self._killed:
            return False
        self._open_channels = self._channels_open(self._now_ms)
        day = self.local.day(self._now_ms)
        return not any(self._is_open(lane, day) for lane in self.queue.lanes.values())


def _places(send: Send) -> Places:
    """Return what an attempt takes of quotas."""
    return send.day, send.what.channel, send.what.campaign, send.parts
