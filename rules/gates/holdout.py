"""Holdout: a control group that receives nothing, so that the effect of the rest can be measured.

Membership is a hash of the subscriber and the level's own salt, so it never changes, needs no memory, and the groups of
two campaigns are independent. A service message is held out by its own rule only. It is asked last: a candidate that is
held out takes its place in arbitration, among the decisions of its event and under every cap. The detail is the level:
0 the rule, 1 its campaign, 2 everything, 3 the arm `control` (`rules.gates.arm`). The salt of everything is no book's
own: whom one book holds out of all, every later one does that holds out as many.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.arm import ticket
from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate
from rules.model import Book, Rule
from state.hashing import stable_id
from state.jit import part

LEVELS = 4
CONTROL_LEVEL = 3


class Holdouts(NamedTuple):
    """By rule and level, int64[rules, 4]: how many millionths are held out, and the salt that draws them."""

    ppm: NDArray[np.int64]
    salt: NDArray[np.int64]


def _columns(book: Book) -> Holdouts:
    ppm, salt = np.zeros((len(book.rules), LEVELS), np.int64), np.zeros((len(book.rules), LEVELS), np.int64)
    campaigns, whole_salt = {name: stable_id(f"campaign:{name}") for name in book.campaigns}, stable_id("all")
    for index, rule in enumerate(book.rules):
        commercial = rule.klass != "service"
        campaign, whole = book.campaigns[rule.campaign].holdout_ppm, book.holdout_ppm
        control, of_arms = (rule.arms.control_ppm, rule.arms.salt) if rule.arms is not None else (0, 0)
        ppm[index] = rule.holdout_ppm, campaign * commercial, whole * commercial, control
        salt[index] = rule.stable_id, campaigns[rule.campaign], whole_salt, of_arms
    return Holdouts(ppm, salt)


@part
def held_out(holdouts: Holdouts, scene: Scene, row: int, rule: int) -> int:
    """Stop a subscriber among the millionths that a level's salt draws."""
    subscriber = scene.rows.subscriber[row]
    for level in range(LEVELS):
        ppm = holdouts.ppm[rule, level]
        if ppm > 0 and ticket(holdouts.salt[rule, level], subscriber) < ppm:
            return level
    return PASSES


def _explain(_book: Book, rule: Rule, _channel: str, detail: int) -> str:
    control = f"control of {rule.arms.of}" if rule.arms is not None else ""
    return ("rule", f"campaign {rule.campaign}", "all", control)[detail]


GATE = Gate(
    number=5,
    word="holdout",
    stops=held_out,
    columns=_columns,
    explain=_explain,
    example="""
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"
holdout = "100%"
[[test]]
name = "all are in the control group"
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [{ at = 2026-01-05T08:00:00Z, rule = "r", gate = "holdout" }]
""",
)
