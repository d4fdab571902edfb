"""What a backtest found, as rows: one plain dict a figure, which a table, CSV, NDJSON and a page all show.

    section     names                        value
    decided     book, rule, channel          decisions; of them `both`, taken by the running book as well, and its own
    sent        book, rule                   accepted by a gateway or shown at a desk
    refunded    book, rule, reason           given up: its caps got their place back
    stopped     book, rule, gate             candidates that a gate stopped
    withdrawn   book, rule, gate             decisions taken back before they went
    hour        book, hour, rule, channel    decisions by hour
    hour_sent   book, hour, rule             contacts by hour
    overlap     book, rule, other            subscribers for whom both rules decided
    top         book, subscriber             decisions of those who had most; the number is masked

Of a sample, values are scaled to all subscribers; `low` and `high` of `decided` are the bounds of 95 in 100 samples.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from engine.runtimes.backtest.lane import LaneResult
from engine.runtimes.backtest.sample import Sample, interval
from engine.runtimes.backtest.tally import HOUR_MS, Int64s, Tally
from rules.gates import word_of
from rules.model import Book
from state.decisions import OutcomeState

TOP = 10
CHUNK = 1 << 16
NAMES = ("section", "book", "rule", "channel", "other", "gate", "reason", "hour", "subscriber")
VALUES = ("value", "low", "high", "both", "only_here", "only_running")

Figure = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the numbers in records, of every book that took part, and the operator's zone."""

    rules: Mapping[int, str]
    channels: Mapping[int, str]
    zone: ZoneInfo

    def rule(self, number: int) -> str:
        """Return the name of a rule."""
        return self.rules.get(number, f"{number:x}")

    def channel(self, number: int) -> str:
        """Return the name of a channel."""
        return self.channels.get(number, f"{number:x}")

    def hour(self, number: int) -> str:
        """Return the local time at which an hour since 1970 UTC begins."""
        return datetime.fromtimestamp(number * HOUR_MS / 1000, self.zone).strftime("%Y-%m-%d %H:%M")


def names_of(books: Sequence[Book]) -> Names:
    """Return the names of all books; the zone is the first one's."""
    rules = {number: rule.id for book in reversed(books) for number, rule in book.by_stable_id.items()}
    channels = {number: one.name for book in reversed(books) for number, one in book.channels_by_id.items()}
    return Names(rules, channels, ZoneInfo(books[0].zone if books else "UTC"))


def figures(books: Sequence[str], results: Sequence[LaneResult], names: Names, sample: Sample) -> Iterator[Figure]:
    """Yield every figure of every book; the first one is what ran."""
    running = results[0].tally
    for book, result in zip(books, results, strict=True):
        for figure in _of_book(result.tally, running, names, sample):
            yield {"section": figure.pop("section"), "book": book, **figure}


def _of_book(tally: Tally, running: Tally, names: Names, sample: Sample) -> Iterator[Figure]:
    yield from _decided(tally, running, names, sample)
    yield from _counted(tally, names, sample)
    rules = tally.decided["rule"]
    for (hour, rule, channel), count in _groups(tally, "hour", "rule", "channel"):
        named = {"hour": names.hour(hour), "rule": names.rule(rule), "channel": names.channel(channel)}
        yield {"section": "hour", **named, "value": _whole(count, sample)}
    for (hour, rule), count in sorted(tally.sent.items()):
        yield {
            "section": "hour_sent",
            "hour": names.hour(hour),
            "rule": names.rule(rule),
            "value": _whole(count, sample),
        }
    for one, other, count in overlaps(rules, tally.decided["subscriber"]):
        named = {"rule": names.rule(one), "other": names.rule(other)}
        yield {"section": "overlap", **named, "value": _whole(count, sample)}
    numbers, counts = np.unique(tally.decided["subscriber"], return_counts=True)
    for at in np.lexsort((numbers, -counts))[:TOP].tolist():
        yield {"section": "top", "subscriber": masked(int(numbers[at])), "value": int(counts[at])}


