"""Pause: operations stopped a rule, a campaign or a channel; the log says from which position on.

A pause of a campaign pauses its rules. Killing is a pause whose queued sends dispatch takes back as well.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.model import Book


class Paused(NamedTuple):
    """What is paused now: `rule` uint8[rules], `channel` uint8[channels], by index in the gate table."""

    rule: NDArray[np.uint8]
    channel: NDArray[np.uint8]


def paused_arrays(book: Book, names: Collection[tuple[str, str]]) -> Paused:
    """Return what `names`, pairs of ("rule" | "campaign" | "channel", name), pause in this book."""
    rule = [("rule", one.id) in names or ("campaign", one.campaign) in names for one in book.rules]
    channel = [("channel", name) in names for name in book.channels]
    return Paused(np.array(rule, np.uint8), np.array(channel, np.uint8))
