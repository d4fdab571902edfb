"""What Prometheus sees: counts, gauges and latency histograms, named `opportune_<what>_<unit>`.

Counters are raised once a frame, by numbers and not by events; histograms take a weight, because a frame's events share
their latency. Subscribers never appear in a label.
"""

import re
import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from rules.catalogue import OPT_OUT_LIST
from rules.gates import word_of
from rules.model import Book
from state.decisions import DecisionBatch, OutcomeState, RecordKind

LATENCY_BOUNDS_S = (
    0.001, 0.002, 0.003, 0.004, 0.006, 0.008, 0.011, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5, 1, 2,
    5, 10, 30, 60, 300,
)  # fmt: skip

ERRORS_MAX = 200
"""Error codes with a series of their own: networks and file writers choose them."""
BY_RULE_MAX = 20_000
"""Counters by rule and outcome that are found without asking the book."""
ANSWERS = ("accept", "decline", "later", "expired", "withdrawn")
"""How a card, or an outside channel, ends: the words of `answer` events."""
RELOAD_RESULTS = ("ok", "error")
"""What becomes of an attempt to activate a book."""
_NUMBER = re.compile(r"\d{7}")

GaugeReader = Callable[[], Iterable[tuple[dict[str, str], float]]]


class Latency(Collector):
    """A histogram of seconds with weights."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._counts = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, seconds: float, weight: int = 1) -> None:
        """Count `weight` things that took `seconds` each."""
        with self._lock:
            self._counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += weight
            self._sum += seconds * weight

    def quantile(self, share: float) -> float:
        """Return the upper bound below which `share` of the observations lie; 0 without any."""
        with self._lock:
            counts = list(self._counts)
        total = sum(counts)
        seen = 0
        for bound, count in zip((*LATENCY_BOUNDS_S, float("inf")), counts, strict=True):
            seen += count
            if total and seen >= share * total:
                return bound
        return 0.0

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        running = np.cumsum(counts)
        bounds = [*(repr(float(bound)) for bound in LATENCY_BOUNDS_S), "+Inf"]
        buckets = [(bound, float(count)) for bound, count in zip(bounds, running, strict=True)]
        family = HistogramMetricFamily(self.name, self.text)
        family.add_metric([], buckets=buckets, sum_value=total)
        yield family


class Gauges(Collector):
    """Gauges that are read when somebody asks."""

    def __init__(self) -> None:
        self._readers: list[tuple[str, str, Sequence[str], GaugeReader]] = []
        self._info: Callable[[], dict[str, str]] | None = None

    def add(self, name: str, text: str, labels: Sequence[str], reader: GaugeReader) -> None:
        """Add a gauge; `reader` yields (labels, value)."""
        self._readers.append((name, text, labels, reader))

    def book(self, reader: Callable[[], dict[str, str]]) -> None:
        """Say which book is active."""
        self._info = reader

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge as it is now."""
        for name, text, labels, reader in self._readers:
            family = GaugeMetricFamily(name, text, labels=labels)
            for values, value in reader():
                family.add_metric([values[label] for label in labels], value)
            yield family
        if self._info is not None:
            yield InfoMetricFamily("opportune_book", "The rule book in force.", value=self._info())


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self, rules_max: int = 1_000) -> None:
        self.registry = CollectorRegistry()
        self._rules_max = rules_max
        self._rules: set[str] = set()
        self._errors: set[str] = set()
        self.gauges = Gauges()
        self.to_decision = Latency(
            "opportune_event_to_decision_seconds", "From a chunk's arrival to its decisions being durable."
        )
        self.to_gateway = Latency(
            "opportune_event_to_gateway_seconds",
            "From the frame of an event to the gateway's answer about its message.",
        )
        for collector in (self.gauges, self.to_decision, self.to_gateway):
            self.registry.register(collector)
        self.events = self._counter("opportune_events", "Lines decoded to events.", "source")
        self.slow = self._counter("opportune_strict_lines", "Lines that the strict path had to judge.", "source")
        self.dead = self._counter("opportune_dead_letters", "Lines that are no events.", "source", "code")
        self.folded = self._counter("opportune_folded_events", "Events folded into the state.")
        self.decisions = self._counter(
            "opportune_decisions", "Candidates by rule and by what became of them.", "rule", "gate"
        )
        self.sends = self._counter("opportune_sends", "Messages by gateway and outcome.", "gateway", "outcome")
        self.outcomes = self._counter(
            "opportune_outcomes", "What became of decisions, as the log was told.", "state", "error"
        )
        self.rule_outcomes = self._counter(
            "opportune_rule_outcomes",
            "What became of decisions, by rule: states as of opportune_outcomes, and words of answers.",
            "rule",
            "outcome",
        )
        self.cards = self._counter("opportune_cards", "Desk cards by what became of them.", "outcome")
        self.wrong_secrets = self._counter(
            "opportune_wrong_secrets", "Requests that showed a wrong token, by route.", "route"
        )
        self.opt_outs = self._counter(
            "opportune_opt_outs", "Subscribers put on, or taken off, a list of opt-outs, by reply or command.", "change"
        )
        self.reloads = self._counter("opportune_book_reloads", "Attempts to activate a book.", "result")
        for result in RELOAD_RESULTS:  # a series that begins with its first event has no increase for an alert to see
            self.reloads.labels(result)
        self._ended: dict[tuple[OutcomeState, str], Counter] = {}
        self._sent: dict[tuple[str, str], Counter] = {}
        self._deciding: dict[int, Counter] = {}
        self._deciding_book = ""
        self.active_book: Callable[[], Book | None] = lambda: None
        """Returns the book in force, whose rules have names in labels; set by the runtime."""
        self._by_rule: dict[tuple[str, str], Counter] = {}

    def count_decisions(self, book: Book, batch: DecisionBatch) -> None:
        """Count a frame's records by rule and gate ("decided" where none stopped it)."""
        if self._deciding_book != book.version:
            self._deciding_book, self._deciding = book.version, {}
        judged = batch.kind == RecordKind.DECISION
        for key, count in Tally((batch.rule << 8 | batch.gate)[judged].tolist()).items():
            counter = self._deciding.get(key)
            if counter is None:
                rule, gate = book.by_stable_id[key >> 8], word_of(key & 255)
                name = _bounded(rule.id, self._rules, self._rules_max)
                counter = self.decisions.labels(name, gate or "decided")
                self._deciding[key] = counter
            counter.inc(count)

    def count_outcome(self, decision_id: str, state: OutcomeState, error: str) -> None:
        """Count what became of one decision; codes that look like numbers of people, or are too many, are `other`."""
        self.count_by_rule(decision_id, state.name.lower())
        counter = self._ended.get((state, error))
        if counter is None:
            word = "other" if _NUMBER.search(error) else _bounded(error, self._errors, ERRORS_MAX)
            counter = self.outcomes.labels(state.name.lower(), word)
            if len(self._ended) < ERRORS_MAX:
                self._ended[state, error] = counter
        counter.inc()

    def count_by_rule(self, decision_id: str, outcome: str) -> None:
        """Count what became of a decision by its rule; a rule that the book in force does not have is `other`."""
        number = decision_id.rpartition("-")[2]
        counter = self._by_rule.get((number, outcome))
        if counter is None:
            book = self.active_book()
            rule = book.by_stable_id.get(int(number, 16)) if book is not None else None
            name = _bounded(rule.id, self._rules, self._rules_max) if rule is not None else "other"
            counter = self.rule_outcomes.labels(name, outcome)
            if rule is not None and len(self._by_rule) < BY_RULE_MAX:
                self._by_rule[number, outcome] = counter
        counter.inc()

    def count_answer(self, decision_id: str, answer: str) -> None:
        """Count how a customer, or a clerk for one, answered a decision; a word that is none of ours is `other`."""
        self.count_by_rule(decision_id, answer if answer in ANSWERS else "other")

    def count_send(self, gateway: str, state: str, seconds: float) -> None:
        """Count an attempt by what became of it, and how long after its decision that was known."""
        counter = self._sent.get((gateway, state))
        if counter is None:
            counter = self._sent[gateway, state] = self.sends.labels(gateway, state)
        counter.inc()
        self.to_gateway.observe(seconds)

    def count_members(self, name: str, member: bool, count: int) -> None:
        """Count subscribers that were put on a list of opt-outs or taken off it."""
        if name == OPT_OUT_LIST or name.startswith(f"{OPT_OUT_LIST}."):
            self.opt_outs.labels("out" if member else "in").inc(count)

    def page(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)


def _bounded(word: str, known: set[str], count_max: int) -> str:
    """Return a label's value, `other` for a new one when there are `count_max` already."""
    if word not in known:
        if len(known) >= count_max:
            return "other"
        known.add(word)
    return word
