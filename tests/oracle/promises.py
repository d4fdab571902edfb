"""What was promised to one subscriber, and whether a cap allows one promise more."""

from dataclasses import dataclass, field

from rules.model import Book, Cap, Rule
from tests.oracle.clock import DAY_MS, Zone

LONGEST_CALENDAR_MS = 33 * DAY_MS


@dataclass
class Promise:
    """A decision that caps count: who made it (position, row, rule), when, and in which scopes it counts."""

    at_ms: int
    position: int
    row: int
    rule: int
    campaign: int
    channel: int
    is_service: bool
    waits: bool = True
    is_declined: bool = False

    def counts_for(self, cap: Cap) -> bool:
        match cap.scope:
            case "rule":
                return self.rule == cap.scope_id
            case "campaign":
                return self.campaign == cap.scope_id
            case "channel":
                return not self.is_service and self.channel == cap.scope_id
            case "all":
                return not self.is_service


@dataclass
class Promises:
    """At most `promises_max` of them; of those given up, the time of the newest is known."""

    promises_max: int
    kept: list[Promise] = field(default_factory=list)
    given_up_ms: int = 0

    def forbid(self, cap: Cap, at_ms: int, zone: Zone) -> bool:
        """Whether one more promise at `at_ms` would break the cap, or might."""
        reach_ms = cap.window_ms if cap.kind == "rolling" else LONGEST_CALENDAR_MS
        if self.given_up_ms and self.given_up_ms > at_ms - reach_ms:
            return True
        counted = sum(same_period(cap, promise.at_ms, at_ms, zone) for promise in self.kept if promise.counts_for(cap))
        return counted >= cap.count_max

    def make_room(self, horizon_start_ms: int) -> bool:
        """Whether there is room for one more, after giving up the oldest if no cap can reach back to it."""
        if len(self.kept) < self.promises_max:
            return True
        oldest = min(self.kept, key=lambda promise: promise.at_ms)
        if oldest.at_ms >= horizon_start_ms:
            return False
        self.given_up_ms = max(self.given_up_ms, oldest.at_ms)
        self.kept.remove(oldest)
        return True

    def refund(self, position: int, row: int, rule: int) -> None:
        """Take back one promise, if it is still there."""
        for promise in self.kept:
            if (promise.position, promise.row, promise.rule) == (position, row, rule):
                self.kept.remove(promise)
                return

    def named(self, position: int, row: int, rule: int) -> list[Promise]:
        """The promise of one decision, if it is still there."""
        return [one for one in self.kept if (one.position, one.row, one.rule) == (position, row, rule)]


def same_period(cap: Cap, made_ms: int, at_ms: int, zone: Zone) -> bool:
    """Whether a promise made at `made_ms` is in the cap's window around `at_ms`, before or after it."""
    match cap.kind:
        case "rolling":
            return abs(made_ms - at_ms) < cap.window_ms
        case "day":
            return zone.day(made_ms) == zone.day(at_ms)
        case "week":
            return zone.week(made_ms) == zone.week(at_ms)
        case "month":
            return zone.month(made_ms) == zone.month(at_ms)


def caps_of(book: Book, rule: Rule, channel: str) -> list[Cap]:
    """The caps of a rule on a channel, in the order in which records name them."""
    own = [*rule.caps, *book.campaigns[rule.campaign].caps]
    return own if rule.klass == "service" else [*own, *book.channels[channel].caps, *book.caps]


def offer_ms(book: Book) -> int:
    """How far back any offer that a commercial rule makes looks."""
    reach = [0]
    for rule in book.rules:
        if rule.offer is not None and rule.klass == "commercial":
            offer = book.offers[rule.offer]
            reach += [offer.repeat_ms, offer.declined_hides_ms, rule.shelf_life_ms]
    return max(reach)


def horizon_ms(book: Book) -> int:
    """How far back any cap or offer of the book reaches."""
    return max(
        offer_ms(book),
        max(
            (
                cap.window_ms if cap.kind == "rolling" else LONGEST_CALENDAR_MS
                for rule in book.rules
                for channel in rule.channels
                for cap in caps_of(book, rule, channel)
            ),
            default=0,
        ),
    )
