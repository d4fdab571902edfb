"""Per event: one event may put only so many decisions on a channel.

Columns: `event_max` int32[channels].
"""

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int32s
from rules.model import Book
from state.jit import part


def _columns(book: Book) -> NDArray[np.int32]:
    return int32s(channel.per_event_max for channel in book.channels.values())


@part
def channel_full(event_max: NDArray[np.int32], scene: Scene, _row: int, pair: int) -> int:
    """Stop at a channel that has all the decisions of this event that it may have."""
    channel = scene.rules.pair_channel[pair]
    return 0 if scene.used[channel + 1] >= event_max[channel] else PASSES


GATE = Gate(
    number=9,
    word="channel full",
    stops=channel_full,
    columns=_columns,
    example="""
[events.e]
decisions_max = 2
[[rule]]
id = "first"
priority = 90
on = "e"
channels = ["sms"]
text.sms = "t"
[[rule]]
id = "r"
on = "e"
channels = ["sms"]
text.sms = "t"
[[test]]
name = "an event sends one message"
events = [{ at = 2026-01-05T08:00:00Z, e = {} }]
expect = [
    { at = 2026-01-05T08:00:00Z, rule = "first", channel = "sms" },
    { at = 2026-01-05T08:00:00Z, rule = "r", gate = "channel full" },
]
""",
)
