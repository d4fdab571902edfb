"""What the desk reports to the log: visits that open and close, and how cards end.

Each call returns when the log has it. It may be made twice for the same visit or card, after a crash or a lost reply;
partitions know the doubles by the visit's id and the decision's id.
"""

from connectors.desk.model import Answer, Card, Visit
from engine.flow.feedback import Feedback
from engine.metrics import Metrics


class DeskReporter:
    """The desk's way into the log."""

    def __init__(self, feedback: Feedback, metrics: Metrics) -> None:
        self._feedback = feedback
        self._metrics = metrics

    async def visit(self, visit: Visit) -> None:
        """Report a visit that opened or closed."""
        cause = visit.cause.value if visit.cause is not None else ""
        await self._feedback.visit(visit.subscriber, visit.terminal, visit.id, opened=visit.open, cause=cause)

    async def answer(self, card: Card, answer: Answer) -> None:
        """Report how a card ended; one that no page ever drew is refunded, which gives its caps their place back."""
        refunded_by = "" if answer.shown else "desk"
        await self._feedback.answer(
            card.decision_id, card.subscriber, card.title, answer.kind, answer.note, refunded_by
        )
        self._metrics.cards.labels(answer.kind).inc()
