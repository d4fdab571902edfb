"""Rare states that worlds must have been in: a search that never came there proves nothing about them.

Brokers, groups, workers and judges count what they see; `watched` counts what only the code under test knows.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from engine.dispatch.settle import Settling
from engine.flow.due_sleepers import DueSleepers
from engine.runtimes.cluster.decide.owned import Owned
from engine.runtimes.cluster.decide.service import Decide
from engine.runtimes.cluster.dispatch.exchange import Exchange
from state.sleepers import Sleepers

GOALS = (
    # partitions and their owners
    "killed while partitions were restored",
    "killed with decisions on their way",
    "killed with pages not written",
    "killed with texts on their way",
    "partitions were given anew while a transaction was open",
    "a partition changed hands twice within a second",
    "a member gave back too late",
    "a frozen worker went on after its partitions were given to others",
    "a partition went on from memory",
    "a partition could not go on from memory",
    "frames came from the log that no stream had brought",
    # the brokers
    "an answer was lost",
    "a fenced owner wrote",
    "taken over while a transaction was open",
    "a commit came too late",
    # redo
    "a redo folded events",
    "decisions were sent in redo",
    "a redo began after pages",
    "a subscriber woke in redo",
    "decided twice and dropped",
    "packed twice",
    # sending
    "an attempt without an answer was found in an outbox",
    "a receipt was carried to another worker",
    # deadlines
    "a deadline fired",
    "a row of a deadline changed nothing",
    "sleepers were woken for their deadlines",
    # workers
    "a worker ended by itself",
    "ended in order",
)


def unreached(counted: Mapping[str, int]) -> list[str]:
    """Return the goals that were never seen."""
    return [goal for goal in GOALS if not counted.get(goal)]


@contextmanager
def watched(counted: defaultdict[str, int]) -> Iterator[None]:
    """Count the states that only the code under test knows."""
    open_, send, go_on, catch_up = Owned.open, Owned._send, Decide._go_on, Decide._catch_up
    unknown, publish, wake = Settling.unknown, Exchange._publish, Sleepers.wake

    async def opened(self: Owned, inform: Any) -> None:
        await open_(self, inform)
        counted["a redo folded events"] += self.restored.refolded > 0
        counted["a redo began after pages"] += self.restored.refolded > 0 and self.fold.flusher.redo_from > 0

    async def sent(self: Owned, position: int, rows: int, decisions: Any) -> None:
        counted["decisions were sent in redo"] += rows == 0
        await send(self, position, rows, decisions)

    async def went_on(self: Decide, one: Owned) -> bool:
        goes_on = await go_on(self, one)
        counted["a partition went on from memory" if goes_on else "a partition could not go on from memory"] += 1
        return goes_on

    async def caught_up(self: Decide, one: Owned) -> None:
        before = one.folded
        await catch_up(self, one)
        counted["frames came from the log that no stream had brought"] += one.folded > before

    def unknown_now(self: Settling, send_: Any, code: str, now_ms: int) -> None:
        counted["an attempt without an answer was found in an outbox"] += code == "RESTART"
        unknown(self, send_, code, now_ms)

    async def published(self: Exchange, said: dict[str, Any]) -> None:
        await publish(self, said)
        counted["a receipt was carried to another worker"] += "receipt" in said

    def woke(self: Sleepers, subscribers: Any, slots: Any, position: int, redone: Any) -> Any:
        stamps = wake(self, subscribers, slots, position, redone)
        counted["a subscriber woke in redo"] += redone is not None and bool((stamps >= 0).any())
        return stamps

    with ExitStack() as stack:
        for owner, name, value in (
            (Owned, "open", opened),
            (Owned, "_send", sent),
            (Decide, "_go_on", went_on),
            (Decide, "_catch_up", caught_up),
            (Settling, "unknown", unknown_now),
            (Exchange, "_publish", published),
            (Sleepers, "wake", woke),
            (DueSleepers, "_wake_some", _woken_for_deadlines(counted)),
        ):
            stack.enter_context(patch.object(owner, name, value))
        yield


def _woken_for_deadlines(counted: defaultdict[str, int]) -> Any:
    """Return what wakes sleepers whose deadlines may have come, and counts them."""
    wake = DueSleepers._wake_some

    def woken(self: DueSleepers, found: Any, position: int) -> None:
        counted["sleepers were woken for their deadlines"] += len(found)
        wake(self, found, position)

    return woken
