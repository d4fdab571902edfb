"""Sends that are taken back before they go: killed by operations, refused by their subscriber, or expired."""

from itertools import islice

from engine.dispatch.model import Action, Phase, RuleKey, Withdrawn
from engine.dispatch.opted_out import OptOut
from engine.dispatch.settle import Settling
from engine.dispatch.state import OPTED_OUT, DispatchState

_REFUNDED_PER_TURN = 2_000


class Withdrawing:
    """Refunds waiting sends. Those that are with their gateway are left alone: their answer decides.

    Args:
        state: what all steps share.
        settling: ends them.
    """

    def __init__(self, state: DispatchState, settling: Settling) -> None:
        self._state = state
        self._settling = settling
        self._killed: dict[RuleKey, str] = {}

    def find_killed(self) -> None:
        """Look for rule queues of what is killed, and of rules that the active book does not have, or not enabled."""
        queues, state = self._state.queue.rule_queues, self._state
        killed = {key: "KILLED" for key in queues if state.switches.action(key) is Action.KILL}
        lost = {key: reason for key in queues if (reason := state.policy.lost_rule(key.rule))}
        self._killed = lost | killed

    @property
    def pending(self) -> bool:
        """Whether killed sends are still to be refunded."""
        return bool(self._killed)

    def refund_killed(self, now_ms: int) -> None:
        """Refund some of the killed sends: a bounded number a turn, so a large queue stalls nothing else."""
        if not self._killed:
            return
        queues = self._state.queue.rule_queues
        found = [(queues[key], reason) for key, reason in self._killed.items() if key in queues]
        waiting = ((send, why) for queue, why in found for send in queue.sends if send.phase is not Phase.FLYING)
        leaving = list(islice(waiting, _REFUNDED_PER_TURN))
        for send, reason in leaving:
            self._settling.refund(send, reason, now_ms, attempted=False)
        if len(leaving) < _REFUNDED_PER_TURN:
            self._killed = {}

    def refund_expired(self, now_ms: int) -> None:
        """Refund sends whose shelf life is over."""
        for send in self._state.queue.expired(now_ms):
            self._settling.refund(send, "EXPIRED", now_ms, attempted=False)

    def withdraw(self, one: Withdrawn, now_ms: int) -> None:
        """End a decision that the fold has taken back: now, when it comes, or when the gateway does not take it."""
        state = self._state
        send = state.sends.get(one.decision_id)
        if send is not None and send.phase is not Phase.FLYING:
            self._settling.refund(send, one.reason, now_ms, attempted=False)
        elif send is not None or not state.seen.has(one.decision_id):
            state.withdrawn[one.decision_id] = one.reason

    def opt_out(self, opt_out: OptOut, now_ms: int) -> int:
        """Refund what waits for a subscriber and was decided before its opt-out; return how many."""
        state = self._state
        waiting = [send for send in state.sends_to(opt_out.subscriber) if send.phase is not Phase.FLYING]
        leaving = [send for send in waiting if state.opted_out.refuses(send.what)]
        for send in leaving:
            self._settling.refund(send, OPTED_OUT, now_ms, attempted=False)
        return len(leaving)
