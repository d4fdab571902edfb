"""The gates: what stops one rule at one moment, alone, on a channel, or by the draw of a control group.

They look at what is known and change nothing, but that a cap makes room for the promise it lets pass.
"""

from collections.abc import Mapping
from typing import NamedTuple

from rules.model import Book, Rule
from state.hashing import stable_id
from tests.oracle.gates import ON_CHANNELS, Gate
from tests.oracle.known import Moment
from tests.oracle.promises import caps_of

VISIT_MS_MAX = 30 * 60_000
_MASK64 = (1 << 64) - 1


class Verdict(NamedTuple):
    """What stopped a candidate, and where; or the channel that takes it."""

    gate: Gate
    detail: int = 0
    channel: str | None = None


def arm_of(rule: Rule, subscriber: int) -> tuple[int, float]:
    """The number of a subscriber's arm and its probability; 0 for a rule without arms."""
    if rule.arms is None:
        return 0, 0.0
    number, end = ticket(stable_id(f"arms of {rule.arms.of}"), subscriber), 0
    for place, arm in enumerate(sorted(rule.arms.arms, key=lambda one: (one.name != "control", one.name)), 1):
        end += arm.ppm
        if number < end:
            return place, arm.ppm / 1_000_000
    raise AssertionError("the shares of all arms are the whole")


def alone(moment: Moment, rule: Rule, offered: set[str]) -> Verdict:
    """The gates that look at one candidate alone."""
    verdict = of_the_subscriber(moment, rule)
    if verdict.gate is not Gate.PAUSED and _is_stale(moment, rule):
        return Verdict(Gate.STALE)
    return verdict if verdict.gate is not Gate.NONE else _offered(moment, rule, offered)


def of_the_subscriber(moment: Moment, rule: Rule, *, waits: bool = False) -> Verdict:
    """The gates that are asked again of what waits, which the list that its own rule keeps does not stop."""
    verdict = before_lists(moment, rule, waits=waits)
    if verdict.gate is not Gate.NONE:
        return verdict
    book, on = moment.known.book, moment.words("lists")
    own = rule.keep.list if waits and rule.keep is not None else ""
    for one in sorted(book.lists.values(), key=lambda one: one.index):
        by_class = one.excludes in ("all", rule.klass) and not _only_alerts(book, rule)
        if one.name in on and one.name != own and (one.name in rule.exclude or by_class):
            return Verdict(Gate.LIST, one.index)
    return Verdict(Gate.NONE)


def before_lists(moment: Moment, rule: Rule, *, waits: bool = False) -> Verdict:
    """Those of them that stand before the lists."""
    book, paused = moment.known.book, moment.known.paused
    if ("rule", rule.id) in paused or ("campaign", rule.campaign) in paused:
        return Verdict(Gate.PAUSED)
    arm, _ = arm_of(rule, moment.row.subscriber)
    if rule.arm is not None and rule.arms is not None and not waits:
        names = [one.name for one in rule.arms.arms]
        if names[arm - 1] not in (rule.arm, "control"):
            return Verdict(Gate.ARM, arm)
    offer = book.offers[rule.offer] if rule.offer is not None else None
    if offer is not None and (offer.requires or offer.unless_holds):
        held = moment.words("services")
        if not held >= set(offer.requires) or held & set(offer.unless_holds):
            return Verdict(Gate.ELIGIBILITY)
    return Verdict(Gate.NONE)


def is_kept(moment: Moment, rule: Rule) -> bool:
    """Whether a candidate's rule puts its subscriber on the list that it keeps."""
    return rule.keep is not None and not _is_stale(moment, rule) and before_lists(moment, rule).gate is Gate.NONE


def _is_stale(moment: Moment, rule: Rule) -> bool:
    return bool(rule.max_age_ms) and moment.append_ms - moment.row.at_ms > rule.max_age_ms


def _only_alerts(book: Book, rule: Rule) -> bool:
    """An alert is told to somebody else: what its subject wants no texts of does not silence it."""
    return all(book.channels[name].kind == "alert" for name in rule.channels)


