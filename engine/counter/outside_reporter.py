"""What outside channels report to the log: the fourth way in which a decision ends, beside gateways, receipts and desk.

    accepted   the customer took the offer           an answer `accept`, and it was delivered
    declined   the customer said no                  an answer `decline`, and it was delivered
    shown      the customer saw it                   delivered
    failed     it reached nobody                     not delivered, `note` says why

A report may come twice: partitions know a repeated answer by its decision, and a delivery counts once.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from engine.flow.feedback import Feedback
from state.decisions import OutcomeState

OUTSIDE = "outside"
"""The gateway in the outcomes."""
_WORDS = {"accepted": "accept", "declined": "decline"}


class Said(Protocol):
    """One report."""

    id: str
    subscriber: int
    state: Literal["accepted", "declined", "shown", "failed"]
    note: str


class OutsideReporter:
    """The way of outside channels into the log."""

    def __init__(self, feedback: Feedback) -> None:
        self._feedback = feedback

    async def said(self, reports: Sequence[Said]) -> None:
        """Record reports; returns when the log has them."""
        for one in reports:
            if one.state in _WORDS:
                await self._feedback.answer(one.id, one.subscriber, "", _WORDS[one.state], one.note)
        await self._feedback.outcomes(
            [
                (
                    one.id,
                    one.subscriber,
                    OutcomeState.UNDELIVERED if one.state == "failed" else OutcomeState.DELIVERED,
                    OUTSIDE,
                    one.note if one.state == "failed" else "",
                )
                for one in reports
            ]
        )
