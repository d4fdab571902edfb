"""The judge of a cluster: what its decisions say, counted again from the records alone.

Nothing of the runtime is used, nor the gates' own code: caps are counted here from the decided contacts of every
subscriber, by the terms in which the book is written. A zone without summer time is taken for calendar caps.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from state.decisions import DecisionBatch
from tests.parts.kafka.rig import records_of

DECIDED = 0
STOPPED_BY_CAP = 10
_COLUMNS = ("row", "rule", "channel", "detail", "subscriber", "at_ms", "outcome", "gate")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ZONE_MS = 8 * HOUR_MS


class Contact(NamedTuple):
    """A promise to a subscriber; `rule` is its number in the records."""

    subscriber: int
    at_ms: int
    rule: int


@dataclass(frozen=True, slots=True)
class CapTerms:
    """At most `count` contacts of a subscriber within `window_ms`, or within a local day where that is 0."""

    name: str
    count: int
    window_ms: int
    each_rule: bool = False


SMALL_BOOK = (
    CapTerms("3 per day", 3, 0),
    CapTerms("sms: 2 per 1h", 2, HOUR_MS),
    CapTerms("perf: 6 per 7d", 6, 168 * HOUR_MS),
    CapTerms("rule: 1 per 7d", 1, 168 * HOUR_MS, each_rule=True),
)
"""The caps of `perf.books.small`; all its rules are of one campaign and go to one channel."""


def only(batches: Iterable[tuple[int, DecisionBatch]], rules: Iterable[int]) -> list[tuple[int, DecisionBatch]]:
    """Return the batches with the records of some rules alone."""
    wanted, found = list(rules), []
    for partition, batch in batches:
        keep = np.isin(batch.rule, wanted)
        lengths = np.diff(batch.fact_start)
        facts = np.repeat(keep, lengths)
        columns = {name: getattr(batch, name)[keep] for name in _COLUMNS}
        columns |= {"facts": batch.facts[facts], "facts_known": batch.facts_known[facts]}
        starts = np.concatenate([[0], np.cumsum(lengths[keep])]).astype(np.int32)
        found.append((partition, replace(batch, **columns, fact_start=starts)))
    return found


def contacts_of(batches: Iterable[tuple[int, DecisionBatch]], refunded: Set[str] = frozenset()) -> list[Contact]:
    """Return what was promised and not taken back."""
    found = []
    for partition, batch in batches:
        for row in (batch.outcome == DECIDED).nonzero()[0].tolist():
            rule = int(batch.rule[row])
            if f"{partition}-{batch.position}-{int(batch.row[row])}-{rule:x}" not in refunded:
                found.append(Contact(int(batch.subscriber[row]), int(batch.at_ms[row]), rule))
    return found


def breaches(contacts: Iterable[Contact], caps: Sequence[CapTerms]) -> Counter[str]:
    """Return, by cap, how many contacts are more than it allows."""
    found: Counter[str] = Counter({cap.name: 0 for cap in caps})
    times: defaultdict[tuple[str, int, int], list[int]] = defaultdict(list)
    for one in contacts:
        for cap in caps:
            times[cap.name, one.subscriber, one.rule if cap.each_rule else 0].append(one.at_ms)
    by_name = {cap.name: cap for cap in caps}
    for (name, *_), some in times.items():
        found[name] += _too_many(sorted(some), by_name[name])
    return found


def _too_many(times: list[int], cap: CapTerms) -> int:
    """Count the contacts that have `cap.count` others before them in the same window or day."""
    if cap.window_ms:
        return sum(after < before + cap.window_ms for before, after in zip(times, times[cap.count :], strict=False))
    days = Counter((datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=one + ZONE_MS)).date() for one in times)
    return sum(max(0, count - cap.count) for count in days.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found; `lost` and `surplus` are records, against a machine that decided the same events alone."""

    records: int
    contacts: int
    lost: int
    surplus: int
    doubled_ids: int
    breaches: dict[str, int]
    stopped_by_caps: int

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or promised too often."""
        return not (self.lost or self.surplus or self.doubled_ids or any(self.breaches.values()))


def judge(
    found: list[tuple[int, DecisionBatch]], expected: list[tuple[int, DecisionBatch]], caps: Sequence[CapTerms]
) -> Verdict:
    """Compare every record, by how often it is there, and count the contacts again."""
    left, right = Counter(records_of(found)), Counter(records_of(expected))
    ids = Counter(_ids(found))
    contacts = contacts_of(found)
    return Verdict(
        records=left.total(),
        contacts=len(contacts),
        lost=(right - left).total(),
        surplus=(left - right).total(),
        doubled_ids=ids.total() - len(ids),
        breaches=dict(breaches(contacts, caps)),
        stopped_by_caps=sum(int((batch.gate == STOPPED_BY_CAP).sum()) for _, batch in found),
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """Rules by how they are judged: `feed` against the log, `tickets` by number, `caps` by contacts."""

    feed: frozenset[int]
    feed_caps: Sequence[CapTerms]
    tickets: frozenset[int]
    ticket_fact: int
    caps: Mapping[frozenset[int], Sequence[CapTerms]]


@dataclass(frozen=True, slots=True)
class GroupsVerdict:
    """The feed against a fold of the log, its candidates against one machine; all groups' ids and caps; tickets, which
    have one record each, decided or not.
    """

    feed: Verdict
    candidates_lost: int
    candidates_surplus: int
    doubled_ids: int
    breaches: dict[str, int]
    tickets: int
    tickets_lost: int
    tickets_doubled: int

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or promised too often, in any group."""
        candidates = (self.candidates_lost, self.candidates_surplus)
        faults = (*candidates, self.doubled_ids, self.tickets_lost, self.tickets_doubled, *self.breaches.values())
        return self.feed.clean and not any(faults)


