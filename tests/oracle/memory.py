"""Every kind of feature by its definition, one subscriber at a time.

A memory is told the matching events (`update`), and asked what it knows as of a moment (`value`); None is unknown.
"""

from collections.abc import Iterable
from typing import Any

from rules.model import Feature, Window
from tests.oracle.clock import DAY_MS, YEAR_2000_MS, Zone, offset_ms
from tests.oracle.deadlines import Deadlines
from tests.oracle.sequences import Runs
from tests.oracle.stays import Area, StayDeadlines

INT_MIN, INT_MAX = -(1 << 63), (1 << 63) - 1
DISTINCT_MAX = 16
TOLD_MAX = 8


class Panes:
    """A window as a number of panes: `count sum min max first distinct`.

    A pane holds one part, which each subclass makes of its events; the answer is made of the parts still in the window,
    the oldest first. The newest pane is that of the newest event, or of the asking event where that is newer.
    """

    def __init__(self, feature: Feature, zone: Zone) -> None:
        self.window, self.zone = feature.window, zone
        self.kept = feature.window.panes if feature.window.kind == "rolling" else 1
        self.newest = 0
        self.parts: dict[int, Any] = {}

    def pane(self, at_ms: int) -> int:
        """The number of the pane in which a moment lies."""
        match self.window:
            case Window("ever"):
                return 1
            case Window("day"):
                return self.zone.day(at_ms)
            case Window("month"):
                return self.zone.month(at_ms)
            case Window(_, ms, panes) if ms // panes % DAY_MS == 0:
                return self.zone.wall_ms(at_ms) // (ms // panes)
            case Window(_, ms, panes):
                return (at_ms + offset_ms(self.zone.name, YEAR_2000_MS // 60_000)) // (ms // panes)

    def update(self, at_ms: int, value: Any) -> None:
        pane = self.pane(at_ms)
        if pane <= self.newest - self.kept:
            return
        self.parts[pane] = self.joined(self.parts.get(pane), at_ms, value)
        if pane > self.newest:
            self.newest = pane
            self.parts = {one: part for one, part in self.parts.items() if pane - one < self.kept}

    def value(self, at_ms: int) -> Any:
        now = max(self.newest, self.pane(at_ms))
        return self.answer([self.parts[one] for one in sorted(self.parts) if now - one < self.kept])

    def joined(self, part: Any, at_ms: int, value: Any) -> Any:
        raise AssertionError(f"{type(self).__name__} does not say how a value joins a pane")

    def answer(self, parts: list[Any]) -> Any:
        raise AssertionError(f"{type(self).__name__} does not say what its panes come to")


class Count(Panes):
    def joined(self, part: int | None, at_ms: int, value: Any) -> int:
        return (part or 0) + 1

    def answer(self, parts: list[int]) -> int:
        return sum(parts)


class Sum(Panes):
    def joined(self, part: Any, at_ms: int, value: Any) -> Any:
        return value if part is None else total([part, value])

    def answer(self, parts: list[Any]) -> Any:
        return total(parts)


def total(values: Iterable[Any]) -> Any:
    """The sum from left to right; a whole number stops at the ends of 64 bits."""
    result: Any = None
    for value in values:
        result = value if result is None else result + value
        if isinstance(result, int):
            result = min(max(result, INT_MIN), INT_MAX)
    return 0 if result is None else result


class Min(Panes):
    def joined(self, part: Any, at_ms: int, value: Any) -> Any:
        return value if part is None else min(part, value)

    def answer(self, parts: list[Any]) -> Any:
        return min(parts, default=None)


class Max(Panes):
    def joined(self, part: Any, at_ms: int, value: Any) -> Any:
        return value if part is None else max(part, value)

    def answer(self, parts: list[Any]) -> Any:
        return max(parts, default=None)


class First(Panes):
    def joined(self, part: tuple[int, Any] | None, at_ms: int, value: Any) -> tuple[int, Any]:
        return part if part is not None and part[0] <= at_ms else (at_ms, value)

    def answer(self, parts: list[tuple[int, Any]]) -> Any:
        return parts[0][1] if parts else None


class Distinct(Panes):
    def joined(self, part: set[Any] | None, at_ms: int, value: Any) -> set[Any]:
        return (part or set()) | {value}

    def answer(self, parts: list[set[Any]]) -> int:
        return min(len(set().union(*parts)), DISTINCT_MAX)


class Moments:
    """A window with exact times: `last previous since`. `events` are the two latest, (time, value), the latest last."""

    def __init__(self, feature: Feature, zone: Zone) -> None:
        self.window, self.zone = feature.window, zone
        self.events: list[tuple[int, Any]] = []

    def holds(self, event_ms: int, now_ms: int) -> bool:
        """Whether an event is in the window that ends now."""
        match self.window:
            case Window("ever"):
                return True
            case Window("day"):
                return self.zone.day(event_ms) == self.zone.day(now_ms)
            case Window("month"):
                return self.zone.month(event_ms) == self.zone.month(now_ms)
            case Window(_, ms):
                return now_ms - event_ms < ms

    def update(self, at_ms: int, value: Any) -> None:
        """Of two events at the same time the one that came later is the later."""
        self.events = sorted([*self.events, (at_ms, value)], key=lambda event: event[0])[-2:]

    def value(self, at_ms: int) -> Any:
        raise AssertionError(f"{type(self).__name__} does not say which event it remembers")

    def nth_latest(self, back: int, at_ms: int) -> Any:
        if len(self.events) < back:
            return None
        event_ms, value = self.events[-back]
        return value if self.holds(event_ms, max(at_ms, self.events[-1][0])) else None


class Last(Moments):
    def value(self, at_ms: int) -> Any:
        return self.nth_latest(1, at_ms)


class Previous(Moments):
    def value(self, at_ms: int) -> Any:
        return self.nth_latest(2, at_ms)


class Since(Moments):
    """Asked before the event itself is told."""

    def value(self, at_ms: int) -> int | None:
        if not self.events:
            return None
        latest = self.events[-1][0]
        return at_ms - latest if latest <= at_ms and self.holds(latest, at_ms) else None


class Change:
    """Whether the event that was told last changed what the latest before it had said."""

    def __init__(self, feature: Feature, zone: Zone) -> None:
        self.latest: tuple[int, Any] | None = None

    def update(self, at_ms: int, value: Any) -> bool:
        at_ms, before = max(at_ms, 1), self.latest
        if before is not None and at_ms < before[0]:
            return False
        self.latest = (at_ms, value)
        return before is not None and before[1] != value

    def value(self, _at_ms: int) -> bool:
        """On every row that does not tell it, which the interpreter knows."""
        return False


class Lists:
    """The lists that a subscriber is on, whatever the book; they join and leave in the order of the log.

    `on` says when each membership ends by the log's time, None for never: at that time it is over.
    """

    def __init__(self, feature: Feature, zone: Zone) -> None:
        self.on: dict[str, int | None] = {}

    def move(self, name: str, joins: bool, declared: tuple[str, ...], end_ms: int | None, log_ms: int) -> None:
        if not joins or (end_ms is not None and end_ms <= log_ms):
            self.on.pop(name, None)
        elif name in declared:
            self.on[name] = end_ms

    def keep(self, name: str, end_ms: int) -> None:
        """Stay on a list at least until `end_ms`."""
        before = self.on.get(name, 0)
        if before is not None:
            self.on[name] = max(before, end_ms)

    def among(self, declared: tuple[str, ...], log_ms: int) -> frozenset[str]:
        """Those of them that the book in force knows and that have not ended."""
        return frozenset(one for one, end in self.on.items() if one in declared and (end is None or end > log_ms))


class Told:
    """The last decisions told of, in that order, by their names: the second of each, None where it was taken back.

    One too many, and the oldest goes, of equals the one that was told first.
    """

    def __init__(self, feature: Feature, zone: Zone) -> None:
        self.window = feature.window
        self.seconds: dict[Any, int | None] = {}

    def tell(self, decision: Any, ms: int, *, stands: bool) -> None:
        second = min(max(ms // 1000, 1), (1 << 32) - 1)
        if decision in self.seconds:
            if not stands:
                self.seconds[decision] = None
        elif stands:
            self.seconds[decision] = second
            if len(self.seconds) > TOLD_MAX:
                del self.seconds[min(self.seconds, key=lambda one: self.seconds[one] or 0)]

    def among(self, log_ms: int) -> int:
        ever = self.window.kind == "ever"
        seconds = [one for one in self.seconds.values() if one is not None]
        return sum(ever or log_ms - one * 1000 < self.window.ms for one in seconds)


class Settled:
    """The value that was seen so often in a row, or held for so long, that it counts; `settling` is the book's."""

    def __init__(self, feature: Feature, zone: Zone) -> None:
        self.settled: Any = None
        self.replaced: Any = None
        self.run: list[tuple[int, Any]] = []
        self.newest_ms = 0

    def sighted(self, feature: Feature, at_ms: int, value: Any) -> None:
        """Take a sighting; `replaced` is what it has replaced."""
        assert feature.settling is not None
        self.replaced = None
        at_ms = max(at_ms, 1)
        if at_ms < self.newest_ms:
            return
        self.newest_ms = at_ms
        if value == self.settled or (self.run and self.run[-1][1] != value):
            self.run = []
        if value == self.settled:
            return
        self.run.append((at_ms, value))
        first_ms, held_ms = self.run[0][0], feature.settling.held_ms
        if len(self.run) >= feature.settling.sightings or (held_ms and at_ms - first_ms >= held_ms):
            self.settled, self.replaced, self.run = value, self.settled, []

    def value(self, at_ms: int) -> Any:
        """Of `settled`; what was replaced is known on its own row alone, where the interpreter says it."""
        return self.settled


class Replaced(Settled):
    def value(self, at_ms: int) -> Any:
        return None


Memory = Panes | Moments | Lists | Deadlines | Told | Runs | Change | Area | Settled

KINDS: dict[str, type[Memory]] = {
    "count": Count,
    "sum": Sum,
    "min": Min,
    "max": Max,
    "first": First,
    "distinct": Distinct,
    "last": Last,
    "previous": Previous,
    "since": Since,
    "lists": Lists,
    "list_words": Lists,
    "timer": Deadlines,
    "told": Told,
    "sequence": Runs,
    "change": Change,
    "area": Area,
    "area_timer": StayDeadlines,
    "settled": Settled,
    "replaced": Replaced,
}
