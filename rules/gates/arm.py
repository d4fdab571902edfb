"""Arm: a rule with `arm` is for one arm of its campaign.

It is asked for the members of that arm, and for those of `control`, who are held out last: they lose the same
candidates to caps and to arbitration. The detail is the number of the arm in which the subscriber is.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.arms import CONTROL, PPM
from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int32s, int64s, starts
from rules.model import Book, Rule
from state.hashing import mix64
from state.jit import kernel, part
from state.raw import shift_right


class ArmTable(NamedTuple):
    """The arms of rule r: the rows `start[r]:start[r + 1]` of the others, none where it has none.

    By rule: `start` int32[rules + 1], `salt` int64, `only` int32, the number of the arm that it is for, 0 for all.
    By arm: `end` int64, the ticket below which it ends; `share` float32, its probability; `control` uint8.
    """

    start: NDArray[np.int32]
    salt: NDArray[np.int64]
    only: NDArray[np.int32]
    end: NDArray[np.int64]
    share: NDArray[np.float32]
    control: NDArray[np.uint8]


def arm_table(book: Book) -> ArmTable:
    """Return the arms of the rules of a book."""
    all_ = [rule.arms for rule in book.rules]
    flat = [(arm, end) for arms in all_ if arms is not None for arm, end in zip(arms.arms, arms.ends, strict=True)]
    return ArmTable(
        start=starts(len(arms.arms) if arms is not None else 0 for arms in all_),
        salt=int64s(arms.salt if arms is not None else 0 for arms in all_),
        only=int32s(
            rule.arms.names.index(rule.arm) + 1 if rule.arms is not None and rule.arm else 0 for rule in book.rules
        ),
        end=int64s(end for _, end in flat),
        share=np.array([arm.ppm / PPM for arm, _ in flat], np.float32),
        control=np.array([arm.name == CONTROL for arm, _ in flat], np.uint8),
    )


@part
def ticket(salt: int, subscriber: int) -> int:
    """Return the number in which a draw ends, 0 to 999,999."""
    return shift_right(mix64(mix64(salt) ^ subscriber), 12) % PPM


@part
def drawn(arms: ArmTable, rule: int, subscriber: int) -> int:
    """Return the row of the subscriber's arm; the rule has some."""
    number = ticket(arms.salt[rule], subscriber)
    row = int(arms.start[rule])
    while arms.end[row] <= number:
        row += 1
    return row


@kernel
def draw_arms(
    arms: ArmTable,
    rule: NDArray[np.int32],
    subscriber: NDArray[np.int64],
    arm: NDArray[np.uint8],
    probability: NDArray[np.float32],
) -> None:
    """Write the number of each candidate's arm, 0 for none, and how probable it was."""
    for i in range(rule.shape[0]):
        start = arms.start[rule[i]]
        if arms.start[rule[i] + 1] > start:
            row = drawn(arms, rule[i], subscriber[i])
            arm[i] = row - start + 1
            probability[i] = arms.share[row]


@part
def other_arm(arms: ArmTable, scene: Scene, row: int, rule: int) -> int:
    """Stop where the rule is for another arm."""
    only = arms.only[rule]
    if only == 0:
        return PASSES
    place = drawn(arms, rule, scene.rows.subscriber[row])
    number = place - arms.start[rule] + 1
    return PASSES if number == only or arms.control[place] != 0 else int(number)


def _explain(_book: Book, rule: Rule, _channel: str, detail: int) -> str:
    return f"in arm {rule.arms.names[detail - 1]}, the rule is for {rule.arm}" if rule.arms is not None else ""


GATE = Gate(
    number=16,
    word="arm",
    stops=other_arm,
    columns=arm_table,
    explain=_explain,
    example="""
[campaigns.c]
arms = { model = "100%", random = "0%" }
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"
campaign = "c"
arm = "random"
[[rule]]
id = "s"
on = "e"
channels = ["sms"]
text.sms = "t"
campaign = "c"
arm = "model"
[[test]]
name = "all are in the other arm"
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [
    { at = 2026-01-05T08:00:00Z, rule = "r", gate = "arm" },
    { at = 2026-01-05T08:00:00Z, rule = "s", channel = "sms" },
]
""",
)
