"""The judge of what became of decisions: told to the log, come to the message centre, seen and answered at counters.

Nothing of dispatch or of the desk is used. The centre's own record says what came, the clerks' stories what was shown
and confirmed to them, the log what the deciders were told; here the three are held against each other and against what
was decided.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from state.decisions import OutcomeState
from state.hashing import hash_text
from tests.parts.kafka.clerks import Story
from tests.parts.kafka.evidence import Told
from tests.parts.smsc.centre import Arrival, Text

ENDS = {OutcomeState.COMMITTED, OutcomeState.REFUNDED, OutcomeState.UNKNOWN}
RECEIPTS = {OutcomeState.DELIVERED, OutcomeState.UNDELIVERED}
REFUSED = "999"
"""How numbers begin that the centre refuses; their texts come and reach nobody."""
RATE_WINDOW_MS = 5_000
RATE_SLACK_S = 2
"""What a rate may be ahead within a window: bursts at assignments, and texts that the machine held up together."""

Outcomes = Mapping[str, Counter[OutcomeState]]


class Terms(NamedTuple):
    """What texts are bound by: a day's count and a rate by source address, and how many may be in doubt."""

    quotas: Mapping[str, int]
    rates_per_s: Mapping[str, int]
    unknown_max: int


@dataclass(frozen=True, slots=True)
class TextsVerdict:
    """What became of texts. All after `receipts` are faults, but `unknown_max`."""

    texts: int
    committed: int
    refunded: int
    unknown: int
    receipts: int
    unknown_max: int
    without_end: int
    with_two_ends: int
    told_of_nobody: int
    sent_twice: int
    committed_not_sent: int
    refunded_but_sent: int
    sent_not_decided: int
    receipts_lost: int
    over_quota: int
    over_rate: int

    @property
    def clean(self) -> bool:
        """Whether every text was sent once at most and accounted for."""
        names = [one.name for one in fields(self)]
        faults = names[names.index("without_end") :]
        return self.unknown <= self.unknown_max and not any(getattr(self, name) for name in faults)


def judge_texts(
    decided: Mapping[str, Text],
    cards: Iterable[str],
    outcomes: Outcomes,
    arrivals: Sequence[Arrival],
    receipts: Sequence[Text],
    terms: Terms,
) -> TextsVerdict:
    """Hold decided texts against their ends and the centre's record.

    Args:
        decided: what is to be said, by decision.
        cards: decisions that are no texts: their ends are not judged here.
        outcomes: how often the log was told of each state, by decision.
        arrivals: what came to the centre.
        receipts: of which texts the centre gave receipts that were taken.
        terms: quotas, rates and how many may be in doubt.
    """
    kinds = {one: ENDS & outcomes[one].keys() if one in outcomes else set() for one in decided}
    ends: dict[OutcomeState, Counter[Text]] = {state: Counter() for state in ENDS}
    for one, states in kinds.items():
        for state in states:
            ends[state][decided[one]] += 1
    committed, unknown = ends[OutcomeState.COMMITTED], ends[OutcomeState.UNKNOWN]
    wanted, sent = Counter(decided.values()), Counter(one.text for one in arrivals)
    kept = wanted - committed - unknown
    spare = sent - committed - unknown
    return TextsVerdict(
        texts=len(decided),
        committed=committed.total(),
        refunded=ends[OutcomeState.REFUNDED].total(),
        unknown=unknown.total(),
        receipts=len(receipts),
        unknown_max=terms.unknown_max,
        without_end=sum(not states for states in kinds.values()),
        with_two_ends=sum(len(states) > 1 for states in kinds.values()),
        told_of_nobody=len(outcomes.keys() - decided.keys() - set(cards)),
        sent_twice=sum(max(0, count - wanted[text]) for text, count in sent.items() if text in wanted),
        committed_not_sent=(committed - sent).total(),
        refunded_but_sent=sum(count for text, count in (kept & spare).items() if not _refused(text)),
        sent_not_decided=sum(count for text, count in sent.items() if text not in wanted),
        receipts_lost=len(lost_receipts(decided, outcomes, receipts)),
        over_quota=_over_quota(sent, terms.quotas),
        over_rate=_over_rates(arrivals, terms.rates_per_s),
    )


