"""The whole decider as an interpreter: one event, one subscriber, one rule at a time, in dicts and lists.

It reads the same books (`rules.model`), evaluates trees with the plain evaluator (`rules.expressions.interpret`) and
shares nothing else with the engine: no batches, no slots, no cells, no kernels. A text is a str, a set a set of names,
an unknown value None.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from rules.expressions.interpret import Row as Seen
from rules.expressions.interpret import evaluate
from rules.expressions.tree import And, Expr, Operand
from rules.model import Book, Feature, Rule
from state.batch import Row
from state.hashing import stable_id
from state.schema import PROFILE, Kind, Schema
from tests.oracle.clock import Zone
from tests.oracle.gates import ON_CHANNELS, Gate
from tests.oracle.memory import KINDS, Lists, Memory, Since
from tests.oracle.promises import Promise, Promises, caps_of, horizon_ms, looks_back

VISIT_MS_MAX = 30 * 60_000
COMMITTED, REFUNDED, UNKNOWN = 1, 2, 5
GRACE_MS = 3_600_000
_MASK64 = (1 << 64) - 1


class Record(NamedTuple):
    """What became of one candidate; the fields of `state.decisions` as plain values."""

    position: int
    append_ms: int
    book: str
    row: int
    rule: int
    channel: int
    detail: int
    subscriber: int
    at_ms: int
    outcome: int
    gate: int
    facts: tuple[Any, ...]
    kind: int = 0
    of: tuple[int, int] = (0, 0)


class Verdict(NamedTuple):
    gate: Gate
    detail: int = 0
    channel: str | None = None


@dataclass
class Person:
    """All that is known of one subscriber; `memories` by the meaning of their features."""

    promises: Promises
    memories: dict[str, Memory] = field(default_factory=dict)
    visit_ms: int = 0
    visit: Any = None
    visit_at_ms: int = 0


class Interpreter:
    """See the module. `promises_max` bounds what is remembered of a subscriber's contacts."""

    def __init__(self, promises_max: int) -> None:
        self.people: dict[int, Person] = defaultdict(lambda: Person(Promises(promises_max)))
        self.paused: set[tuple[str, str]] = set()
        self.begun_ms: dict[str, int] = {}

    def activate(self, book: Book) -> None:
        """Switch to a book: what it does not declare is forgotten, what is new begins with nothing."""
        self.book = book
        self.zone = Zone(book.zone)
        self.horizon_ms = horizon_ms(book)
        kept = {feature.meaning for feature in book.features}
        self.begun_ms = {one: ms for one, ms in self.begun_ms.items() if one in kept}
        for person in self.people.values():
            person.memories = {one: memory for one, memory in person.memories.items() if one in kept}
        self.rules: dict[int, list[Rule]] = defaultdict(list)
        for rule in book.rules:
            if rule.enabled:
                self.rules[rule.on].append(rule)
        self.told: dict[int, list[tuple[int, Feature]]] = defaultdict(list)
        for index, feature in enumerate(book.features):
            self.told[feature.source_type].append((index, feature))

    def begin(self, append_ms: int) -> None:
        """What is new in the book is kept from here on."""
        for feature in self.book.features:
            self.begun_ms.setdefault(feature.meaning, append_ms)

    def control(self, record: Mapping[str, str]) -> None:
        """Pause, resume or kill a rule, a campaign or a channel."""
        name = (record["kind"], record["name"])
        if record["action"] == "resume":
            self.paused.discard(name)
        else:
            self.paused.add(name)

    def step(self, position: int, number: int, append_ms: int, row: Row) -> tuple["Moment", list[Record]]:
        """Take one event; return what is known as of it, and a record for each candidate, best priority first."""
        code = self.book.schema.code(row.type)
        ended = self._owner_ends(position, number, append_ms, row) if row.type == "owner" else []
        moment = Moment(self, code, row, append_ms)
        for index, feature in self.told[code]:
            self._tell(moment, index, feature)
        candidates = [rule for rule in self.rules[code] if moment.holds(rule.when)]
        withdrawn = self._set_aside(moment, position, number)
        return moment, ended + withdrawn + self._judge(moment, position, number, candidates)

    def _tell(self, moment: "Moment", index: int, feature: Feature) -> None:
        """Let a feature know of an event, if it is one of its own."""
        memory, row = moment.memory(feature), moment.row
        if isinstance(memory, Since):
            moment.values[index] = memory.value(row.at_ms)
        if isinstance(memory, Lists):
            memory.move(str(row.values["list"]), bool(row.values["member"]), feature.members)
            return
        value: Any = row.at_ms
        if feature.source_slot >= 0:
            name = self.book.schema.types[feature.source_type].fields[feature.source_slot].name
            value = row.values.get(name)
        if value is not None and (feature.where is None or moment.holds(feature.where)):
            memory.update(row.at_ms, value)

    def _owner_ends(self, position: int, number: int, append_ms: int, row: Row) -> list[Record]:
        """Forget a person; one who is erased stays on the lists that exclude. Return what it withdraws."""
        moment, erased = Moment(self, self.book.schema.code("owner"), row, append_ms), bool(row.values.get("erased"))
        verdict = Verdict(Gate.OWNER, int(erased))
        records = []
        for promise in moment.person.promises.kept:
            rule = self.book.by_stable_id.get(promise.rule)
            if promise.state != "waits" or not promise.may_come(append_ms):
                continue
            if rule is not None and promise.channel in self.book.channels_by_id:
                record = self._record(moment, position, number, rule, verdict)
                named = (promise.position, promise.row)
                records.append(record._replace(channel=promise.channel, facts=(), kind=1, of=named))
        memories = moment.person.memories
        del self.people[row.subscriber]
        if erased:
            lists = {one: memory for one, memory in memories.items() if isinstance(memory, Lists)}
            for memory in lists.values():
                memory.on -= {name for name, one in self.book.lists.items() if not one.excludes}
            self.people[row.subscriber].memories = dict(lists)
        return records

    def _set_aside(self, moment: "Moment", position: int, number: int) -> list[Record]:
        """Outcomes settle promises, answers decline them, visits open and close, changes of the subscriber withdraw."""
        row, person = moment.row, moment.person
        values = row.values
        if row.type == "visit":
            if values.get("open") is not False:
                person.visit_ms, person.visit, person.visit_at_ms = moment.append_ms, values.get("visit"), row.at_ms
            elif values.get("visit") == person.visit and (person.visit is not None or person.visit_at_ms <= row.at_ms):
                person.visit_ms = 0
        named: list[int] = [int(values.get(name, 0)) for name in ("position", "row", "rule")]  # type: ignore[arg-type]  # INT fields
        if row.type == "outcome":
            state = {COMMITTED: "reached", REFUNDED: "refunded", UNKNOWN: "unsure"}.get(int(values.get("state", 0)))  # type: ignore[arg-type]  # an INT field
            if state is not None:
                contact_ms = int(values.get("contact_ms", moment.append_ms))  # type: ignore[arg-type]  # a TIME field
                person.promises.settle((named[0], named[1], named[2]), state, contact_ms)
        if row.type == "answer" and values.get("answer") == "decline":
            for promise in person.promises.named(*named):
                promise.is_declined = True
        if row.type in ("list", "profile", "answer"):
            return self._withdrawn(moment, position, number)
        return []

    def _withdrawn(self, moment: "Moment", position: int, number: int) -> list[Record]:
        """Judge again what waits; return a record for each that is stopped."""
        records = []
        for promise in moment.person.promises.kept:
            rule = self.book.by_stable_id.get(promise.rule)
            channel = self.book.channels_by_id.get(promise.channel)
            if rule is None or channel is None or channel.name not in rule.channels:
                continue
            if promise.state != "waits" or not promise.may_come(moment.append_ms):
                continue
            verdict = self._of_the_subscriber(moment, rule)
            if verdict.gate is Gate.NONE and ("channel", channel.name) in self.paused:
                verdict = Verdict(Gate.CHANNEL_PAUSED, rule.channels.index(channel.name) << 8)
            if verdict.gate is Gate.NONE:
                continue
            promise.state = "withdrawn"
            record = self._record(moment, position, number, rule, verdict)
            named = (promise.position, promise.row)
            records.append(record._replace(channel=channel.channel_id, facts=(), kind=1, of=named))
        return records

    def _judge(self, moment: "Moment", position: int, number: int, candidates: list[Rule]) -> list[Record]:
        records = []
        commercial = 0
        on_channel: dict[tuple[str, str], int] = defaultdict(int)
        offered: set[str] = set()
        for rule in candidates:
            verdict = self._alone(moment, rule, offered)
            is_full = commercial >= self.book.decisions_max[moment.code]
            if verdict.gate is Gate.NONE and rule.klass == "commercial" and is_full:
                verdict = Verdict(Gate.OUTRANKED)
            if verdict.gate is Gate.NONE:
                verdict = self._choose(moment, rule, on_channel)
            if verdict.channel is not None:
                channel, verdict = verdict.channel, self._held_out(moment, rule, verdict)
                on_channel[channel, rule.klass] += 1
                if rule.klass == "commercial":
                    commercial += 1
                    offered |= {rule.offer} if rule.offer is not None else set()
                self._promise(moment, position, number, rule, channel, waits=verdict.channel is not None)
            records.append(self._record(moment, position, number, rule, verdict))
        return records

    def _alone(self, moment: "Moment", rule: Rule, offered: set[str]) -> Verdict:
        """The gates that look at one candidate alone."""
        verdict = self._of_the_subscriber(moment, rule)
        is_stale = rule.max_age_ms and moment.append_ms - moment.row.at_ms > rule.max_age_ms
        if verdict.gate is not Gate.PAUSED and is_stale:
            return Verdict(Gate.STALE)
        return verdict if verdict.gate is not Gate.NONE else self._offered(moment, rule, offered)

    def _of_the_subscriber(self, moment: "Moment", rule: Rule) -> Verdict:
        """The gates that are asked again of what waits."""
        if ("rule", rule.id) in self.paused or ("campaign", rule.campaign) in self.paused:
            return Verdict(Gate.PAUSED)
        offer = self.book.offers[rule.offer] if rule.offer is not None else None
        if offer is not None and (offer.requires or offer.unless_holds):
            held = set(moment.get("services") or ())
            if not held >= set(offer.requires) or held & set(offer.unless_holds):
                return Verdict(Gate.ELIGIBILITY)
        on = moment.get("lists") if self.book.lists else ()
        for one in sorted(self.book.lists.values(), key=lambda one: one.index):
            by_class = one.excludes in ("all", rule.klass) and not self._only_alerts(rule)
            if one.name in on and (one.name in rule.exclude or by_class):
                return Verdict(Gate.LIST, one.index)
        return Verdict(Gate.NONE)

    def _only_alerts(self, rule: Rule) -> bool:
        """An alert is told to somebody else: what its subject wants no texts of does not silence it."""
        return all(self.book.channels[name].kind == "alert" for name in rule.channels)

    def _offered(self, moment: "Moment", rule: Rule, offered: set[str]) -> Verdict:
        """Whether what a rule offers was made already, and what forbids it again."""
        if rule.offer is None or rule.klass == "service":
            return Verdict(Gate.NONE)
        if rule.offer in offered:
            return Verdict(Gate.OFFER, 0)
        offer, person = self.book.offers[rule.offer], moment.person
        log_ms = moment.append_ms
        desks = {one.channel_id for one in self.book.channels.values() if one.kind == "desk"}
        is_there = person.visit_ms and log_ms - person.visit_ms < VISIT_MS_MAX
        for promise in person.promises.kept:
            if promise.is_service or promise.offer != stable_id(rule.offer):
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

    def _held_out(self, moment: "Moment", rule: Rule, taken: Verdict) -> Verdict:
        """The control group is asked when everything else is settled."""
        campaign = self.book.campaigns[rule.campaign]
        levels = [(rule.stable_id, rule.holdout_ppm)]
        if rule.klass == "commercial":
            levels.append((stable_id(f"campaign:{campaign.name}"), campaign.holdout_ppm))
            levels.append((stable_id("all"), self.book.holdout_ppm))
        for level, (salt, ppm) in enumerate(levels):
            if (_mixed(_mixed(salt) ^ moment.row.subscriber) >> 12) % 1_000_000 < ppm:
                return Verdict(Gate.HOLDOUT, level)
        return taken

    def _choose(self, moment: "Moment", rule: Rule, on_channel: Mapping[tuple[str, str], int]) -> Verdict:
        """The first channel that takes it; else what stopped it where it came furthest."""
        furthest = Verdict(Gate.NONE)
        for place, name in enumerate(rule.channels):
            gate, detail = self._ask(moment, rule, name, on_channel)
            if gate is Gate.NONE:
                return Verdict(gate, 0, name)
            if ON_CHANNELS.index(gate) > ON_CHANNELS.index(furthest.gate):
                furthest = Verdict(gate, place << 8 | detail)
        return furthest

    def _ask(
        self, moment: "Moment", rule: Rule, name: str, on_channel: Mapping[tuple[str, str], int]
    ) -> tuple[Gate, int]:
        channel, person = self.book.channels[name], moment.person
        log_ms = moment.append_ms
        if ("channel", name) in self.paused:
            return Gate.CHANNEL_PAUSED, 0
        if channel.kind == "desk" and not (person.visit_ms and log_ms - person.visit_ms < VISIT_MS_MAX):
            return Gate.NO_VISIT, 0
        if on_channel[name, rule.klass] >= channel.per_event_max:
            return Gate.CHANNEL_FULL, 0
        if channel.kind == "sms":
            for place, gap in enumerate(rule.texts[name].names):
                is_kept = any(fact.name == gap and fact.source != "builtin" for fact in rule.facts)
                if is_kept and gap in rule.texts[name].needed and moment.get(gap) is None:
                    return Gate.NO_VALUE, place
        caps = caps_of(self.book, rule, name)
        for index, cap in enumerate(caps):
            if person.promises.forbid(cap, log_ms, self.zone):
                return Gate.CAP, index
        if caps and not person.promises.make_room(log_ms, log_ms - self.horizon_ms, capped=True):
            return Gate.CONTACTS_FULL, 0
        return Gate.NONE, 0

    def _promise(self, moment: "Moment", position: int, number: int, rule: Rule, channel: str, *, waits: bool) -> None:
        """What caps count, and what offers look at; what no cap counts goes without where there is no room."""
        promises, log_ms = moment.person.promises, moment.append_ms
        is_capped = bool(caps_of(self.book, rule, channel))
        is_kept = is_capped or looks_back(self.book, rule, channel)
        if not waits and not is_kept:
            return
        if not is_capped and not promises.make_room(log_ms, log_ms - self.horizon_ms, capped=False):
            return
        promises.kept.append(
            Promise(
                log_ms,
                log_ms + rule.shelf_life_ms + GRACE_MS if rule.shelf_life_ms else None,
                position,
                number,
                rule.stable_id,
                rule.campaign_id,
                self.book.channels[channel].channel_id,
                stable_id(rule.offer) if rule.offer is not None else 0,
                rule.klass == "service",
                is_kept,
                "waits" if waits else "shadow",
                category=stable_id(rule.category) if rule.category is not None else 0,
            )
        )

    def _record(self, moment: "Moment", position: int, number: int, rule: Rule, verdict: Verdict) -> Record:
        return Record(
            position=position,
            append_ms=moment.append_ms,
            book=self.book.version,
            row=number,
            rule=rule.stable_id,
            channel=self.book.channels[verdict.channel].channel_id if verdict.channel is not None else 0,
            detail=verdict.detail,
            subscriber=moment.row.subscriber,
            at_ms=moment.row.at_ms,
            outcome=0 if verdict.channel is not None else 1,
            gate=int(verdict.gate),
            facts=tuple(moment.fact(operand) for operand in rule.facts) if rule.on == moment.code else (),
        )


