"""Lists: black and grey lists, opt-outs, staff; membership comes through the log, one bit a list.

An alert is about a customer and not to one: a list that excludes "all" does not silence a service rule on a channel of
kind "alert". Such a rule passes the gate of rules, and is stopped on its other channels by that of channels. Columns:
`exclude` int64[rules] or [pairs], the bits of the lists that exclude. The detail is the bit of the list.
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int64s, pairs_of
from rules.model import Book, Rule
from state.jit import part
from state.raw import trailing_zeros

LISTS = "lists"
"""The feature that holds which lists a subscriber is on."""


def _columns(book: Book) -> NDArray[np.int64]:
    return int64s(_excluding(book, rule) for rule in book.rules)


def _excluding(book: Book, rule: Rule) -> int:
    mask = 0
    for name, one in book.lists.items():
        if name in rule.exclude or one.excludes == rule.klass or (one.excludes == "all" and not alerts(book, rule)):
            mask |= 1 << one.index
    return mask


def alerts(book: Book, rule: Rule) -> bool:
    """Return whether a rule raises alerts, which a list that excludes all does not silence."""
    return rule.klass == "service" and any(book.channels[name].kind == "alert" for name in rule.channels)


def _channel_columns(book: Book) -> NDArray[np.int64]:
    whole = sum(1 << one.index for one in book.lists.values() if one.excludes == "all")
    return int64s(
        whole if alerts(book, rule) and book.channels[channel].kind != "alert" else 0
        for rule, channel in pairs_of(book)
    )


def _reads(book: Book, _rule: Rule) -> list[int]:
    return [book.feature_index(LISTS)] if book.lists else []


@part
def on_list(exclude: NDArray[np.int64], scene: Scene, row: int, rule: int) -> int:
    """Stop a subscriber on a list that excludes the rule."""
    hit = scene.rows.lists[row] & exclude[rule]
    return trailing_zeros(hit) if hit != 0 else PASSES


@part
def on_list_of_channel(exclude: NDArray[np.int64], scene: Scene, row: int, pair: int) -> int:
    """Stop a subscriber on a list that excludes the channels of the rule which reach customers."""
    hit = scene.rows.lists[row] & exclude[pair]
    return trailing_zeros(hit) if hit != 0 else PASSES


def _explain(book: Book, _rule: Rule, _channel: str, detail: int) -> str:
    return next((name for name, one in book.lists.items() if one.index == detail), "")


CHANNEL_GATE = Gate(
    number=14,
    word="channel list",
    stops=on_list_of_channel,
    columns=_channel_columns,
    reads=_reads,
    explain=_explain,
    example="""
[channels.alert]
[lists.black]
excludes = "all"
[[rule]]
id = "r"
on = "e"
channels = ["sms", "alert"]
class = "service"
text.sms = "t"
[[test]]
name = "the fraud desk hears of one on the list, the customer does not"
given = { lists = ["black"] }
events = [{ at = 2026-01-05T08:00:00Z, e = {} }, { at = "+1h", pause = { channel = "alert" } }, { at = "+1h", e = {} }]
expect = [
    { at = 2026-01-05T08:00:00Z, rule = "r", channel = "alert" },
    { at = 2026-01-05T10:00:00Z, rule = "r", gate = "channel list" },
]
""",
)
RULE_GATE = Gate(
    number=4,
    word="list",
    stops=on_list,
    columns=_columns,
    reads=_reads,
    explain=_explain,
    example="""
[lists.staff]
excludes = "commercial"
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"
[[test]]
name = "one of the staff"
given = { lists = ["staff"] }
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [{ at = 2026-01-05T08:00:00Z, rule = "r", gate = "list" }]
""",
)
