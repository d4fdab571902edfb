"""What a gate is: a module of this folder with a `Gate`, or two of one idea.

A gate of rules looks at a candidate alone; a gate of channels at one of the rule's channels. Its kernel is a `part`:

    detail = stops(columns, scene, row, index)      # PASSES, or a number >= 0 that `explain` understands

`columns` is what the gate keeps of a book, an array or a named tuple of arrays; `scene` what every gate may look at
(`rules.gates.scene`); `row` the event's row; `index` that of the rule, or of the (rule, channel) pair.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.gates.scene import Scene
from rules.model import Book, Rule

PASSES = -1
"""What `stops` returns for a candidate that the gate lets pass."""

Stops = Callable[[Any, Scene, int, int], int]


def no_columns(_book: Book) -> Any:
    """The columns of a gate that keeps nothing of a book."""
    return np.zeros(0, np.uint8)


def reads_nothing(_book: Book, _rule: Rule) -> list[int]:
    """The features of a gate that looks at none."""
    return []


def channel_alone(_book: Book, _rule: Rule, channel: str, _detail: int) -> str:
    """The explanation of a gate that has no more to say than which channel it stopped."""
    return channel


@dataclass(frozen=True, slots=True)
class Gate:
    """What may stop a candidate.

    Args:
        number: how the gate is written to disk, 1 to 255: never changed, never used again, and apart from its place.
        word: its name in books, records and metrics.
        stops: its kernel; see the module.
        columns: what it keeps of a book; an array or a named tuple of arrays, of the same types for every book.
        reads: indices of the features that it looks at for a rule, so that they are folded for the rule's events.
        explain: (book, rule, channel, detail) in words; the channel is "" for a gate of rules.
        again: whether it is asked again of a decision that waits, when its subscriber changes.
        stops_again: its kernel for that, where it is another one.
        example: sections of a book, with a test in which the gate stops rule `r`; "" where no book can show it.
    """

    number: int
    word: str
    stops: Stops
    columns: Callable[[Book], Any] = no_columns
    reads: Callable[[Book, Rule], list[int]] = reads_nothing
    explain: Callable[[Book, Rule, str, int], str] = channel_alone
    again: bool = False
    stops_again: Stops | None = None
    example: str = ""


def pairs_of(book: Book) -> list[tuple[Rule, str]]:
    """Return the (rule, channel) pairs of a book, in order."""
    return [(rule, channel) for rule in book.rules for channel in rule.channels]


def starts(sizes: Iterable[int]) -> NDArray[np.int32]:
    """Return int32[n + 1]: where each of n runs of rows starts, and where the last ends."""
    return np.concatenate([np.zeros(1, np.int32), np.cumsum(np.fromiter(sizes, np.int32), dtype=np.int32)])


def int32s(values: Iterable[int]) -> NDArray[np.int32]:
    """Return the values as int32[n]."""
    return np.fromiter(values, np.int32)


def int64s(values: Iterable[int]) -> NDArray[np.int64]:
    """Return the values as int64[n]."""
    return np.fromiter(values, np.int64)
