"""Dispatch after a restart: the outbox read back, and what compaction must keep of it.

`recover` applies every record, in order, to an empty `DispatchCore`. Sends without an attempt wait again; an attempt
without an outcome has one now: UNKNOWN. Outcomes that the log may not have are reported again; the decider takes each
once.

`Compaction` keeps the outbox short: it writes again, a few at a time, the live records before a mark, and then lets go
of the files before the mark. No pause, however much is waiting.
"""

from engine.dispatch import records
from engine.dispatch.core import DispatchCore
from engine.dispatch.doors import Recall
from engine.dispatch.model import Action, Decided, Phase, Report, Send, SwitchScope
from engine.dispatch.opted_out import OptOut
from engine.dispatch.receipts import Awaited
from engine.dispatch.records import Record
from state.decisions import OutcomeState

_REWRITTEN_PER_STEP = 500


class _Alive:
    """A send, as far as the records that were read describe it."""

    __slots__ = (
        "attempted_ms",
        "day",
        "doubtful",
        "due_ms",
        "gateway",
        "order",
        "position",
        "refused",
        "tries",
        "what",
    )

    def __init__(self, what: Decided, order: int, position: int) -> None:
        self.what = what
        self.order = order
        self.position = position
        self.tries = self.due_ms = self.day = self.attempted_ms = 0
        self.gateway = ""
        self.refused: tuple[str, ...] = ()
        self.doubtful = False


def recover(core: DispatchCore, now_ms: int, *, resume: bool = False) -> list[Send]:
    """Bring `core`, which is new, to where its outbox ends.

    `resume`: no time has passed since, as on the events' clock. What was on its way to a door that can say (`recall`)
    has the outcome that it had there; what is not there is returned, to be handed over now.
    """
    replay = _Replay(core)
    for position, record in core.outbox.read():
        replay.apply(position, record)
    flying: dict[str, list[Send]] = {}
    # By order, so that the sends to a subscriber queue as they did; compaction may have written them in another one.
    for alive in sorted(replay.alive.values(), key=lambda one: one.order):
        send = core.enqueue(alive.what, core.parts_of(alive.what), alive.order, alive.position)
        send.tries, send.refused, send.day = alive.tries, alive.refused, alive.day
        send.doubtful, send.attempted_ms = alive.doubtful, alive.attempted_ms
        if alive.gateway:
            send.gateway = alive.gateway
            flying.setdefault(alive.gateway, []).append(send)
        elif alive.due_ms > now_ms:
            core.queue.back_off(send, alive.due_ms)
    resumed = [send for gateway, sends in flying.items() for send in _take_up(core, gateway, sends, now_ms, resume)]
    # By position again, as compaction takes them: `enqueue` has put them in by order.
    core.sends = {decision_id: core.sends[decision_id] for decision_id in replay.alive if decision_id in core.sends}
    core.restored()
    return sorted(resumed, key=lambda send: send.order)


def _take_up(core: DispatchCore, gateway: str, sends: list[Send], now_ms: int, resume: bool) -> list[Send]:
    """Settle attempts without an outcome; return those that are to be handed over."""
    door = core.doors.get(gateway) if resume else None
    recall: Recall | None = getattr(door, "recall", None)  # not every door has it
    outcomes = recall([send.what.decision_id for send in sends]) if recall is not None else None
    if outcomes is None:
        for send in sends:
            core.unknown(send, "RESTART", now_ms)
        return []
    left: list[Send] = []
    for send in sends:
        core.resume(send)
        outcome = outcomes.get(send.what.decision_id)
        if outcome is None:
            left.append(send)
        else:
            core.settle(send, outcome, now_ms)
    return left


