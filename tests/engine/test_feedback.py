"""What the desk says of cards becomes rows: an answer, and with it the refund of a card that nobody drew."""

import asyncio
from collections.abc import Mapping, Sequence

from connectors.desk.model import Answer, Card
from engine.counter.desk_reporter import DeskReporter
from engine.flow.feedback import Feedback
from engine.metrics import Metrics
from state.batch import Row
from state.decisions import OutcomeState

NOW_MS = 1_225_756_800_000
CARD = Card(
    decision_id="0-5-1-ff", subscriber=8613800000001, title="o", reason="r", script="", price="", priority=1,
    expires_ms=0, rule="r", campaign="c",
)  # fmt: skip


class Appended:
    """A log that keeps what it is given, an append each."""

    def __init__(self) -> None:
        self.appends: list[list[Row]] = []

    async def append(self, rows: Sequence[Row]) -> Mapping[int, int]:
        self.appends.append(list(rows))
        return {0: 0}

    def fields_of(self, event: str) -> frozenset[str]:
        raise AssertionError(f"nobody asks for the fields of {event} here")


def reported(*, shown: bool) -> list[list[Row]]:
    log = Appended()
    reporter = DeskReporter(Feedback(log, lambda: NOW_MS), Metrics())
    asyncio.run(reporter.answer(CARD, Answer(kind="expired", note="", at_ms=NOW_MS, shown=shown)))
    return log.appends


def test_a_card_that_nobody_drew_is_answered_and_refunded_in_one_append() -> None:
    ((answer, outcome),) = reported(shown=False)
    named = {"partition": 0, "position": 5, "row": 1, "rule": 255}
    assert (answer.type, answer.values["answer"]) == ("answer", "expired")
    assert (outcome.type, outcome.values["state"], outcome.values["gateway"]) == (
        "outcome", OutcomeState.REFUNDED, "desk",
    )  # fmt: skip
    assert all(row.values[name] == number for row in (answer, outcome) for name, number in named.items())


def test_a_card_that_was_drawn_is_answered_and_keeps_its_place() -> None:
    assert [[row.type for row in rows] for rows in reported(shown=True)] == [["answer"]]
