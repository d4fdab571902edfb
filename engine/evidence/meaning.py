"""What the numbers of records mean: rule, campaign, offer and channel, by the book that made each record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rules.model import Book, Goal

T = TypeVar("T")

RULE_BITS = 31
"""A rule's number is a positive `state.hashing.stable_id`."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A rule as one version of the book had it; `goal` is the number of the goal of its contacts, -1 for none.

    `arm_names` are the names of its arms; `draw` is the number of what draws them, with the goal, -1 for none.
    """

    book: str
    rule: str
    campaign: str
    offer: str
    goal: int
    arm_names: tuple[str, ...] = ()
    draw: int = -1


@dataclass(frozen=True, slots=True)
class ChannelName:
    """A channel as one version of the book had it."""

    name: str
    kind: str


NO_CHANNEL = ChannelName("", "")


class Meanings:
    """Meanings as they are met, numbered.

    Args:
        book_of: finds a book by its version.
        goals: those that contacts are judged by.
    """

    def __init__(self, book_of: Callable[[str], Book], goals: Sequence[Goal]) -> None:
        self.rules: list[Meaning] = []
        self.channels: list[ChannelName] = [NO_CHANNEL]
        self.arms: list[str] = [""]
        """Names of arms; the first is none."""
        self.draws: list[tuple[int, str]] = []
        """What draws arms: the number of a goal, and whose arms they are."""
        self._arms: dict[int, int] = {}
        self._book_of = book_of
        self._books: dict[str, int] = {}
        self._versions: list[str] = []
        self._rules: dict[int, int] = {}
        self._channels: dict[int, int] = {}
        self._by_rule = {goal.rule: number for number, goal in enumerate(goals) if goal.rule}
        self._by_campaign = {goal.campaign: number for number, goal in enumerate(goals) if goal.campaign}

    def book(self, version: str) -> int:
        """Return the number of a book."""
        if version not in self._books:
            self._books[version] = len(self._versions)
            self._versions.append(version)
        return self._books[version]

    def rules_of(self, book: NDArray[np.int64], rule: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the indices in `rules` of records, by the numbers of their books and rules."""
        return _numbered(book << RULE_BITS | rule, self._rules, self._rule)

    def channels_of(self, book: NDArray[np.int64], channel: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the indices in `channels` of records, by the numbers of their books and channels; 0 for none."""
        keys = np.where(channel > 0, book << RULE_BITS | channel, 0)
        return _numbered(keys, self._channels, self._channel)

    def arms_of(self, rule: NDArray[np.int32], arm: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the indices in `arms` of records, by their indices in `rules` and the numbers of their arms."""
        return _numbered(rule.astype(np.int64) << 8 | arm, self._arms, self._arm)

    def _arm(self, key: int) -> int:
        names, arm = self.rules[key >> 8].arm_names, key & 255
        return _index(self.arms, names[arm - 1]) if 0 < arm <= len(names) else 0

    def _rule(self, key: int) -> int:
        version, number = self._versions[key >> RULE_BITS], key & ((1 << RULE_BITS) - 1)
        rule = self._book_of(version).by_stable_id.get(number)
        if rule is None:  # a withdrawal, under a book that has dropped the rule
            self.rules.append(Meaning(version, f"{number:x}", "", "", -1))
        else:
            goal = self._by_rule.get(rule.id, self._by_campaign.get(rule.campaign, -1))
            arms = rule.arms
            names, draw = (arms.names, _index(self.draws, (goal, arms.of))) if arms is not None else ((), -1)
            self.rules.append(Meaning(version, rule.id, rule.campaign, rule.offer or "", goal, names, draw))
        return len(self.rules) - 1

    def _channel(self, key: int) -> int:
        if key == 0:
            return 0
        number = key & ((1 << RULE_BITS) - 1)
        channel = self._book_of(self._versions[key >> RULE_BITS]).channels_by_id.get(number)
        self.channels.append(ChannelName(channel.name, channel.kind) if channel else ChannelName(f"{number:x}", ""))
        return len(self.channels) - 1


def _index(known: list[T], one: T) -> int:
    """Return where one stands in a list, at whose end it is put if it is new."""
    if one not in known:
        known.append(one)
    return known.index(one)


def _numbered(keys: NDArray[np.int64], known: dict[int, int], learn: Callable[[int], int]) -> NDArray[np.int32]:
    different, places = np.unique(keys, return_inverse=True)
    numbers = np.empty(different.shape[0], np.int32)
    for index, key in enumerate(different.tolist()):
        if key not in known:
            known[key] = learn(key)
        numbers[index] = known[key]
    return numbers[places.reshape(-1)]
