"""What the partitions that a worker sends have in common."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.dispatch import OnOutcome, Policy
from engine.dispatch.shared import Shared
from engine.flow.clock import Clock
from engine.flow.feedback import Feedback
from engine.runtimes.cluster.dispatch.exchange import Exchange
from engine.runtimes.cluster.dispatch.wording import Wording
from engine.runtimes.cluster.shared.moments import Rested
from engine.runtimes.cluster.shared.record_guard import RecordGuard
from engine.settings.config import Config
from rules.model import Book

DECISIONS, RECEIPTS, MOMENT = "decisions", "receipts", "moment"
"""Cursors of the outbox: offsets of what is read next; on the events' own clock, the time up to which all is done."""
CURSORS_S = 5.0
"""How often a partition that has nothing to send records up to where it has come."""


@dataclass(frozen=True, slots=True)
class DispatchContext:
    """What the partitions of a worker have in common.

    `policy_of` says how a partition is sent by a book, `report` publishes that a partition rests. On the events' own
    clock a partition has a clock and rates of its own, so that no other changes its times.
    """

    config: Config
    clock: Clock
    wording: Wording
    exchange: Exchange
    feedback: Feedback
    on_outcome: OnOutcome
    shared: Shared
    guard: RecordGuard
    policy_of: Callable[[int, Book], Policy]
    report: Callable[[Rested], Awaitable[object]]
