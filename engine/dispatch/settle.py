"""What follows from an answer: committed, unknown, refunded, or another try; and what a receipt says later.

Every end is a record in the outbox and a report that is owed to the log. A send that may have reached a subscriber is
never refunded: its places in caps and quotas stay taken.
"""

from collections.abc import Sequence

from connectors.contract import Outcome, Receipt, State
from engine.dispatch import records
from engine.dispatch.model import Action, Decided, Places, Report, Send, rule_key_of
from engine.dispatch.receipts import Awaited
from engine.dispatch.retries import wait_ms
from engine.dispatch.state import DispatchState, places_of
from state.decisions import OutcomeState


class Settling:
    """Ends sends, or lets them try again."""

    def __init__(self, state: DispatchState) -> None:
        self.state = state

    def settle(self, send: Send, outcome: Outcome, now_ms: int) -> None:
        """Draw the conclusion from the outcome of an attempt."""
        self.state.in_flight -= 1
        if outcome.state is not State.UNKNOWN:  # that is counted where it ends, or is tried again
            self.state.counts[outcome.state.value] += 1
        if outcome.state is State.ACCEPTED:
            self._end(send, OutcomeState.COMMITTED, "", outcome.gateway_message_ids, now_ms)
        elif outcome.state is State.UNKNOWN:
            self.unknown(send, outcome.code, now_ms)
        elif outcome.state is State.PERMANENT:
            self.refund(send, outcome.code or "REFUSED", now_ms, attempted=True)
        else:
            self._again(send, outcome, now_ms)

    def unknown(self, send: Send, code: str, now_ms: int) -> None:
        """End an attempt that nobody can say the outcome of, unless sending twice is allowed."""
        state = self.state
        door = state.doors.get(send.gateway)
        service = state.policy.resend_unknown_service and send.what.klass == "service"
        if service or (door is not None and door.repeatable):
            send.doubtful = True
            state.counts["doubtful"] += 1
            self._again(send, Outcome(State.RETRY, code), now_ms)
        else:
            self._end(send, OutcomeState.UNKNOWN, code or "UNKNOWN", (), now_ms)

    def refund(self, send: Send, error: str, now_ms: int, *, attempted: bool) -> None:
        """Give the caps their place back, unless an earlier attempt may have reached the subscriber.

        `attempted`: the last attempt holds places of quotas, which go back too.
        """
        if send.doubtful:
            self._end(send, OutcomeState.UNKNOWN, error, (), now_ms)
            return
        what = send.what
        given_back = places_of(send) if attempted else None
        if given_back:
            self.state.quotas.give_back(*given_back)
        report = Report(what.decision_id, what.subscriber, OutcomeState.REFUNDED, send.gateway, error)
        self.state.forget(send)
        self._report(report, given_back, now_ms)

    def refuse(self, what: Decided, error: str, now_ms: int) -> None:
        """Refund a decision that was never queued."""
        report = Report(what.decision_id, what.subscriber, OutcomeState.REFUNDED, "", error)
        self._report(report, None, now_ms)

    def note_receipt(self, receipt: Receipt, now_ms: int) -> None:
        """Match a receipt to its message, and record what it says."""
        matched = self.state.receipts.match(receipt, now_ms)
        if matched is None:
            return
        if matched.report is None:
            awaited = matched.awaited
            self.state.outbox.put(records.part(awaited.gateway, matched.message_id, awaited.decision_id))
        elif receipt.decision_id:
            self._learn(matched.report, matched.awaited, receipt.part_ids, now_ms)
        else:
            position = self.state.outbox.put(records.receipt(matched.report, matched.awaited.ids))
            self.state.owe(matched.report, position)

    def _again(self, send: Send, outcome: Outcome, now_ms: int) -> None:
        """Let a send wait for another try, while there is one."""
        what, state = send.what, self.state
        policy = state.channel_policy(what.channel)
        if outcome.state is State.REROUTE:
            send.refused = (*send.refused, send.gateway)
        elif outcome.state is State.RETRY and outcome.retry_after_ms is None:  # a full gateway costs no try
            send.tries += 1
        routes_left = set(policy.route) - set(send.refused)
        if state.switches.action(rule_key_of(what)) is Action.KILL:
            self.refund(send, "KILLED", now_ms, attempted=True)
        elif lost := state.policy.lost_rule(what.rule):
            self.refund(send, lost, now_ms, attempted=True)
        elif taken_back := state.taken_back(what):
            self.refund(send, taken_back, now_ms, attempted=True)
        elif send.tries >= policy.attempts_max or not routes_left:
            self.refund(send, outcome.code or outcome.state.value, now_ms, attempted=True)
        elif send.expires_ms <= now_ms:
            self.refund(send, "EXPIRED", now_ms, attempted=True)
        else:
            wait = 0
            if outcome.state is not State.REROUTE:  # another gateway has not refused it: no reason to wait
                wish_ms = outcome.retry_after_ms
                wait = wait_ms(what.decision_id, send.tries, policy.retry_ms_min, policy.retry_ms_max, wish_ms)
            if not send.doubtful:  # a doubtful one may be on the air and keeps its places
                state.quotas.give_back(*places_of(send))
            state.queue.back_off(send, now_ms + wait)
            state.outbox.put(records.waits(send))

    def _end(self, send: Send, state: OutcomeState, error: str, ids: Sequence[str], now_ms: int) -> None:
        what = send.what
        self.state.forget(send)
        report = Report(what.decision_id, what.subscriber, state, send.gateway, error)
        # Of a send that was tried again in doubt, one late answer does not say what became of the other attempts.
        doubtful_parts = send.parts if state is OutcomeState.UNKNOWN and not send.doubtful else 0
        # On the events' clock dispatch may be a minute before the decision's own time: nobody is reached before that.
        contact_ms = max(now_ms if state is OutcomeState.COMMITTED else send.attempted_ms, send.what.append_ms)
        self.state.reached.note(what.subscriber, what.channel, what.decision_id, contact_ms)
        self._expect(report, ids, (send.attempted_ms, doubtful_parts), now_ms, contact_ms)

    def _learn(self, report: Report, awaited: Awaited, ids: Sequence[str], now_ms: int) -> None:
        """Put the gateway's own late answer in the place of an unknown outcome."""
        self._expect(report, ids, (awaited.attempted_ms, 0), now_ms, awaited.attempted_ms or now_ms)

    def _expect(
        self, report: Report, ids: Sequence[str], attempt: tuple[int, int], now_ms: int, contact_ms: int
    ) -> None:
        """Report an end, and wait for the receipts that may still come; those that came early are taken now."""
        ids = tuple(message_id for message_id in ids if message_id)
        doubtful_parts = attempt[1]
        position = self._report(report, None, now_ms, ids, doubtful_parts, contact_ms)
        if ids or doubtful_parts:
            head = (report.decision_id, report.subscriber, report.gateway, ids, now_ms, position)
            for early in self.state.receipts.expect(Awaited(*head, *attempt)):
                self.note_receipt(early, now_ms)

    def _report(
        self,
        report: Report,
        given_back: Places | None,
        now_ms: int,
        ids: tuple[str, ...] = (),
        doubtful_parts: int = 0,
        contact_ms: int | None = None,
    ) -> int:
        record = records.outcome(report, given_back, ids, now_ms, doubtful_parts, contact_ms)
        position = self.state.outbox.put(record)
        self.state.owe(report, position, contact_ms)
        return position
