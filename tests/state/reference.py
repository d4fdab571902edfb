"""Every kind of feature by its definition: plain Python over a list of events, sharing no code with the kernels."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
INT_MAX = 2**63 - 1

Value = int | float


def utc(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def local(ms: int, zone: ZoneInfo) -> datetime:
    return utc(ms).astimezone(zone)


def offset_ms(ms: int, zone: ZoneInfo) -> int:
    offset = local(ms, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds() * 1000)


def transitions_of(zone: ZoneInfo, first: datetime, last: datetime) -> NDArray[np.int64]:
    """The zone's table, found by looking at every quarter of an hour."""
    step = 15 * 60_000
    start, end = int(first.timestamp() * 1000), int(last.timestamp() * 1000)
    rows = [(start, offset_ms(start, zone))]
    for ms in range(start, end, step):
        if offset_ms(ms, zone) != rows[-1][1]:
            rows.append((ms, offset_ms(ms, zone)))
    return np.array(rows, dtype=np.int64)


@dataclass
class Window:
    """A window by its definition; `panes` for the kinds that keep panes."""

    kind: str
    length_ms: int
    panes: int
    zone: ZoneInfo

    def pane(self, ms: int) -> int:
        here = local(ms, self.zone)
        if self.kind == "ever":
            return 1
        if self.kind == "day":
            return here.date().toordinal()
        if self.kind == "month":
            return here.year * 12 + here.month
        length = math.ceil(self.length_ms / self.panes)
        by_days = length % DAY_MS == 0
        return (ms + offset_ms(ms if by_days else 946_684_800_000, self.zone)) // length

    @property
    def ring(self) -> int:
        return self.panes if self.kind == "rolling" else 1

    def holds(self, at: int, now: int) -> bool:
        """For the kinds with exact times."""
        if self.kind == "rolling":
            return now - at < self.length_ms
        return self.kind == "ever" or self.pane(at) == self.pane(now)


@dataclass
class Event:
    at: int
    value: Value
    pane: int


def bounded(value: int, limit: int) -> int:
    return max(min(value, limit), -limit - 1)


@dataclass
class Plain:
    """One feature of one subscriber."""

    kind: str
    window: Window
    is_float: bool = False
    events: list[Event] = field(default_factory=list)
    newest: int = 0

    def step(self, ms: int, updates: bool, value: Value) -> Value | None:
        """Take one row; return the value as of then, None for unknown."""
        if self.kind in {"last", "previous", "since"}:
            return self.exact(ms, updates, value)
        pane = self.window.pane(ms)
        if updates and self.newest - pane < self.window.ring:
            self.events.append(Event(ms, value, pane))
            self.newest = max(self.newest, pane)
        now = max(self.newest, pane)
        live = [event for event in self.events if now - event.pane < self.window.ring]
        by_pane: dict[int, list[Event]] = {}
        for event in live:
            by_pane.setdefault(event.pane, []).append(event)
        return self.combine([by_pane[pane] for pane in sorted(by_pane)])

    def combine(self, panes: list[list[Event]]) -> Value | None:
        live = [event for pane in panes for event in pane]
        if self.kind == "count":
            return len(live)
        if self.kind == "distinct":
            return min(len({event.value for event in live}), 16)
        if self.kind == "sum":
            return self.total([self.total([event.value for event in pane]) for pane in panes])
        if not live:
            return None
        if self.kind == "first":
            return min(panes[0], key=lambda event: event.at).value
        values = [event.value for event in live]
        return min(values) if self.kind == "min" else max(values)

    def total(self, values: list[Value]) -> Value:
        if not values:
            return 0
        total = values[0]
        for value in values[1:]:
            total = total + value
            if not self.is_float:
                total = bounded(int(total), INT_MAX)
        return total

    def exact(self, ms: int, updates: bool, value: Value) -> Value | None:
        earlier = sorted(self.events, key=lambda event: event.at)
        if self.kind == "since":
            latest = earlier[-1].at if earlier else None
            if updates:
                self.events.append(Event(ms, value, 0))
            if latest is None or latest > ms or not self.window.holds(latest, ms):
                return None
            return ms - latest
        if updates:
            self.events.append(Event(ms, value, 0))
        ordered = sorted(self.events, key=lambda event: event.at)
        back = 1 if self.kind == "last" else 2
        if len(ordered) < back:
            return None
        chosen = ordered[-back]
        return chosen.value if self.window.holds(chosen.at, max(ms, ordered[-1].at)) else None