def judge_groups(
    found: list[tuple[int, DecisionBatch]],
    folded: list[tuple[int, DecisionBatch]],
    expected: list[tuple[int, DecisionBatch]],
    groups: Groups,
    tickets: int,
    refunded: Set[str],
) -> GroupsVerdict:
    """Judge the feed by the log, all others by tickets 1 to `tickets` and by the caps they have.

    `folded` is what one fold of the cluster's own log decides. `expected` is what one machine decided of the same
    lines: it has the same candidates, but texts ended there at other times, so gates may have stopped others.
    """
    over: Counter[str] = Counter()
    for rules, caps in groups.caps.items():
        over.update(breaches(contacts_of(only(found, rules), refunded), caps))
    numbers, ids = ticket_numbers(found, groups), Counter(_ids(found))
    came, wanted = candidates(only(found, groups.feed)), candidates(only(expected, groups.feed))
    return GroupsVerdict(
        feed=judge(only(found, groups.feed), only(folded, groups.feed), groups.feed_caps),
        candidates_lost=(wanted - came).total(),
        candidates_surplus=(came - wanted).total(),
        doubled_ids=ids.total() - len(ids),
        breaches=dict(over),
        tickets=tickets,
        tickets_lost=sum(not numbers[number] for number in range(1, tickets + 1)),
        tickets_doubled=numbers.total() - len(numbers),
    )


def candidates(batches: Iterable[tuple[int, DecisionBatch]]) -> Counter[tuple[int, int, int]]:
    """Return how many records there are of each subscriber, event time and rule, whatever became of them."""
    found: Counter[tuple[int, int, int]] = Counter()
    for _, batch in batches:
        found.update(zip(batch.subscriber.tolist(), batch.at_ms.tolist(), batch.rule.tolist(), strict=True))
    return found


def ticket_numbers(found: Iterable[tuple[int, DecisionBatch]], groups: Groups) -> Counter[int]:
    """Return how many records each ticket has."""
    numbers: Counter[int] = Counter()
    for _, batch in only(found, groups.tickets):
        numbers.update(batch.facts[batch.fact_start[:-1] + groups.ticket_fact].tolist())
    return numbers


def _ids(batches: Iterable[tuple[int, DecisionBatch]]) -> Iterable[tuple[Any, ...]]:
    for partition, batch in batches:
        for row, rule in zip(batch.row.tolist(), batch.rule.tolist(), strict=True):
            yield partition, batch.position, row, rule
