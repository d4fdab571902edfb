"""Bugs on purpose: each is a context in which every worker has it. The judges must find every one of them.

The first two are faults that this project once had, and that only hours of chaos found.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import engine.runtimes.cluster.decide.fold as fold_module
from engine.runtimes.cluster.decide.owned import Owned
from engine.runtimes.cluster.decide.service import Decide
from engine.runtimes.cluster.shared.packed_records import NONE
from state.decisions import DecisionBatch
from state.frame import Frame
from tests.simulation.plants import deadlines_one_alone, resent_unknown, sent_before_durable


@contextmanager
def frame_passed_over() -> Iterator[None]:
    """A frame that nobody took while a partition changed hands is not read from the log again."""

    async def take(self: Decide, number: int, record: Any) -> None:
        one = self.owned.get(number)
        if one is not None and record.offset > one.folded:
            await self._take(one, record, one.rests)

    with patch.object(Decide, "take", take):
        yield


@contextmanager
def frames_side_by_side() -> Iterator[None]:
    """A frame that decides nothing may overtake one whose decisions wait to be sent."""

    async def take(self: Owned, position: int, frame: Frame) -> Any:
        if self._ended or position <= self.folded:
            return None
        return await self._take(position, frame)

    with patch.object(Owned, "take", take):
        yield


@contextmanager
def repeated_records() -> Iterator[None]:
    """Raw records that two intakes packed are folded twice."""
    with patch.object(fold_module, "leave_out_repeated", lambda _frame, _reached: NONE):
        yield


@contextmanager
def decisions_not_redone() -> Iterator[None]:
    """Who takes a partition over sends none of the decisions that the owner before did not."""
    send = Owned._send

    async def live_alone(self: Owned, position: int, rows: int, decisions: DecisionBatch) -> None:
        if rows:
            await send(self, position, rows, decisions)

    with patch.object(Owned, "_send", live_alone):
        yield


PLANTS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "a frame is passed over when a partition changes hands twice": frame_passed_over,
    "a frame that decides nothing runs ahead": frames_side_by_side,
    "records that were packed twice are folded twice": repeated_records,
    "decisions are not redone after a takeover": decisions_not_redone,
    "a text is sent before its attempt is durable": sent_before_durable,
    "what nobody can say anything about is sent again": resent_unknown,
    "deadlines that come together are lost but for one": deadlines_one_alone,
}
"""Bugs by what they do."""
