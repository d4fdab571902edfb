"""Taking decisions over from the journal: each is queued once, or refunded at once when it can never be sent.

A decision is seen as soon as its record is put; a restart reads decisions again from the last durable cursor, and
those that the outbox has are known by their ids.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from engine.dispatch import records
from engine.dispatch.model import Action, Decided, rule_key_of
from engine.dispatch.settle import Settling
from engine.dispatch.state import DispatchState


class Offering:
    """Decides what is taken over, and how far the caller need not read again.

    Args:
        state: what all steps share.
        settling: ends those that can never be sent.
    """

    def __init__(self, state: DispatchState, settling: Settling) -> None:
        self._state = state
        self._settling = settling
        self._pending_cursors: deque[tuple[int, Mapping[str, int]]] = deque()
        self.durable_cursors: Mapping[str, int] = {}
        """How far the caller need not read again after a restart."""

    def room(self) -> int:
        """Return how many more decisions may be offered; the rest waits in the journal."""
        state = self._state
        return max(0, state.policy.queue_max - len(state.sends) - len(state.unreported))

    def offer(self, decided: Iterable[Decided], cursors: Mapping[str, int], now_ms: int) -> None:
        """Take decisions over, in the order given; those seen before change nothing.

        What is offered together may stand in another order than in the log: it is one record of the outbox, so after a
        crash all of it was seen or nothing.
        `cursors` says how far the caller has read with them; it comes back as `cursors` after a restart.
        """
        state = self._state
        opens_ms = {name: state.local.opens_ms(one.windows, now_ms) for name, one in state.policy.channels.items()}
        every = list(decided)
        new = state.seen.new([what.decision_id for what in every])
        for what, is_new in zip(every, new, strict=True):
            if not is_new:
                state.counts["repeated"] += 1
                continue
            state.counts["offered"] += 1
            self._take_over(what, opens_ms.get(what.channel), now_ms)
        if cursors:
            # After the decisions in the outbox, never before them: a cursor that is durable without its decisions
            # would skip them after a crash.
            state.cursors.update(cursors)
            self._pending_cursors.append((state.outbox.put(records.cursors(cursors)), dict(state.cursors)))
            self.advance_cursors()

    def notify(self, notice: Decided, now_ms: int) -> None:
        """Take over a text that no rule decided."""
        channel = self._state.policy.channels.get(notice.channel)
        opens_ms = self._state.local.opens_ms(channel.windows, now_ms) if channel is not None else None
        self._take_over(notice, opens_ms, now_ms)

    def _take_over(self, what: Decided, opens_ms: int | None, now_ms: int) -> None:
        state = self._state
        parts = state.parts_of(what)
        error = self._hopeless(what, parts, opens_ms, now_ms)
        if error:
            self._settling.refuse(what, error, now_ms)
        else:
            order = state.next_order
            state.enqueue(what, parts, order, state.outbox.put(records.queued(what, order)))

    def advance_cursors(self) -> None:
        """Let the durable cursors follow the outbox.

        They are before `cursors` by what is not committed yet. Whoever trims the journal must use the durable ones.
        """
        while self._pending_cursors and self._pending_cursors[0][0] <= self._state.outbox.durable:
            self.durable_cursors = self._pending_cursors.popleft()[1]

    def restored(self) -> None:
        """Start from what the outbox says; everything in it is durable."""
        self.durable_cursors = dict(self._state.cursors)

    def _hopeless(self, what: Decided, parts: int, opens_ms: int | None, now_ms: int) -> str:
        """Return why a decision can never be sent; empty when it can."""
        state = self._state
        if what.fault or opens_ms is None:
            return what.fault or "NO_CHANNEL"
        if state.switches.action(rule_key_of(what)) is Action.KILL:
            return "KILLED"
        given_up = self._given_up(what)
        if given_up:
            return given_up
        if what.expires_ms <= now_ms:
            return "EXPIRED"
        if state.quotas.never_fits(what.channel, what.campaign, parts):
            return "QUOTA"
        return "NO_WINDOW" if opens_ms >= what.expires_ms else ""

    def _given_up(self, what: Decided) -> str:
        """Return why a decision is no longer wanted: by a later book, or about its subscriber."""
        state = self._state
        if what.book and what.book != state.policy.book and (lost := state.policy.lost_rule(what.rule)):
            return lost
        taken_back = state.taken_back(what)
        state.withdrawn.pop(what.decision_id, None)
        return taken_back