def _offered(moment: Moment, rule: Rule, offered: set[str]) -> Verdict:
    """Whether what a rule offers was made already, and what forbids it again."""
    if rule.offer is None or rule.klass == "service":
        return Verdict(Gate.NONE)
    if rule.offer in offered:
        return Verdict(Gate.OFFER, 0)
    book, person, log_ms = moment.known.book, moment.person, moment.append_ms
    offer = book.offers[rule.offer]
    desks = {one.channel_id for one in book.channels.values() if one.kind == "desk"}
    is_there = person.visit_ms and log_ms - person.visit_ms < VISIT_MS_MAX
    for promise in person.promises.kept:
        unseen = promise.is_service or (promise.is_rehearsed and not rule.shadow)
        if unseen or promise.offer != stable_id(rule.offer):
            continue
        apart_ms = abs(log_ms - promise.at_ms)
        if promise.is_declined and apart_ms < offer.declined_hides_ms:
            return Verdict(Gate.OFFER, 3)
        if promise.state in ("waits", "withdrawn") and not promise.may_come(log_ms):
            continue
        is_on_screen = is_there and promise.at_ms >= person.visit_ms and promise.channel in desks
        if promise.state in ("waits", "withdrawn") or is_on_screen:
            return Verdict(Gate.OFFER, 1)
        if apart_ms < offer.repeat_ms:
            return Verdict(Gate.OFFER, 2)
    return Verdict(Gate.NONE)


def held_out(moment: Moment, rule: Rule, taken: Verdict) -> Verdict:
    """The shadow and the control groups are asked when everything else is settled."""
    if rule.shadow:
        return Verdict(Gate.SHADOW, 0, taken.channel)
    book = moment.known.book
    campaign = book.campaigns[rule.campaign]
    levels = [(rule.stable_id, rule.holdout_ppm)]
    if rule.klass == "commercial":
        levels.append((stable_id(f"campaign:{campaign.name}"), campaign.holdout_ppm))
        levels.append((stable_id("all"), book.holdout_ppm))
    for level, (salt, ppm) in enumerate(levels):
        if ticket(salt, moment.row.subscriber) < ppm:
            return Verdict(Gate.HOLDOUT, level)
    arm, _ = arm_of(rule, moment.row.subscriber)
    if rule.arms is not None and rule.arms.arms[arm - 1].name == "control":
        return Verdict(Gate.HOLDOUT, 3)
    return taken


def choose(moment: Moment, rule: Rule, on_channel: Mapping[tuple[str, str], int]) -> Verdict:
    """The first channel that takes it; else what stopped it where it came furthest."""
    furthest = Verdict(Gate.NONE)
    for place, name in enumerate(rule.channels):
        gate, detail = _ask(moment, rule, name, on_channel)
        if gate is Gate.NONE:
            return Verdict(gate, 0, name)
        if ON_CHANNELS.index(gate) > ON_CHANNELS.index(furthest.gate):
            furthest = Verdict(gate, place << 8 | detail)
    return furthest


def _ask(moment: Moment, rule: Rule, name: str, on_channel: Mapping[tuple[str, str], int]) -> tuple[Gate, int]:
    known, person, log_ms = moment.known, moment.person, moment.append_ms
    channel = known.book.channels[name]
    if ("channel", name) in known.paused:
        return Gate.CHANNEL_PAUSED, 0
    if channel.kind == "desk" and not (person.visit_ms and log_ms - person.visit_ms < VISIT_MS_MAX):
        return Gate.NO_VISIT, 0
    if on_channel[name, rule.klass] >= channel.per_event_max:
        return Gate.CHANNEL_FULL, 0
    if channel.kind == "sms":
        texts = [one[name] for one in (rule.texts, *rule.arm_texts.values()) if name in one]
        for place, gap in enumerate(dict.fromkeys(gap for text in texts for gap in text.names)):
            is_kept = any(fact.name == gap and fact.source != "builtin" for fact in rule.facts)
            if is_kept and any(gap in text.needed for text in texts) and moment.get(gap) is None:
                return Gate.NO_VALUE, place
    caps = caps_of(known.book, rule, name)
    for index, cap in enumerate(caps):
        if person.promises.forbid(cap, log_ms, known.zone, rehearses=rule.shadow):
            return Gate.CAP, index
    horizon_ms = log_ms - known.horizon_ms
    if caps and not person.promises.make_room(log_ms, horizon_ms, capped=True, rehearses=rule.shadow):
        return Gate.CONTACTS_FULL, 0
    return Gate.NONE, 0


def ticket(salt: int, subscriber: int) -> int:
    """The number in which a draw ends."""
    return (_mixed(_mixed(salt) ^ subscriber) >> 12) % 1_000_000


def _mixed(value: int) -> int:
    """The hash of a number that draws control groups: xor-shift and multiply, twice."""
    value &= _MASK64
    value = ((value ^ value >> 32) * 0x9E3779B97F4A7C15) & _MASK64
    value = ((value ^ value >> 29) * (-0x4B47D0C5A1A2B6C5)) & _MASK64
    return value ^ value >> 32
