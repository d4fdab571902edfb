"""The deadlines of a rule with `after`, of one subscriber: in so many places, each free, open, ended or fired."""

from dataclasses import dataclass
from typing import Any

from rules.model import Feature, Timer
from tests.oracle.clock import Zone


@dataclass
class Place:
    """What stands in a place: since when, or when it ended; free where `state` is empty."""

    state: str = ""
    at_ms: int = 0
    key: Any = None


def deadline_ms(timer: Timer, at_ms: int) -> int:
    """The span after an event, in whole seconds."""
    seconds, rest = divmod(at_ms + timer.span_ms, 1000)
    return (seconds + (rest > 0)) * 1000


class Deadlines:
    """Told of events by their times, in the order of the log; the timer is that of the book in force."""

    def __init__(self, feature: Feature, zone: Zone) -> None:
        assert feature.timer is not None
        self.places = [Place() for _ in range(feature.timer.keys_max)]

    def of(self, key: Any) -> list[Place]:
        return [one for one in self.places if one.state and one.key == key]

    def open(self, timer: Timer) -> list[tuple[int, Any]]:
        """Deadlines and keys of what is open."""
        return [(deadline_ms(timer, one.at_ms), one.key) for one in self.places if one.state == "open"]

    def arms(self, timer: Timer, at_ms: int, key: Any) -> None:
        at_ms = max(at_ms, 1)
        until = deadline_ms(timer, at_ms)
        if timer.starts_anew:
            for one in self.of(key):
                if one.state == "open" and one.at_ms <= at_ms < deadline_ms(timer, one.at_ms):
                    one.state = ""
            if any(at_ms <= one.at_ms < until for one in self.of(key)):
                return
        else:
            for one in self.of(key):
                if one.state == "ended" and at_ms <= one.at_ms < until:
                    return
                if one.state != "ended" and one.at_ms <= at_ms < deadline_ms(timer, one.at_ms):
                    return
                if one.state == "fired" and at_ms < one.at_ms < until:
                    return
            for one in self.of(key):
                if one.state == "open" and at_ms < one.at_ms < until:
                    one.state = ""
        self.put("open", at_ms, key)

    def ends(self, timer: Timer, at_ms: int, key: Any) -> None:
        at_ms = max(at_ms, 1)
        is_kept = False
        for one in self.of(key):
            if one.state == "open" and one.at_ms <= at_ms < deadline_ms(timer, one.at_ms):
                one.state = "" if is_kept else "ended"
                one.at_ms = at_ms
                is_kept = True
            elif one.state == "ended" and one.at_ms == at_ms:
                is_kept = True
        if not is_kept:
            self.put("ended", at_ms, key)

    def fires(self, timer: Timer, at_ms: int, key: Any) -> bool:
        for one in self.of(key):
            if one.state == "open" and deadline_ms(timer, one.at_ms) == at_ms:
                one.state = "fired"
                return True
        return False

    def put(self, state: str, at_ms: int, key: Any) -> None:
        """Into a free place, else in place of the oldest that is not open; what ended must not be older than that."""
        free = next((one for one in self.places if not one.state), None)
        if free is None:
            old = [one for one in self.places if one.state != "open"]
            oldest = min(old, key=lambda one: one.at_ms, default=None)
            free = oldest if oldest is not None and (state == "open" or oldest.at_ms < at_ms) else None
        if free is not None:
            free.state, free.at_ms, free.key = state, at_ms, key

    def value(self, _at_ms: int) -> None:
        """Known on rows `due` alone, where the interpreter says it."""