class _Replay:
    """Applies records to a core, one at a time."""

    def __init__(self, core: DispatchCore) -> None:
        self.core = core
        self.alive: dict[str, _Alive] = {}
        self._apply = {
            records.QUEUED: self._queued,
            records.KEPT: self._kept,
            records.ATTEMPT: self._attempt,
            records.WAITS: self._waits,
            records.OUTCOME: self._outcome,
            records.AWAITS: self._awaits,
            records.PART: self._part,
            records.RECEIPT: self._receipt,
            records.REPORTED: self._reported,
            records.SWITCH: self._switch,
            records.CURSORS: self._cursors,
            records.OPTED_OUT: self._opted_out,
            records.BASE: self._base,
        }

    def apply(self, position: int, record: Record) -> None:
        self._apply[record[0]](position, record)

    def _queued(self, position: int, record: Record) -> None:
        what = records.decided_of(record)
        self.core.seen.mark(what.decision_id)
        self.alive[what.decision_id] = _Alive(what, record[13], position)

    def _kept(self, position: int, record: Record) -> None:
        what = records.decided_of(record)
        self.alive.pop(what.decision_id, None)
        alive = self.alive[what.decision_id] = _Alive(what, record[13], position)
        alive.tries, alive.due_ms, alive.gateway, alive.day, refused, alive.doubtful, *attempted = record[14:21]
        alive.refused = tuple(refused)
        alive.attempted_ms = attempted[0] if attempted else 0  # earlier releases wrote none

    def _attempt(self, _: int, record: Record) -> None:
        decision_id, gateway, day, channel, campaign, parts, *attempted = record[1:]
        self.core.quotas.take(day, channel, campaign, parts)
        if attempted and attempted[0]:
            self.core.rates.passed(gateway, channel, parts, attempted[0] / 1000)
        alive = self.alive.get(decision_id)
        if alive is not None:
            alive.gateway, alive.day = gateway, day
            alive.attempted_ms = attempted[0] if attempted else 0  # earlier releases wrote neither this nor words
            if attempted[1:] and attempted[1] is not None:
                alive.what = alive.what._replace(text=attempted[1])

    def _waits(self, _: int, record: Record) -> None:
        decision_id, tries, due_ms, *places, refused, doubtful = record[1:]
        if not doubtful:
            self.core.quotas.give_back(*places)
        alive = self.alive.get(decision_id)
        if alive is not None:
            alive.gateway, alive.tries, alive.due_ms, alive.refused = "", tries, due_ms, tuple(refused)
            alive.doubtful = doubtful

    def _outcome(self, position: int, record: Record) -> None:
        report, (given_back, ids, ended_ms, *rest) = _report(record), record[6:]
        doubtful_parts = rest[0] if rest else 0  # earlier releases wrote neither this nor the contact's time
        contact_ms = rest[1] if len(rest) > 1 else ended_ms
        self.core.seen.mark(report.decision_id)
        if given_back:
            self.core.quotas.give_back(*given_back)
        alive = self.alive.pop(report.decision_id, None)
        if alive is not None and contact_ms is not None:
            self.core.reached.note(report.subscriber, alive.what.channel, report.decision_id, contact_ms)
        self.core.owe(report, position, contact_ms)
        earlier = self.core.receipts.of(report.decision_id)
        if ids or doubtful_parts:
            head = (report.decision_id, report.subscriber, report.gateway, tuple(ids), ended_ms, position)
            self.core.receipts.expect(Awaited(*head, 0, doubtful_parts))
        elif earlier is not None:
            self.core.receipts.forget(earlier)

    def _awaits(self, position: int, record: Record) -> None:
        decision_id, subscriber, gateway, ids, accepted_ms, *doubt = record[1:]
        head = (decision_id, subscriber, gateway, tuple(ids), accepted_ms, position)
        self.core.receipts.expect(Awaited(*head, 0, *doubt))

    def _part(self, _: int, record: Record) -> None:
        self.core.receipts.part_came(*record[1:])

    def _receipt(self, position: int, record: Record) -> None:
        report = _report(record)
        awaited = self.core.receipts.of(report.decision_id)
        if awaited is not None:
            self.core.receipts.forget(awaited)
        self.core.owe(report, position)

    def _reported(self, _: int, record: Record) -> None:
        for decision_id, state in record[1]:
            self.core.unreported.pop((decision_id, OutcomeState(state)), None)

    def _switch(self, _: int, record: Record) -> None:
        self.core.switches.set(SwitchScope(record[1]), record[2], Action(record[3]))

    def _cursors(self, _: int, record: Record) -> None:
        self.core.cursors.update(record[1])

    def _opted_out(self, _: int, record: Record) -> None:
        self.core.opted_out.add(OptOut(*record[1:]))

    def _base(self, _: int, record: Record) -> None:
        quotas, switches, cursors, seen, *later = record[1:]  # earlier releases wrote neither opt-outs nor rates
        self.core.quotas.restore(quotas)
        self.core.switches.restore(switches)
        self.core.cursors = dict(cursors)
        self.core.seen.restore(seen)
        self.core.opted_out.restore(*(later[:1] or [[]]))
        self.core.rates.restore(*(later[1:] or [[]]))


def _report(record: Record) -> Report:
    return Report(record[1], record[2], OutcomeState(record[3]), record[4], record[5])


class Compaction:
    """Lets the outbox forget: `step` now and then, between two flushes."""

    def __init__(self, core: DispatchCore) -> None:
        self._core = core
        self._mark = -1
        self._rewritten = -1
        self._cut_bytes = 0

    def step(self) -> None:
        """Write a few live records again, or begin, or end by letting old files go."""
        outbox = self._core.outbox
        if self._mark < 0:
            if outbox.kept_bytes > self._cut_bytes + 2 * outbox.segment_bytes:
                self._begin()
            return
        if not self._rewrite():
            self._end()

    def _begin(self) -> None:
        core = self._core
        self._mark = core.outbox.position
        active = [list(one) for one in core.switches.active()]
        core.opted_out.prune(core.passed)
        core.withdrawn = {
            name: why for name, why in core.withdrawn.items() if name in core.sends or not core.seen.has(name)
        }
        kept = (core.cursors, core.seen.plain(), core.opted_out.plain(), core.rates.levels())
        self._rewritten = core.outbox.put(records.base(core.quotas.counted(), active, *kept))

    def _rewrite(self) -> bool:
        """Write again what stands before the mark; return whether there may be more."""
        core = self._core
        for _ in range(_REWRITTEN_PER_STEP):
            send = next(iter(core.sends.values()), None)
            awaited = core.receipts.oldest()
            if send is not None and send.position < self._mark:
                flying = send.phase is Phase.FLYING
                send.position = self._rewritten = core.outbox.put(records.kept(send, flying=flying))
                core.sends[send.what.decision_id] = core.sends.pop(send.what.decision_id)
            elif awaited is not None and awaited.position < self._mark:
                head = (awaited.decision_id, awaited.subscriber, awaited.gateway)
                left = (awaited.ids, awaited.accepted_ms, awaited.doubtful_parts)
                self._rewritten = core.outbox.put(records.awaits(*head, *left))
                core.receipts.moved(awaited, self._rewritten)
            else:
                return False
        return True

    def _end(self) -> None:
        """Let go of files, as soon as the rewritten records are durable and nothing before the mark is owed."""
        core = self._core
        owed = next(iter(core.unreported.values()), None)
        if core.outbox.durable < self._rewritten or (owed is not None and owed.position < self._mark):
            return
        core.outbox.retain(self._mark)
        self._cut_bytes = 2 * core.outbox.kept_bytes if core.outbox.kept_bytes > core.outbox.segment_bytes else 0
        self._mark = -1