def _counted(tally: Tally, names: Names, sample: Sample) -> Iterator[Figure]:
    sent: Counter[int] = Counter()
    for (rule, state), count in tally.ended.items():
        sent[rule] += count if state == OutcomeState.COMMITTED else 0
    for rule, count in sorted(sent.items(), key=lambda one: names.rule(one[0])):
        yield {"section": "sent", "rule": names.rule(rule), "value": _whole(count, sample)}
    for (rule, reason), count in sorted(tally.refunds.items()):
        yield {"section": "refunded", "rule": names.rule(rule), "reason": reason, "value": _whole(count, sample)}
    for section, counter in (("stopped", tally.stopped), ("withdrawn", tally.withdrawn)):
        for (rule, gate), count in sorted(counter.items()):
            named = {"rule": names.rule(rule), "gate": word_of(gate) or "?"}
            yield {"section": section, **named, "value": _whole(count, sample)}


def _decided(tally: Tally, running: Tally, names: Names, sample: Sample) -> Iterator[Figure]:
    """Yield decisions by rule and channel, also of pairs that only the running book has, and the sum."""
    ours, theirs = tally.decided, running.decided
    pairs = {key for key, _ in _groups(tally, "rule", "channel")} | {
        key for key, _ in _groups(running, "rule", "channel")
    }
    for rule, channel in sorted(pairs, key=lambda one: (names.rule(one[0]), names.channel(one[1]))):
        here = (ours["rule"] == rule) & (ours["channel"] == channel)
        there = (theirs["rule"] == rule) & (theirs["channel"] == channel)
        named = {"rule": names.rule(rule), "channel": names.channel(channel)}
        held = _held(ours["key"][here], theirs["key"][there], ours["subscriber"][here], sample)
        yield {"section": "decided", **named, **held}
    yield {
        "section": "decided",
        "rule": "all",
        "channel": "",
        **_held(ours["key"], theirs["key"], ours["subscriber"], sample),
    }


def _held(ours: Int64s, theirs: Int64s, subscribers: Int64s, sample: Sample) -> dict[str, int]:
    """Return counts of decisions, held against those of the running book."""
    both = int(np.isin(ours, theirs).sum())
    low, high = interval(np.unique(subscribers, return_counts=True)[1], sample.share)
    return {
        "value": _whole(ours.shape[0], sample),
        "low": low,
        "high": high,
        "both": _whole(both, sample),
        "only_here": _whole(ours.shape[0] - both, sample),
        "only_running": _whole(theirs.shape[0] - both, sample),
    }


def overlaps(rule: Int64s, subscriber: Int64s) -> Iterator[tuple[int, int, int]]:
    """Yield (rule, other rule, subscribers for whom both decided), most first; pairs without any are left out."""
    rules, rule_at = np.unique(rule, return_inverse=True)
    who, who_at = np.unique(subscriber, return_inverse=True)
    shared = np.zeros((rules.shape[0], rules.shape[0]), np.int64)
    order = np.argsort(who_at, kind="stable")
    starts = np.searchsorted(who_at[order], np.arange(0, who.shape[0] + CHUNK, CHUNK))
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        some = order[start:end]
        held = np.zeros((CHUNK, rules.shape[0]), np.float32)
        held[who_at[some] % CHUNK, rule_at[some]] = 1
        shared += (held.T @ held).astype(np.int64)
    upper = np.argwhere(np.triu(shared, 1))
    for one, other in sorted(upper.tolist(), key=lambda pair: -int(shared[pair[0], pair[1]])):
        yield int(rules[one]), int(rules[other]), int(shared[one, other])


def masked(subscriber: int) -> str:
    """Return a number with its middle hidden, as a report may leave the house."""
    text = str(subscriber)
    return f"{text[:5]}{'*' * max(0, len(text) - 7)}{text[-2:]}" if len(text) > 7 else "*" * len(text)


def _groups(tally: Tally, *columns: str) -> list[tuple[tuple[int, ...], int]]:
    """Return how many decisions there are of each combination of columns, in order."""
    rows = np.stack([tally.decided[name] for name in columns])
    keys, counts = np.unique(rows, axis=1, return_counts=True)
    return list(zip(map(tuple, keys.T.tolist()), counts.tolist(), strict=True))


def _whole(count: int, sample: Sample) -> int:
    """Return what a count of the sample stands for."""
    return count if sample.whole else round(count / sample.share)
