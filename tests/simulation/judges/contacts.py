"""Contacts as the judge of caps knows them, without any code of the product that counts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from engine.book.compiled import CompiledBook
from rules.model import Cap, Rule
from tests.simulation.traffic import HOUR_MS

ZONE_MS = 8 * HOUR_MS  # Shanghai, all year


@dataclass(slots=True)
class Contact:
    """A promise to a subscriber, as the judge of caps knows it; all times are the log's.

    It waits until `expires_ms`, or until `contact_ms` is known: when it reached the subscriber.
    """

    decision: str
    at_ms: int
    expires_ms: int
    rule: int
    campaign: int
    channel: int
    service: bool
    contact_ms: int | None = None

    def counts_near(self, log_ms: int, cap: Cap) -> bool:
        """Tell whether it counts in the cap's window around a time: what waits, in every one."""
        if self.contact_ms is None:
            return self.expires_ms > log_ms
        if cap.kind == "rolling":
            return abs(self.contact_ms - log_ms) < cap.window_ms
        return calendar(self.contact_ms, cap.kind) == calendar(log_ms, cap.kind)

    def counts_for(self, cap: Cap) -> bool:
        """Tell whether it counts for a cap."""
        if cap.scope == "rule":
            return self.rule == cap.scope_id
        if cap.scope == "campaign":
            return self.campaign == cap.scope_id
        return not self.service and (cap.scope == "all" or self.channel == cap.scope_id)


def calendar(at_ms: int, kind: str) -> object:
    """Return the local day, week or month of a time."""
    local = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms + ZONE_MS)
    if kind == "month":
        return (local.year, local.month)
    return local.isocalendar()[:2] if kind == "week" else local.date()


def parts_of(contact: Contact) -> tuple[int, int, int, int]:
    """Return the numbers in a contact's decision."""
    partition, position, row, rule = contact.decision.split("-")
    return int(partition), int(position), int(row), int(rule, 16)


def caps_of(compiled: CompiledBook, rule: Rule, channel: str) -> list[Cap]:
    """Return the caps of a rule on a channel, in their order: its own, its campaign's, the channel's, everything's."""
    book = compiled.book
    caps = [*rule.caps, *book.campaigns[rule.campaign].caps]
    if rule.klass != "service":
        caps += [*book.channels[channel].caps, *book.caps]
    return caps
