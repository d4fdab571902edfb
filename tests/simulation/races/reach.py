"""States that races must have been in: a search that never came there proves nothing about them.

The race counts what it does; `watched` counts what only the engine knows. The judge sees none of this.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from engine.dispatch.model import Phase
from engine.dispatch.settle import Settling
from engine.dispatch.take import Taking
from engine.dispatch.withdraw import Withdrawing

_REASONS = {
    "WITHDRAWN list": "a list took back what waited",
    "WITHDRAWN eligibility": "a profile took back what waited",
    "WITHDRAWN paused": "a paused text was taken back",
    "WITHDRAWN channel paused": "a paused text was taken back",
    "OPTED_OUT": "an opt-out took back what waited",
    "KILLED": "a kill took back what waited",
    "RULE_GONE": "a book without its rule took back what waited",
    "RULE_DISABLED": "a book that disables its rule took back what waited",
    "EXPIRED": "a text expired while it waited",
}

GOALS = (
    *dict.fromkeys(_REASONS.values()),
    "crash",
    "crash in recovery",
    "killed between submit and answer",
    "killed during an opt-out",
    "an opt-out came while a text was in flight",
    "an opt-out came behind a full queue",
    "an opt-out was acknowledged",
    "it was taken back before dispatch had it",
    "it was taken back while it was in flight",
    "a text went in the words of a later book",
    "a text went in its own words, as the later ones need what was not kept",
    "a text waited for its window",
    "unknown",
)


CLUSTER_GOALS = (
    "an opt-out took back what waited",
    "a profile took back what waited",
    "a book without its rule took back what waited",
    "an opt-out came while a text was in flight",
    "an opt-out was acknowledged",
    "a reply was not acknowledged",
    "killed with texts on their way",
    "a frozen worker went on after its partitions were given to others",
    "an attempt without an answer was found in an outbox",
)


def unreached(counted: Mapping[str, int], goals: Iterable[str] = GOALS) -> list[str]:
    """Return the goals that were never seen."""
    return [goal for goal in goals if not counted.get(goal)]


@contextmanager
def watched(counted: defaultdict[str, int] | Counter[str]) -> Iterator[None]:
    """Count the states that only the engine knows."""
    refund, refuse, withdraw = Settling.refund, Settling.refuse, Withdrawing.withdraw
    word, channels_open = Taking._word, Taking._channels_open

    def refunded(self: Settling, send: Any, error: str, now_ms: int, *, attempted: bool) -> None:
        for reason, goal in _REASONS.items():
            counted[goal] += error.startswith(reason)
        refund(self, send, error, now_ms, attempted=attempted)

    def refused(self: Settling, what: Any, error: str, now_ms: int) -> None:
        counted["it was taken back before dispatch had it"] += error.startswith(("WITHDRAWN", "OPTED_OUT"))
        refuse(self, what, error, now_ms)

    def withdrawn(self: Withdrawing, one: Any, now_ms: int) -> None:
        send = self._state.sends.get(one.decision_id)
        counted["it was taken back while it was in flight"] += send is not None and send.phase is Phase.FLYING
        withdraw(self, one, now_ms)

    def worded(self: Taking, send: Any) -> None:
        policy, before = self._state.policy, send.what
        word(self, send)
        counted["a text went in the words of a later book"] += send.reworded
        later = policy.words is not None and before.book != policy.book and before.book != ""
        counted["a text went in its own words, as the later ones need what was not kept"] += (
            later and send.what is before
        )

    def opened(self: Taking, now_ms: int) -> set[str]:
        found = channels_open(self, now_ms)
        counted["a text waited for its window"] += not found and bool(self._state.sends)
        return found

    with ExitStack() as stack:
        for owner, name, value in (
            (Settling, "refund", refunded),
            (Settling, "refuse", refused),
            (Withdrawing, "withdraw", withdrawn),
            (Taking, "_word", worded),
            (Taking, "_channels_open", opened),
        ):
            stack.enter_context(patch.object(owner, name, value))
        yield
