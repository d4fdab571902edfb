"""Rare states that worlds must have been in: a search that never came there proves nothing about them.

World and judges count what they do and see; `watched` counts what only the engine knows.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from engine.dispatch.settle import Settling
from engine.flow.fold import Appended
from engine.flow.partition import Partition
from state.sleepers import Sleepers

GOALS = (
    # ends of processes
    "crash",
    "crash in recovery",
    "disk full",
    "waited for room",
    "outbox full",
    "a crash ended several tasks of workers",
    # the flow
    "several tasks of workers were on their way",
    "a source waited for room",
    # redo
    "a redo folded events",
    "a redo began after pages",
    "decisions were written in redo",
    "a subscriber woke in redo",
    "a redo met a book's activation",
    # the log
    "lines were left out that stood in the log",
    "ids were left out that came before",
    "retention removed frames",
    "a book was activated while lines waited",
    # sending
    "an attempt without an answer was found in the outbox",
    "a refund came in a later life than its decision",
    "a receipt came in a later life than its decision",
    "a switch was said again after a crash",
    # deadlines
    "a deadline fired",
    "a deadline fired in a later life than it was armed",
)


def unreached(counted: Mapping[str, int]) -> list[str]:
    """Return the goals that were never seen."""
    return [goal for goal in GOALS if not counted.get(goal)]


@contextmanager
def watched(counted: Counter[str]) -> Iterator[None]:
    """Count the states that only the engine knows."""
    recover, unseen, apply = Partition.recover, Partition._unseen, Partition.apply
    unknown, wake = Settling.unknown, Sleepers.wake

    def recovered(self: Partition, redo: Any) -> int:
        def written(appended: Appended) -> None:
            counted["decisions were written in redo"] += 1
            redo(appended)

        folded = recover(self, written)
        counted["a redo folded events"] += folded > 0
        counted["a redo began after pages"] += folded > 0 and self.flusher.redo_from > 0
        counted["retention removed frames"] += self.log.first_position > 0
        return folded

    def applied(self: Partition, position: int, frame: Any) -> Any:
        counted["a redo met a book's activation"] += self._stamps is not None and frame.kind == frame.kind.ACTIVATION
        return apply(self, position, frame)

    def unseen_now(self: Partition, item: Any) -> Any:
        before = self.counts.repeated
        found = unseen(self, item)
        counted["lines were left out that stood in the log"] += self.counts.repeated > before
        return found

    def unknown_now(self: Settling, send: Any, code: str, now_ms: int) -> None:
        counted["an attempt without an answer was found in the outbox"] += code == "RESTART"
        unknown(self, send, code, now_ms)

    def woke(self: Sleepers, subscribers: Any, slots: Any, position: int, redone: Any) -> Any:
        stamps = wake(self, subscribers, slots, position, redone)
        counted["a subscriber woke in redo"] += redone is not None and bool((stamps >= 0).any())
        return stamps

    with ExitStack() as stack:
        for owner, name, value in (
            (Partition, "recover", recovered),
            (Partition, "apply", applied),
            (Partition, "_unseen", unseen_now),
            (Settling, "unknown", unknown_now),
            (Sleepers, "wake", woke),
        ):
            stack.enter_context(patch.object(owner, name, value))
        yield