def lost_receipts(decided: Mapping[str, Text], outcomes: Outcomes, receipts: Sequence[Text]) -> list[str]:
    """Return committed decisions whose receipt was taken and of which the log does not say so."""
    taken = set(receipts)
    return [
        one
        for one, text in decided.items()
        if text in taken
        and one in outcomes
        and OutcomeState.COMMITTED in outcomes[one]
        and not RECEIPTS & outcomes[one].keys()
    ]


def _refused(text: Text) -> bool:
    return str(text.destination).startswith(REFUSED)


def _over_quota(sent: Counter[Text], quotas: Mapping[str, int]) -> int:
    """Count what was sent beyond the quotas, within one day of the operator; refused ones give their places back."""
    counted: Counter[str] = Counter()
    for text, count in sent.items():
        counted[text.source] += 0 if _refused(text) else count
    return sum(max(0, counted[source] - quota) for source, quota in quotas.items())


def _over_rates(arrivals: Sequence[Arrival], rates_per_s: Mapping[str, int]) -> int:
    """Count the texts that came too soon after those before them."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    for one in arrivals:
        times[one.text.source].append(one.at_ms)
    over = 0
    for source, rate in rates_per_s.items():
        some = sorted(times[source])
        count = rate * (RATE_WINDOW_MS // 1_000 + RATE_SLACK_S)
        over += sum(after < before + RATE_WINDOW_MS for before, after in zip(some, some[count:], strict=False))
    return over


@dataclass(frozen=True, slots=True)
class CountersVerdict:
    """What became of visits and cards. All after `cards_in_doubt` are faults.

    Where Redis and a worker die together, a card may be forgotten before it is answered, and of one that could not be
    offered again before its shelf life ended nobody can say whether it was seen: no more than `forgotten_max` each.
    """

    visits: int
    cards: int
    cards_seen: int
    answers: int
    forgotten_max: int
    cards_forgotten: int
    cards_in_doubt: int
    visits_not_logged: int
    visits_not_decided: int
    visits_decided_twice: int
    cards_without_end: int
    cards_of_others: int
    answers_not_logged: int
    answers_doubled: int
    answered_and_refunded: int
    said_wrongly: int

    @property
    def clean(self) -> bool:
        """Whether what was confirmed to clerks stands in the log, once, and nobody saw anything wrong."""
        names = [one.name for one in fields(self)]
        bounded = max(self.cards_forgotten, self.cards_in_doubt) <= self.forgotten_max
        return bounded and not any(getattr(self, name) for name in names[names.index("visits_not_logged") :])


def judge_counters(
    stories: Sequence[Story], cards: Mapping[str, int], records: Mapping[int, int], told: Told, forgotten_max: int
) -> CountersVerdict:
    """Hold what clerks saw and what was confirmed to them against the log.

    Args:
        stories: of all visits.
        cards: subscriber by decision, of decided cards.
        records: how many records of the visit's rule there are, by subscriber.
        told: what the log says.
        forgotten_max: cards that Redis may have forgotten for good.
    """
    ends = {one: ENDS & told.outcomes[one].keys() if one in told.outcomes else set() for one in cards}
    answered = [(card, story) for story in stories if story.answered for card in story.seen if card in cards]
    kinds = {"accept": hash_text(b"accept"), "decline": hash_text(b"decline"), "later": hash_text(b"later")}
    return CountersVerdict(
        visits=sum(story.opened for story in stories),
        cards=len(cards),
        cards_seen=sum(len(story.seen) for story in stories),
        answers=len(answered),
        forgotten_max=forgotten_max,
        cards_forgotten=sum(story.forgotten for story in stories),
        cards_in_doubt=sum(OutcomeState.UNKNOWN in states for states in ends.values()),
        visits_not_logged=sum(story.opened and not told.visits[hash_text(story.visit.encode())] for story in stories),
        visits_not_decided=sum(story.opened and not records.get(story.subscriber) for story in stories),
        visits_decided_twice=sum(records.get(story.subscriber, 0) > 1 for story in stories),
        cards_without_end=sum(not states for states in ends.values()),
        cards_of_others=sum(cards.get(card) != story.subscriber for story in stories for card in story.seen),
        answers_not_logged=sum(not told.answers[card][kinds[story.reply]] for card, story in answered),
        answers_doubled=sum(len(told.answers[card]) > 1 for card, _ in answered),
        answered_and_refunded=sum(OutcomeState.REFUNDED in ends[card] for card, _ in answered),
        said_wrongly=sum(len(story.wrong) for story in stories),
    )
