"""The judge of ends finds what it is there for: it is shown texts and counters with one fault planted in them."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from state.decisions import OutcomeState
from state.hashing import hash_text
from tests.parts.kafka.clerks import Story
from tests.parts.kafka.evidence import Told
from tests.parts.kafka.judge_ends import CountersVerdict, Terms, TextsVerdict, judge_counters, judge_texts
from tests.parts.smsc.centre import Arrival, Text

COMMITTED, REFUNDED, DELIVERED = OutcomeState.COMMITTED, OutcomeState.REFUNDED, OutcomeState.DELIVERED
UNKNOWN = OutcomeState.UNKNOWN
TEXTS = [Text("10086", 8_613_800_000_000 + number, f"text {number}") for number in range(20)]
REFUSED = Text("10086", 99933, "text 20")
TERMS = Terms({"10086": 19}, {"10086": 2}, unknown_max=1)
NAMES = [f"0-{number}-0-7" for number in range(22)]


class Sent:
    """Twenty texts, one in doubt, one never sent; one to a number that the centre refuses; each as it should be."""

    def __init__(self) -> None:
        self.decided = dict(zip(NAMES, [*TEXTS, REFUSED], strict=False))
        self.outcomes = {name: Counter({COMMITTED: 1, DELIVERED: 1}) for name in NAMES[:18]}
        self.outcomes |= {NAMES[18]: Counter({UNKNOWN: 2}), NAMES[19]: Counter([REFUNDED])}
        self.outcomes |= {NAMES[20]: Counter([REFUNDED]), "a card": Counter([COMMITTED])}
        self.arrivals = [Arrival(number * 1_000, text) for number, text in enumerate([*TEXTS[:19], REFUSED])]
        self.receipts = TEXTS[:18]

    def judged(self) -> TextsVerdict:
        return judge_texts(self.decided, ["a card"], self.outcomes, self.arrivals, self.receipts, TERMS)


def after_a_takeover_that_fences_nobody(sent: Sent) -> None:
    sent.arrivals.append(Arrival(60_000, TEXTS[3]))


def lost_on_the_way(sent: Sent) -> None:
    del sent.arrivals[3]


def forgotten(sent: Sent) -> None:
    del sent.outcomes[NAMES[3]]


def told_two_ends(sent: Sent) -> None:
    sent.outcomes[NAMES[18]][COMMITTED] += 1


def refunded_though_sent(sent: Sent) -> None:
    sent.outcomes[NAMES[3]] = Counter([REFUNDED])
    sent.receipts = []


def told_of_nobody(sent: Sent) -> None:
    sent.outcomes["0-99-0-7"] = Counter([COMMITTED])


def sent_without_a_decision(sent: Sent) -> None:
    sent.arrivals.append(Arrival(60_000, Text("10086", 1, "text 1")))


def receipt_lost(sent: Sent) -> None:
    sent.outcomes[NAMES[3]] = Counter([COMMITTED])


def too_much_in_doubt(sent: Sent) -> None:
    sent.outcomes[NAMES[3]] = Counter([UNKNOWN])


def over_the_quota(sent: Sent) -> None:
    sent.decided[NAMES[21]] = Text("10086", 5, "text 21")
    sent.outcomes[NAMES[21]] = Counter([COMMITTED])
    sent.arrivals.append(Arrival(60_000, sent.decided[NAMES[21]]))


def over_the_rate(sent: Sent) -> None:
    sent.arrivals = [one._replace(at_ms=one.at_ms // 4) for one in sent.arrivals]


PLANTED = [
    (after_a_takeover_that_fences_nobody, {"sent_twice", "over_quota"}),
    (lost_on_the_way, {"committed_not_sent"}),
    (forgotten, {"without_end"}),
    (told_two_ends, {"with_two_ends"}),
    (refunded_though_sent, {"refunded_but_sent"}),
    (told_of_nobody, {"told_of_nobody"}),
    (sent_without_a_decision, {"sent_not_decided", "over_quota"}),
    (receipt_lost, {"receipts_lost"}),
    (too_much_in_doubt, set()),
    (over_the_quota, {"over_quota"}),
    (over_the_rate, {"over_rate"}),
]


def faults_of(verdict: TextsVerdict | CountersVerdict, first: str) -> set[str]:
    found = dataclasses.asdict(verdict)
    return {name for name in list(found)[list(found).index(first) :] if found[name]}


def test_texts_of_which_each_has_one_end_are_clean() -> None:
    verdict = Sent().judged()

    assert verdict.clean, verdict
    assert (verdict.texts, verdict.committed, verdict.refunded, verdict.unknown) == (21, 18, 2, 1)


@pytest.mark.parametrize(("plant", "names"), PLANTED)
def test_every_fault_of_a_text_is_found(plant: Callable[[Any], object], names: set[str]) -> None:
    sent = Sent()
    plant(sent)
    verdict = sent.judged()

    assert not verdict.clean
    assert faults_of(verdict, "without_end") >= names


class Counters:
    """Two visits, each with a card; the first was answered."""

    def __init__(self) -> None:
        self.stories = [Story("v-0", "t0", 7, opened=True, closed=True), Story("v-1", "t1", 8, opened=True)]
        self.stories[0].seen, self.stories[1].seen = {NAMES[0]}, {NAMES[1]}
        self.stories[0].reply, self.stories[0].answered = "accept", True
        self.cards, self.records, self.told = {NAMES[0]: 7, NAMES[1]: 8}, Counter({7: 1, 8: 1}), Told()
        self.told.visits = Counter({hash_text(b"v-0"): 2, hash_text(b"v-1"): 1})
        self.told.answers[NAMES[0]][hash_text(b"accept")] = 2
        self.told.outcomes[NAMES[0]][COMMITTED] = 1
        self.told.outcomes[NAMES[1]].update([COMMITTED, REFUNDED])

    def judged(self) -> CountersVerdict:
        return judge_counters(self.stories, self.cards, self.records, self.told, forgotten_max=0)


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (lambda one: one.told.visits.pop(hash_text(b"v-1")), "visits_not_logged"),
        (lambda one: one.records.pop(8), "visits_not_decided"),
        (lambda one: one.records.update([8]), "visits_decided_twice"),
        (lambda one: one.told.outcomes.pop(NAMES[1]), "cards_without_end"),
        (lambda one: one.stories[1].seen.add(NAMES[0]), "cards_of_others"),
        (lambda one: one.told.answers.clear(), "answers_not_logged"),
        (lambda one: one.told.answers[NAMES[0]].update([5]), "answers_doubled"),
        (lambda one: one.told.outcomes[NAMES[0]].update([REFUNDED]), "answered_and_refunded"),
        (lambda one: one.stories[1].wrong.append("404"), "said_wrongly"),
        (lambda one: setattr(one.stories[1], "forgotten", True), "cards_forgotten"),
        (lambda one: one.told.outcomes[NAMES[1]].update([UNKNOWN]), "cards_in_doubt"),
    ],
)
def test_every_fault_of_a_counter_is_found(plant: Callable[[Any], object], name: str) -> None:
    counters = Counters()
    assert counters.judged().clean, counters.judged()
    plant(counters)

    assert getattr(counters.judged(), name) == 1
    assert not counters.judged().clean
