"""Measures summed up by what the caller asks for: rule, campaign, offer, channel, arm, gate, hall, day ...

A key is a number for each record of a block and a text for each number; groups are met as they come. Memory is that of
the groups, of which there are at most `GROUPS_MAX`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.evidence.joined import Block, Joined
from engine.evidence.measures import MEASURES, NAMES, RATES, Look
from rules.gates import word_of
from state.zone import DAY_MS

GROUPS_MAX = 1_000_000
HELD_OUT = "held out"
_DAY_ZERO = date(1970, 1, 1)


class TooManyGroupsError(Exception):
    """A report has more rows than it may; the text names the bound."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Who and what is at a terminal."""

    hall: str
    city: str = ""
    clerk: str = ""


@dataclass(slots=True)
class Span:
    """Which records are counted, by the time of their event, half open; None for no bound."""

    from_ms: int | None = None
    to_ms: int | None = None

    def holds(self, at_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which times lie in it."""
        held = np.ones(at_ms.shape[0], np.bool_)
        if self.from_ms is not None:
            held &= at_ms >= self.from_ms
        if self.to_ms is not None:
            held &= at_ms < self.to_ms
        return held


Codes = Callable[[Block], NDArray[np.int64]]
Text = Callable[[int], str]


@dataclass(slots=True)
class Keys:
    """What groups may be made by, of one join.

    Args:
        joined: the join.
        transitions: the operator's zone.
        seats: who and what is at a terminal; of one that is not among them the hall is its name without the last part.
    """

    joined: Joined
    transitions: NDArray[np.int64]
    seats: Mapping[str, Seat] = field(default_factory=dict)

    def named(self, name: str) -> tuple[Codes, Text]:
        """Return the numbers of a block's records by a key, and the text of a number; KeyError for no key's name."""
        found: tuple[Codes, Text] = {
            "rule": (_rules, lambda code: self._rule(code, "rule")),
            "campaign": (_rules, lambda code: self._rule(code, "campaign")),
            "offer": (_rules, lambda code: self._rule(code, "offer")),
            "book": (_rules, lambda code: self._rule(code, "book")),
            "goal": (_rules, self._goal),
            "channel": (_channels, lambda code: self.joined.meanings.channels[code].name),
            "gate": (lambda block: block.columns["gate"].astype(np.int64), lambda code: word_of(code) or "decided"),
            "arm": (self._arms, self._arm),
            "gateway": (_gateways, self._word),
            "terminal": (_terminals, self._word),
            "hall": (_terminals, lambda code: self._seat(code).hall),
            "city": (_terminals, lambda code: self._seat(code).city),
            "clerk": (_terminals, lambda code: self._seat(code).clerk),
            "day": (self._days, _day),
        }[name]
        return found

    def _rule(self, code: int, what: str) -> str:
        text: str = getattr(self.joined.meanings.rules[code], what)
        return text

    def _goal(self, code: int) -> str:
        goal = self.joined.meanings.rules[code].goal
        return self.joined.goals[goal].name if goal >= 0 else ""

    def _word(self, code: int) -> str:
        return self.joined.words.texts[code]

    def _seat(self, code: int) -> Seat:
        return seat_of(self._word(code), self.seats)

    def _arms(self, block: Block) -> NDArray[np.int64]:
        arms = self.joined.meanings.arms_of(block.rule_number, block.columns["arm"])
        return np.where(block.left_out, -1, arms)

    def _arm(self, code: int) -> str:
        return HELD_OUT if code < 0 else self.joined.meanings.arms[code]

    def _days(self, block: Block) -> NDArray[np.int64]:
        at_ms: NDArray[np.int64] = block.columns["at_ms"]
        return local_days(at_ms, self.transitions)


KEYS = (
    "rule", "campaign", "offer", "goal", "channel", "gateway", "gate", "arm", "city", "hall", "clerk", "terminal",
    "day", "book",
)  # fmt: skip


def seat_of(terminal: str, seats: Mapping[str, Seat]) -> Seat:
    """Return who and what is at a terminal: hall01-1 is in hall01, unless `seats` says otherwise."""
    return seats.get(terminal) or Seat(terminal.rpartition("-")[0] or terminal)


def local_days(at_ms: NDArray[np.int64], transitions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of the local days, 0 on 1 January 1970."""
    rows = np.searchsorted(transitions[:, 0], at_ms, side="right") - 1
    days: NDArray[np.int64] = (at_ms + transitions[np.maximum(rows, 0), 1]) // DAY_MS
    return days


@dataclass(frozen=True, slots=True)
class Group:
    """One row of a report: texts of its keys, sums by measure."""

    keys: tuple[str, ...]
    sums: NDArray[np.float64]

    def __getitem__(self, measure: str) -> float:
        return float(self.sums[NAMES.index(measure)])

    def record(self, by: Sequence[str]) -> dict[str, Any]:
        """Return the row as plain data: keys, counts, and shares from 0 to 1, None of nothing."""
        counts = {name: self[name] if MEASURES[name].amount else int(self[name]) for name in NAMES}
        shares = {name: self[part] / self[whole] if self[whole] else None for name, (part, whole) in RATES.items()}
        return {**dict(zip(by, self.keys, strict=True)), **counts, **shares}


def tally(keys: Keys, by: Sequence[str], span: Span) -> list[Group]:
    """Return the sums of all measures by some keys, in the order of the keys' texts.

    Raises KeyError for no key's name, TooManyGroupsError.
    """
    named = [keys.named(name) for name in by]
    sums: dict[tuple[str, ...], NDArray[np.float64]] = {}
    for block in keys.joined.blocks():
        kept = np.flatnonzero(span.holds(block.columns["at_ms"]) & block.judged)
        if not kept.shape[0]:
            continue
        codes = [code(block)[kept] for code, _ in named]
        first, place = _grouped(codes, kept.shape[0])
        counted = _counted(block, keys.joined)[:, kept]
        found = np.array([np.bincount(place, one, first.shape[0]) for one in counted])
        for group, row in enumerate(first.tolist()):
            texts = tuple(text(int(code[row])) for code, (_, text) in zip(codes, named, strict=True))
            known = sums.get(texts)
            sums[texts] = found[:, group] if known is None else known + found[:, group]
        if len(sums) > GROUPS_MAX:
            raise TooManyGroupsError(f"groups={len(sums)} must be <= {GROUPS_MAX}: ask for fewer keys at a time")
    return [Group(texts, sums[texts]) for texts in sorted(sums)]


def total(groups: Iterable[Group], keys: int) -> Group:
    """Return the sum of all groups; its keys are empty, of the first "all"."""
    sums = sum((group.sums for group in groups), np.zeros(len(NAMES)))
    return Group(("all", *[""] * (keys - 1)) if keys else (), sums)


def _counted(block: Block, joined: Joined) -> NDArray[np.float64]:
    desks = np.array([channel.kind == "desk" for channel in joined.meanings.channels])
    look = Look(block, joined.words, desks[block.channel_number])
    return np.array([measure.count(look) for measure in MEASURES.values()], np.float64)


def _grouped(codes: Sequence[NDArray[np.int64]], n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return a row of each group, and the group of each row."""
    place = np.zeros(n, np.int64)
    for code in codes:
        _, dense = np.unique(code, return_inverse=True)
        dense = dense.reshape(-1)
        _, place = np.unique(place * (int(dense.max()) + 1) + dense, return_inverse=True)
    _, first, place = np.unique(place, return_index=True, return_inverse=True)
    return first, place.reshape(-1)


def _rules(block: Block) -> NDArray[np.int64]:
    return block.rule_number.astype(np.int64)


def _channels(block: Block) -> NDArray[np.int64]:
    return block.channel_number.astype(np.int64)


def _gateways(block: Block) -> NDArray[np.int64]:
    return block.effects["gateway"].astype(np.int64)


def _terminals(block: Block) -> NDArray[np.int64]:
    return block.effects["terminal"].astype(np.int64)


def _day(code: int) -> str:
    return (_DAY_ZERO + timedelta(days=code)).isoformat()
