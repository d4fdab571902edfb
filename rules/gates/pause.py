"""Pause: operations stopped a rule, a campaign or a channel; the log says from which position on.

A pause of a campaign pauses its rules. Killing is a pause whose queued sends dispatch takes back as well.

What was decided before a pause waits for its end, as long as its shelf life allows. But a profile, a list or an answer
of its subscriber has it judged again, by all that holds then: what is paused at that moment is withdrawn. A text that
waits through a pause is so one whose subscriber has not changed since its decision.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from rules.gates.scene import Paused, Scene
from rules.gates.spec import PASSES, Gate
from rules.model import Book
from state.jit import part


def paused_arrays(book: Book, names: Collection[tuple[str, str]]) -> Paused:
    """Return what `names`, pairs of ("rule" | "campaign" | "channel", name), pause in this book."""
    rule = [("rule", one.id) in names or ("campaign", one.campaign) in names for one in book.rules]
    channel = [("channel", name) in names for name in book.channels]
    return Paused(np.array(rule, np.uint8), np.array(channel, np.uint8))


@part
def rule_paused(_columns: Any, scene: Scene, _row: int, rule: int) -> int:
    """Stop a rule that is paused."""
    return 0 if scene.paused.rule[rule] != 0 else PASSES


@part
def channel_paused(_columns: Any, scene: Scene, _row: int, pair: int) -> int:
    """Stop at a channel that is paused."""
    return 0 if scene.paused.channel[scene.rules.pair_channel[pair]] != 0 else PASSES


RULE_GATE = Gate(number=1, word="paused", stops=rule_paused, again=True)
CHANNEL_GATE = Gate(number=7, word="channel paused", stops=channel_paused, again=True)
