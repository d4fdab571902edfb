"""The judge of a race: it reads what the gateway was handed and when things were acknowledged, nothing else.

What is acknowledged holds from then on, until its opposite is asked for:

    opted out, on a list, holding a service     nothing of the rules that it excludes; and what was decided before it
                                                was asked for goes never more
    a book                                      rules that are gone, disabled or in shadow say nothing; the others say
                                                its words, or those with which an event was decided where these need
                                                more
    paused, killed                              nothing of the rule, the campaign or the channel
    an event                                    its text goes within its shelf life

Always: no cap is exceeded in any window of the times at which texts were taken, and no text is taken twice. Whoever
gets a text is in an arm that gets one, and reads that arm's words, whatever was loaded, and whatever died.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from state.hashing import stable_id
from tests.oracle.judging import ticket
from tests.simulation.judges import hold
from tests.simulation.races.books import ARMS, COMMERCIAL, GREY, OFFER, RULES, SERVICE, STAFF, Cap, Setting, Version
from tests.simulation.races.gateway import Submit

ZONE_MS = 8 * 3_600_000  # Shanghai, all year
NEVER_MS = 1 << 62

EXCLUDED = {
    "optout": COMMERCIAL,
    f"optout.{OFFER}": ("offer",),
    STAFF: COMMERCIAL,
    GREY: ("other",),
    f"holds {OFFER}": ("offer",),
}
"""The rules that each fact about a subscriber excludes."""


class Said(NamedTuple):
    """What a text says of itself."""

    commercial: bool
    rule: str
    words: int
    n: int
    arm: str


def read(text: str) -> Said:
    """Read a text of `books`."""
    kind, rule, words, n, *more = text.split(" ")
    return Said(kind == "AD", rule, int(words[1:]), int(n[1:]), next((one for one in more if one[0] == "a"), ""))


def arm_of(rule: str, subscriber: int) -> str:
    """Return the arm in which a subscriber is for ever; empty for a rule without arms."""
    number, end = ticket(stable_id(f"arms of rule {rule}"), subscriber), 0
    for arm, share in ARMS.get(rule, {}).items():
        end += share * 10_000
        if number < end:
            return arm
    return ""


@dataclass(slots=True)
class Event:
    """An event as the world offered it; in the log at the latest at `by_ms`."""

    subscriber: int
    by_ms: int = NEVER_MS


class Judge:
    """Everything that was acknowledged in a race."""

    def __init__(self, setting: Setting, version: Version) -> None:
        self._setting = setting
        self.versions = [version]
        """Books in the order in which they were asked for."""
        self.active = 0
        """The newest of them that was acknowledged."""
        self.events: dict[int, Event] = {}
        self._facts: set[tuple[int, str]] = set()
        self._stopped: dict[tuple[str, str], str] = {}
        self._dead: dict[tuple[int, str], str] = {}
        self._taken: dict[int, list[tuple[int, Said]]] = defaultdict(list)
        self._twice: set[tuple[int, str]] = set()
        self._judged = 0

    # ---- what was acknowledged

    def offered(self, n: int, subscriber: int) -> None:
        """An event is on its way into the log."""
        self.events[n] = Event(subscriber)

    def logged(self, n: int, now_ms: int) -> None:
        """It was acknowledged, or nobody knows whether it is in the log: not later than now."""
        self.events[n].by_ms = min(self.events[n].by_ms, now_ms)

    def known(self, subscriber: int) -> list[int]:
        """Return the events of a subscriber that are certainly in the log."""
        return [n for n, one in self.events.items() if one.subscriber == subscriber and one.by_ms < NEVER_MS]

    def holds(self, subscriber: int, fact: str, before: Collection[int]) -> None:
        """A fact about a subscriber holds; `before`: its events that were in the log when it was asked for."""
        self._facts.add((subscriber, fact))
        self._dead |= {(n, rule): fact for n in before for rule in EXCLUDED[fact]}

    def may_not_hold(self, subscriber: int, fact: str) -> None:
        """Its opposite was asked for, or nobody knows."""
        self._facts.discard((subscriber, fact))

    def takes_back(self, before: Collection[int], rules: Collection[str], why: str) -> None:
        """What was decided on these events by these rules was taken back."""
        self._dead |= {(n, rule): why for n in before for rule in rules}

    def asked(self, version: Version) -> int:
        """A book is on its way into the log; return its number."""
        self.versions.append(version)
        return len(self.versions) - 1

    def activated(self, number: int) -> None:
        """A book is the active one."""
        self.active = max(self.active, number)

    def stopped(self, scope: tuple[str, str], action: str) -> None:
        """A rule, the campaign or the channel is paused or killed."""
        self._stopped[scope] = action

    def resumes(self, scope: tuple[str, str]) -> None:
        """It may go on."""
        self._stopped.pop(scope, None)

    # ---- what the gateway was handed

    def look(self, record: list[Submit]) -> None:
        """Judge what the gateway was handed since the last look."""
        for submit in record[self._judged :]:
            self._judge(submit)
        self._judged = len(record)

    def _judge(self, submit: Submit) -> None:
        said = read(submit.text)
        at = f"{submit.text!r} to {submit.subscriber} at {submit.at_ms}"
        hold(self.events.get(said.n, Event(0)).subscriber == submit.subscriber, "a text is about its subscriber", at)
        self._judge_facts(submit, said, at)
        self._judge_stopped(said, at)
        self._judge_book(said, at)
        arm = arm_of(said.rule, submit.subscriber)
        hold(arm != "control", "the control group gets nothing", at)
        hold(said.arm == (arm if said.rule == SERVICE else ""), "a text says the words of its arm", f"{at}: {arm}")
        late_ms = submit.at_ms - self.events[said.n].by_ms - self._setting.shelf_ms
        hold(late_ms < 0, "a text goes within its shelf life", f"{at}: {late_ms} ms late")
        if submit.taken:
            hold((said.n, said.rule) not in self._twice, "a text is taken once", at)
            self._twice.add((said.n, said.rule))
            self._taken[submit.subscriber].append((submit.at_ms, said))
            self._judge_caps(submit, said, at)

    def _judge_facts(self, submit: Submit, said: Said, at: str) -> None:
        for fact, rules in EXCLUDED.items():
            holds = (submit.subscriber, fact) in self._facts and said.rule in rules
            hold(not holds, f"nothing goes after an acknowledged {fact.split('.')[0]}", at)
        why = self._dead.get((said.n, said.rule), "")
        hold(not why, "what was taken back goes never more", f"{at}: {why}")

    def _judge_stopped(self, said: Said, at: str) -> None:
        for scope in (("rule", said.rule), ("campaign", "care"), ("channel", "sms")):
            hold(scope not in self._stopped, "what is stopped does not go", f"{at}: {scope} {self._stopped.get(scope)}")

    def _judge_book(self, said: Said, at: str) -> None:
        current = self.versions[self.active :]
        allowed = [one for one in current if not one.lost(said.rule)]
        hold(allowed, "a rule that the book has no more says nothing", at)
        wanted = {one.words[said.rule] for one in allowed}
        if any(said.rule in one.asks for one in allowed):
            # They may need what the book of the decision did not journal: then its own words go.
            wanted |= {one.words[said.rule] for one in self.versions}
        hold(said.words in wanted, "a text says the words of the active book", f"{at}: {sorted(wanted)}")

    def _judge_caps(self, submit: Submit, said: Said, at: str) -> None:
        for cap in self._setting.caps:
            if _counts(cap, said):
                taken = [one for one in self._taken[submit.subscriber] if _counts(cap, one[1])]
                near = [one for one in taken if _is_near(cap, one[0], submit.at_ms)]
                hold(len(near) <= cap.count_max, "no cap is exceeded", f"{at}: {cap} {near}")


def _counts(cap: Cap, said: Said) -> bool:
    """Tell whether a text counts for a cap; service messages count for their rule and campaign only."""
    if cap.scope in RULES:
        return said.rule == cap.scope
    return said.commercial or cap.scope == "campaign"


def _is_near(cap: Cap, earlier_ms: int, at_ms: int) -> bool:
    """Tell whether two times may share a window of a cap."""
    if cap.window_ms:
        return at_ms - earlier_ms < cap.window_ms
    return _day(earlier_ms) == _day(at_ms)


def _day(at_ms: int) -> object:
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms + ZONE_MS)).date()
