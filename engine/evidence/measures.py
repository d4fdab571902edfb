"""What is counted of records and their effects, and which shares of what are told.

A measure is 1 or 0, or an amount, for each record of a block; a rate is one measure over another, so every share in a
report stands beside its denominator.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.evidence.effects import End, Window
from engine.evidence.joined import Block
from engine.evidence.words import Words
from engine.metrics import ANSWERS

Marks = NDArray[np.bool_]
Counted = NDArray[np.bool_] | NDArray[np.float64]


class Look:
    """One block, with what several measures share."""

    def __init__(self, block: Block, words: Words, desk: NDArray[np.bool_]) -> None:
        self.judged = block.judged
        self.held_out = block.held_out
        self.rehearsed = block.rehearsed
        self.decided = block.made & ~block.held_out
        self.effects = block.effects
        self.ends = block.effects["ends"]
        self.desk = desk
        self._answers = {word: words.number(word) for word in ANSWERS}

    def ended(self, end: End) -> NDArray[np.bool_]:
        """Return the decisions of which this was said."""
        found: Marks = self.decided & (self.ends & end != 0)
        return found

    def answered(self, word: str) -> NDArray[np.bool_]:
        """Return the decisions that were answered with a word."""
        found: Marks = self.ended(End.ANSWERED) & (self.effects["answer"] == self._answers[word])
        return found

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Return what was seen: a card that a page drew; elsewhere what was delivered, or answered by the customer.

        The desk takes a card before a page draws it, and gives back one that none drew, so a card counts when it ended.
        """
        ended = self.ended(End.ANSWERED)
        drawn = ended & (self.ends & End.REFUNDED == 0)
        found: Marks = np.where(self.desk, drawn, ended | self.ended(End.DELIVERED))
        return found

    @property
    def contacted(self) -> NDArray[np.bool_]:
        """Return the decisions that a goal is about and that reached somebody."""
        found: Marks = self.decided & (self.effects["window"] != Window.NONE)
        return found

    @property
    def over(self) -> NDArray[np.bool_]:
        """Return the records past the time of their goal."""
        found: Marks = self.effects["window"] == Window.OVER
        return found

    @property
    def converted(self) -> NDArray[np.bool_]:
        """Return the records that reached their goal."""
        found: Marks = self.effects["conversions"] > 0
        return found


@dataclass(frozen=True, slots=True)
class Measure:
    """`text` says what is counted; `of` names the measure that it is a share of, empty for none."""

    text: str
    count: Callable[[Look], Counted]
    of: str = ""
    amount: bool = False


MEASURES: Mapping[str, Measure] = {
    "candidates": Measure("candidates, decided or stopped", lambda one: one.judged),
    "stopped": Measure(
        "stopped by a gate, control groups and shadows apart",
        lambda one: one.judged & ~one.decided & ~one.held_out & ~one.rehearsed,
        "candidates",
    ),
    "shadow": Measure("what rules in shadow would have decided", lambda one: one.rehearsed, "candidates"),
    "held_out": Measure("held out: in a control group", lambda one: one.held_out, "candidates"),
    "decided": Measure("decided", lambda one: one.decided, "candidates"),
    "waiting": Measure("decided, and nothing is known of it yet", lambda one: one.decided & (one.ends == 0), "decided"),
    "withdrawn": Measure("withdrawn in the fold before it went", lambda one: one.ended(End.WITHDRAWN), "decided"),
    "refunded": Measure("certainly reached nobody", lambda one: one.ended(End.REFUNDED), "decided"),
    "unknown": Measure("nobody knows whether it went", lambda one: one.ended(End.UNKNOWN), "decided"),
    "sent": Measure("accepted by the gateway, or taken by the desk", lambda one: one.ended(End.SENT), "decided"),
    "delivered": Measure("delivered, says the network", lambda one: one.ended(End.DELIVERED), "sent"),
    "undelivered": Measure("not delivered, says the network", lambda one: one.ended(End.UNDELIVERED), "sent"),
    "shown": Measure("seen: a card drawn, a text delivered or answered", lambda one: one.shown, "decided"),
    "accepted": Measure("accepted by the customer", lambda one: one.answered("accept"), "shown"),
    "declined": Measure("declined by the customer", lambda one: one.answered("decline"), "shown"),
    "later": Measure("put off by the customer", lambda one: one.answered("later"), "shown"),
    "unanswered": Measure(
        "drawn, and gone without an answer",
        lambda one: one.shown & (one.answered("expired") | one.answered("withdrawn")),
        "shown",
    ),
    "replied": Measure("answered by a text of the customer", lambda one: one.ended(End.REPLIED), "sent"),
    "contacts_over": Measure("contacts past the time of their goal", lambda one: one.contacted & one.over),
    "converted": Measure(
        "of them, reached the goal", lambda one: one.contacted & one.over & one.converted, "contacts_over"
    ),
    "converted_early": Measure(
        "reached the goal, with time still left: in no share, which would be one of winners alone",
        lambda one: one.contacted & ~one.over & one.converted,
    ),
    "held_out_over": Measure("held out, and past the time of the goal", lambda one: one.held_out & one.over),
    "held_out_converted": Measure(
        "of them, reached the goal", lambda one: one.held_out & one.over & one.converted, "held_out_over"
    ),
    "value": Measure(
        "what the goals reached by contacts are worth",
        lambda one: np.where(one.contacted, one.effects["value"], 0.0),
        amount=True,
    ),
}
"""By the name of its column, in the order of the columns."""

NAMES = tuple(MEASURES)
RATES = {f"{name}_of_{one.of}": (name, one.of) for name, one in MEASURES.items() if one.of}
"""Columns of shares: which measure over which."""


def percent(part: float, whole: float) -> str:
    """Return a share as 64.48%, empty where there is nothing to share."""
    return f"{100 * part / whole:.2f}%" if whole else ""