class Moment:
    """Everything that can be asked as of one event, by name: its own fields, and the features of its subscriber."""

    def __init__(self, interpreter: Interpreter, code: int, row: Row, append_ms: int) -> None:
        self.code, self.row, self.append_ms = code, row, append_ms
        self.person = interpreter.people[row.subscriber]
        self.values: dict[int, Any] = {}
        self._book, self._zone, self._begun_ms = interpreter.book, interpreter.zone, interpreter.begun_ms
        self._seen = Seen(self, row.at_ms, append_ms)  # type: ignore[arg-type]  # the evaluator asks `get` only

    def memory(self, feature: Feature) -> Memory:
        """What a feature remembers of this subscriber."""
        memory = self.person.memories.get(feature.meaning)
        if memory is None:
            memory = self.person.memories[feature.meaning] = KINDS[feature.kind](feature, self._zone)
        return memory

    def feature(self, index: int) -> Any:
        """The value of a feature as of this event, unknown while it learns; `since` was asked before the event."""
        feature = self._book.features[index]
        if self.append_ms < max(feature.known_from_ms, self._begun_ms[feature.meaning] + feature.learn_ms):
            return None
        if index not in self.values:
            feature = self._book.features[index]
            memory = self.memory(feature)
            if isinstance(memory, Lists):
                self.values[index] = memory.among(feature.members)
            else:
                self.values[index] = memory.value(self.row.at_ms)
        return self.values[index]

    def get(self, name: str) -> Any:
        """The value that a name has on this event."""
        if name in self._book.schema.types[self.code].slots and self.code != PROFILE:
            return self.row.values.get(name)
        if name.startswith("profile."):
            return self.row.values.get(name.removeprefix("profile."))
        return self.feature(self._book.feature_index(name))

    def fact(self, operand: Operand) -> Any:
        """What a record keeps of an operand."""
        if operand.source == "builtin":
            return self.row.at_ms if operand.index == 0 else self.append_ms
        return self.get(operand.name)

    def holds(self, expr: Expr) -> bool:
        """Whether a condition is true, and not false or unknown; all parts of an `and` must be."""
        parts = expr.parts if isinstance(expr, And) else (expr,)
        return all(evaluate(part, self._seen, self._zone.wall_ms) is True for part in parts)


def read_under(row: Row, written: Schema, schema: Schema) -> Row | None:
    """A row written under another schema as this one reads it; None when its type is gone."""
    if row.type not in schema.codes:
        return None
    old, new = written.types[written.code(row.type)], schema.types[schema.code(row.type)]
    values: dict[str, Any] = {}
    for name, value in row.values.items():
        slot = new.slots.get(name)
        if slot is not None and new.fields[slot].kind == old.fields[old.slots[name]].kind:
            is_set = new.fields[slot].kind is Kind.SET
            values[name] = [one for one in value if one in new.fields[slot].members] if is_set else value  # type: ignore[union-attr]  # a SET's value
    return replace(row, values=values)


def _mixed(value: int) -> int:
    """The hash of a number that draws control groups: xor-shift and multiply, twice."""
    value &= _MASK64
    value = ((value ^ value >> 32) * 0x9E3779B97F4A7C15) & _MASK64
    value = ((value ^ value >> 29) * (-0x4B47D0C5A1A2B6C5)) & _MASK64
    return value ^ value >> 32
