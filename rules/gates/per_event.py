"""Per event: one event may put only so many decisions on a channel, of each class.

Service and commercial messages have places of their own, so advertising never crowds out a service notice. Columns:
`event_max` int32[channels] and, by pair, `service` and `shadow` uint8.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.gates.spec import PASSES, Gate, int32s, pairs_of
from rules.model import Book
from state.jit import part


class PerEvent(NamedTuple):
    """By channel how many decisions an event may have on it; by pair whether its rule is a service, and in shadow."""

    event_max: NDArray[np.int32]
    service: NDArray[np.uint8]
    shadow: NDArray[np.uint8]


def _columns(book: Book) -> PerEvent:
    return PerEvent(
        event_max=int32s(channel.per_event_max for channel in book.channels.values()),
        service=np.array([rule.klass == "service" for rule, _ in pairs_of(book)], np.uint8),
        shadow=np.array([rule.shadow for rule, _ in pairs_of(book)], np.uint8),
    )


@part
def channel_full(places: PerEvent, scene: Scene, _row: int, pair: int) -> int:
    """Stop at a channel that has all the decisions of this event that it may have."""
    channel = scene.rules.pair_channel[pair]
    used = scene.used[places.shadow[pair], 1 + 2 * channel + places.service[pair]]
    return 0 if used >= places.event_max[channel] else PASSES


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
