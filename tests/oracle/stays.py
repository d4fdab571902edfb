"""Stays in an area, of one subscriber, and the deadlines of rules about them."""

from typing import Any

from rules.model import Feature, Stays, Timer
from tests.oracle.clock import Zone
from tests.oracle.deadlines import Deadlines, deadline_ms


class Stay:
    """Told of sightings in the order of the log; those older than the newest are as good as none."""

    def __init__(self) -> None:
        self.begun_ms: int | None = None
        self.outside_ms: int | None = None
        self.newest_ms = 0

    def is_over(self, stays: Stays, at_ms: int) -> bool:
        """Whether sightings are outside for so long, in whole seconds, that nobody is inside any more."""
        return self.outside_ms is not None and at_ms >= -(-(self.outside_ms + stays.leave_ms) // 1000) * 1000

    def sighted(self, stays: Stays, at_ms: int, *, inside: bool) -> str:
        """Take a sighting; say what it is."""
        if at_ms < self.newest_ms:
            return "late"
        self.newest_ms = at_ms
        if not inside:
            goes = self.outside_ms is None and self.begun_ms is not None
            self.outside_ms = at_ms if self.outside_ms is None else self.outside_ms
            return "goes" if goes else "outside"
        was_outside, is_new = self.outside_ms is not None, self.begun_ms is None or self.is_over(stays, at_ms)
        self.outside_ms = None
        if is_new:
            self.begun_ms = at_ms
            return "comes" if was_outside else "is found"
        return "is back" if was_outside else "inside"


class Area:
    """Since when a subscriber is in an area; the row that begins a stay is the only one at its time."""

    def __init__(self, feature: Feature, zone: Zone) -> None:
        self.stay = Stay()

    def sighted(self, stays: Stays, at_ms: int, *, inside: bool) -> int | None:
        """Take a sighting; return the value as of it."""
        comes = self.stay.sighted(stays, max(at_ms, 1), inside=inside) == "comes"
        return max(at_ms, 1) if comes else self.since(stays, at_ms)

    def since(self, stays: Stays, at_ms: int) -> int | None:
        at_ms = max(at_ms, 1)
        begun_ms = self.stay.begun_ms
        if begun_ms is None or self.stay.is_over(stays, max(at_ms, self.stay.newest_ms)):
            return None
        return begun_ms - (begun_ms == at_ms)


class StayDeadlines(Deadlines):
    """Of a rule with `stays` or `leaves`."""

    def __init__(self, feature: Feature, zone: Zone) -> None:
        super().__init__(feature, zone)
        self.stay = Stay()

    def sighted(self, timer: Timer, stays: Stays, at_ms: int, *, inside: bool) -> None:
        at_ms = max(at_ms, 1)
        before_ms, outside_ms = self.stay.begun_ms, self.stay.outside_ms
        lasted = before_ms is not None and not self.stay.is_over(stays, deadline_ms(timer, before_ms))
        what = self.stay.sighted(stays, at_ms, inside=inside)
        if stays.leaves and what == "is back":
            self.free(outside_ms)
        if not stays.leaves and what in ("comes", "is found") and not lasted:
            self.free(before_ms)
        if what == "goes" if stays.leaves else what in ("comes", "is found"):
            self.put("open", at_ms, None)

    def free(self, at_ms: Any) -> None:
        for one in self.places:
            if one.state == "open" and one.at_ms == at_ms:
                one.state = ""

    def holds(self, timer: Timer, stays: Stays, at_ms: int) -> bool:
        """Take a deadline that has come."""
        for one in self.places:
            if one.state == "open" and deadline_ms(timer, one.at_ms) == at_ms:
                one.state = "fired"
                is_going_on = one.at_ms == self.stay.begun_ms
                return stays.leaves or not is_going_on or not self.stay.is_over(stays, at_ms)
        return False
