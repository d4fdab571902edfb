"""What was promised to one subscriber, and whether a cap allows one promise more."""

from dataclasses import dataclass, field
from typing import Literal

from rules.model import Book, Cap, Rule
from tests.oracle.clock import DAY_MS, Zone

LONGEST_CALENDAR_MS = 33 * DAY_MS


@dataclass
class Promise:
    """A decision: which one (position, row, rule), in which scopes it counts, and what became of it.

    `at_ms` is when it was made, and from its end on when it reached the subscriber.
    """

    at_ms: int
    expires_ms: int | None
    position: int
    row: int
    rule: int
    campaign: int
    channel: int
    offer: int
    is_service: bool
    is_kept: bool
    state: Literal["waits", "reached", "unsure", "shadow", "withdrawn"] = "waits"
    is_declined: bool = False
    category: int = 0
    is_rehearsed: bool = False

    def counts_for(self, cap: Cap) -> bool:
        match cap.scope:
            case "rule":
                return self.rule == cap.scope_id
            case "campaign":
                return self.campaign == cap.scope_id
            case "category":
                return not self.is_service and self.category == cap.scope_id
            case "channel":
                return not self.is_service and self.channel == cap.scope_id
            case "all":
                return not self.is_service

    def may_come(self, log_ms: int) -> bool:
        """Whether it may still reach the subscriber."""
        return self.state in ("waits", "withdrawn") and (self.expires_ms is None or self.expires_ms > log_ms)


@dataclass
class Promises:
    """At most `promises_max` of them; of those given up, the time of the newest is known."""

    promises_max: int
    kept: list[Promise] = field(default_factory=list)
    given_up_ms: int = 0

    def forbid(self, cap: Cap, log_ms: int, zone: Zone, *, rehearses: bool) -> bool:
        """Whether one more promise at `log_ms` would break the cap, or might; only shadows see shadows."""
        reach_ms = cap.window_ms if cap.kind == "rolling" else LONGEST_CALENDAR_MS
        if self.given_up_ms and self.given_up_ms > log_ms - reach_ms:
            return True
        counted = 0
        for promise in self.kept:
            if not promise.counts_for(cap) or (promise.is_rehearsed and not rehearses):
                continue
            if promise.state in ("reached", "unsure", "shadow"):
                counted += same_period(cap, promise.at_ms, log_ms, zone)
            else:
                counted += promise.may_come(log_ms)
        return counted >= cap.count_max

    def make_room(self, log_ms: int, horizon_start_ms: int, *, capped: bool, rehearses: bool) -> bool:
        """Whether there is room for one more, after giving up what was rehearsed, is over, old or uncounted."""
        if len(self.kept) < self.promises_max:
            return True
        rehearsed = [one for one in self.kept if one.is_rehearsed]
        if rehearsed:
            self.kept.remove(rehearsed[0])
        if rehearsed or rehearses:
            return bool(rehearsed)
        over = [one for one in self.kept if one.state in ("waits", "withdrawn") and not one.may_come(log_ms)]
        if over:
            self.kept.remove(over[0])
            return True
        ended = [one for one in self.kept if one.state not in ("waits", "withdrawn") and one.is_kept]
        old = [one for one in ended if one.at_ms < horizon_start_ms]
        if old:
            oldest = min(old, key=lambda promise: promise.at_ms)
            self.given_up_ms = max(self.given_up_ms, oldest.at_ms)
            self.kept.remove(oldest)
            return True
        free = [one for one in self.kept if not one.is_kept]
        if capped and free:
            self.kept.remove(free[0])
            return True
        return False

    def settle(self, named: tuple[int, int, int], state: str, contact_ms: int) -> None:
        """Take what became of one promise, if it is still there."""
        for promise in self.kept:
            if (promise.position, promise.row, promise.rule) != named:
                continue
            if state == "refunded" or not promise.is_kept:
                self.kept.remove(promise)
            elif promise.state in ("waits", "withdrawn"):
                promise.state, promise.at_ms = ("reached" if state == "reached" else "unsure"), contact_ms
            elif promise.state == "unsure" and state == "reached":
                promise.state, promise.at_ms = "reached", contact_ms
            return

    def named(self, position: int, row: int, rule: int) -> list[Promise]:
        """The promise of one decision, if it is still there."""
        return [one for one in self.kept if (one.position, one.row, one.rule) == (position, row, rule)]


def same_period(cap: Cap, made_ms: int, at_ms: int, zone: Zone) -> bool:
    """Whether a contact at `made_ms` is in the cap's window around `at_ms`, before or after it."""
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
    of_category = book.categories[rule.category].caps if rule.category is not None else ()
    return own if rule.klass == "service" else [*own, *of_category, *book.channels[channel].caps, *book.caps]


def looks_back(book: Book, rule: Rule, channel: str) -> bool:
    """Whether the offer of a rule counts a contact on a channel after it was sent."""
    if rule.klass == "service" or rule.offer is None:
        return False
    offer = book.offers[rule.offer]
    return bool(offer.repeat_ms or offer.declined_hides_ms) or book.channels[channel].kind == "desk"


def offer_ms(book: Book) -> int:
    """How far back any offer that a commercial rule makes looks."""
    reach = [0]
    for rule in book.rules:
        if rule.offer is not None and rule.klass == "commercial" and not rule.shadow:
            offer = book.offers[rule.offer]
            reach += [offer.repeat_ms, offer.declined_hides_ms]
    return max(reach)


def horizon_ms(book: Book) -> int:
    """How far back any cap or offer of the book reaches."""
    return max(
        offer_ms(book),
        max(
            (
                cap.window_ms if cap.kind == "rolling" else LONGEST_CALENDAR_MS
                for rule in book.rules
                if not rule.shadow
                for channel in rule.channels
                for cap in caps_of(book, rule, channel)
            ),
            default=0,
        ),
    )
