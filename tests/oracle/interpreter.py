"""The whole decider as an interpreter: one event, one subscriber, one rule at a time, in dicts and lists.

It reads the same books (`rules.model`), evaluates trees with the plain evaluator (`rules.expressions.interpret`) and
shares nothing else with the engine: no batches, no slots, no cells, no kernels. A text is a str, a set a set of names,
an unknown value None. What is remembered is in `known`, what stops a rule in `judging`.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from rules import steps
from rules.model import Book, Feature, Rule, Timer
from state.batch import Row
from state.features.kinds.list_words import LIST_KINDS
from state.hashing import stable_id
from state.schema import Kind, Schema
from tests.oracle.deadlines import Deadlines
from tests.oracle.gates import Gate
from tests.oracle.judging import Verdict, alone, arm_of, choose, held_out, is_kept, of_the_subscriber
from tests.oracle.known import Known, Moment
from tests.oracle.memory import Lists
from tests.oracle.promises import Promise, caps_of, looks_back
from tests.oracle.telling import COMMITTED, REFUNDED, UNKNOWN, follow, move, tell, time

GRACE_MS = 3_600_000


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
    arm: int = 0
    probability: float = 0.0


@dataclass
class Taken:
    """The places of one event that are taken: as rules see them, or rules in shadow."""

    commercial: int = 0
    on_channel: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    offered: set[str] = field(default_factory=set)

    def take(self, rule: Rule, channel: str) -> None:
        self.on_channel[channel, rule.klass] += 1
        if rule.klass == "commercial":
            self.commercial += 1
            self.offered |= {rule.offer} if rule.offer is not None else set()


class Interpreter:
    """See the module. `promises_max` bounds what is remembered of a subscriber's contacts."""

    def __init__(self, promises_max: int) -> None:
        self.known = Known(promises_max)

    def activate(self, book: Book) -> None:
        """Switch to a book."""
        self.known.activate(book)
        self.rules: dict[int, list[Rule]] = defaultdict(list)
        for rule in (rule for rule in book.rules if rule.enabled):
            self.rules[rule.on].append(rule)
        self.told: dict[int, list[tuple[int, Feature]]] = defaultdict(list)
        self.timers: list[tuple[int, Feature, Timer]] = []
        self.areas: list[tuple[int, Feature]] = []
        self.sequences: list[tuple[int, Feature, steps.Sequence]] = []
        for index, feature in enumerate(book.features):
            if feature.sequence is not None:
                self.sequences.append((index, feature, feature.sequence))
            elif feature.kind == "area":
                self.areas.append((index, feature))
            elif feature.timer is not None:
                self.timers.append((index, feature, feature.timer))
            else:
                self.told[feature.source_type].append((index, feature))

    def step(self, position: int, number: int, append_ms: int, row: Row) -> tuple[Moment, list[Record]]:
        """Take one event; return what is known as of it, and a record for each candidate, best priority first."""
        code = self.known.book.schema.code(row.type)
        ended = self._owner_ends(position, number, append_ms, row) if row.type == "owner" else []
        moment = Moment(self.known, code, row, append_ms)
        for index, feature in self.told[code]:
            tell(moment, index, feature)
        for index, feature in self.areas:
            follow(moment, index, feature)
        for index, feature, timer in self.timers:
            time(moment, index, feature, timer)
        for index, feature, sequence in self.sequences:
            move(moment, index, feature, sequence)
        candidates = [rule for rule in self.rules[code] if moment.holds(rule.when)]
        moment.words("lists")  # as of the event: what it keeps is not seen by itself
        candidates.sort(key=lambda rule: (-moment.priority(rule), rule.id))
        withdrawn = self._set_aside(moment, position, number)
        judged = self._judge(moment, position, number, candidates)
        return moment, ended + withdrawn + self._keep(moment, position, number, candidates) + judged

    def _keep(self, moment: Moment, position: int, number: int, candidates: list[Rule]) -> list[Record]:
        """Put the subscriber on the lists that rules keep; what waits is judged again where a list stops any rule."""
        book, records = self.known.book, []
        stopping = {name for rule in book.rules for name in rule.exclude}
        before = moment.words("lists")
        for rule in candidates:
            if rule.keep is None or not is_kept(moment, rule):
                continue
            at = next(
                at for at, one in enumerate(book.features) if one.kind in LIST_KINDS and rule.keep.list in one.members
            )
            memory = moment.memory(book.features[at])
            assert isinstance(memory, Lists)
            memory.keep(rule.keep.list, moment.append_ms + rule.keep.for_ms)
            if rule.keep.list in stopping and rule.keep.list not in before:
                told = moment.values[at]
                moment.values[at] = told | {rule.keep.list}
                records += self._withdrawn(moment, position, number)
                moment.values[at] = told
        return records

    def open_deadlines(self, until_ms: int) -> list[Row]:
        """A row `due` for each deadline that is open and has come, in their order."""
        found = []
        for subscriber, person in self.known.people.items():
            for place, (_, feature, timer) in enumerate(self.timers):
                memory = person.memories.get(feature.meaning)
                for at_ms, key in memory.open(timer) if isinstance(memory, Deadlines) else ():
                    named = {} if key is None else {"text" if isinstance(key, str) else "number": key}
                    values: dict[str, Any] = {"rule": timer.number, **named}
                    found.append((at_ms, subscriber, place, Row("due", subscriber, at_ms, values)))
        due = sorted((one for one in found if one[0] <= until_ms), key=lambda one: one[:3])
        return [row for *_, row in due]

    def _owner_ends(self, position: int, number: int, append_ms: int, row: Row) -> list[Record]:
        """Forget a person; one who is erased stays on the lists that exclude. Return what it withdraws."""
        book, people = self.known.book, self.known.people
        moment, erased = Moment(self.known, book.schema.code("owner"), row, append_ms), bool(row.values.get("erased"))
        verdict = Verdict(Gate.OWNER, int(erased))
        records = []
        for promise in moment.person.promises.kept:
            rule = book.by_stable_id.get(promise.rule)
            if promise.state != "waits" or not promise.may_come(append_ms):
                continue
            if rule is not None and promise.channel in book.channels_by_id:
                record = self._record(moment, position, number, rule, verdict)
                named = (promise.position, promise.row)
                records.append(record._replace(channel=promise.channel, facts=(), kind=1, of=named))
        memories = moment.person.memories
        del people[row.subscriber]
        if erased:
            lists = {one: memory for one, memory in memories.items() if isinstance(memory, Lists)}
            for memory in lists.values():
                going = {name for name, one in book.lists.items() if not one.excludes}
                memory.on = {name: end for name, end in memory.on.items() if name not in going}
            people[row.subscriber].memories = dict(lists)
        return records

    def _set_aside(self, moment: Moment, position: int, number: int) -> list[Record]:
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

    def _withdrawn(self, moment: Moment, position: int, number: int) -> list[Record]:
        """Judge again what waits; return a record for each that is stopped."""
        book, records = self.known.book, []
        for promise in moment.person.promises.kept:
            rule = book.by_stable_id.get(promise.rule)
            channel = book.channels_by_id.get(promise.channel)
            if rule is None or channel is None or channel.name not in rule.channels:
                continue
            if promise.state != "waits" or not promise.may_come(moment.append_ms):
                continue
            verdict = of_the_subscriber(moment, rule, waits=True)
            if verdict.gate is Gate.NONE and ("channel", channel.name) in self.known.paused:
                verdict = Verdict(Gate.CHANNEL_PAUSED, rule.channels.index(channel.name) << 8)
            if verdict.gate is Gate.NONE:
                continue
            promise.state = "withdrawn"
            record = self._record(moment, position, number, rule, verdict)
            named = (promise.position, promise.row)
            records.append(record._replace(channel=channel.channel_id, facts=(), kind=1, of=named))
        return records

    def _judge(self, moment: Moment, position: int, number: int, candidates: list[Rule]) -> list[Record]:
        records = []
        real, rehearsed = Taken(), Taken()
        for rule in candidates:
            taken = rehearsed if rule.shadow else real
            verdict = alone(moment, rule, taken.offered)
            is_full = taken.commercial >= self.known.book.decisions_max[moment.code]
            if verdict.gate is Gate.NONE and rule.klass == "commercial" and is_full:
                verdict = Verdict(Gate.OUTRANKED)
            if verdict.gate is Gate.NONE:
                verdict = choose(moment, rule, taken.on_channel)
            if verdict.channel is not None:
                channel, verdict = verdict.channel, held_out(moment, rule, verdict)
                for one in [rehearsed] if rule.shadow else [real, rehearsed]:
                    one.take(rule, channel)
                self._promise(moment, position, number, rule, channel, waits=verdict.gate is Gate.NONE)
            arm, share = arm_of(rule, moment.row.subscriber)
            records.append(self._record(moment, position, number, rule, verdict)._replace(arm=arm, probability=share))
        return records

    def _promise(self, moment: Moment, position: int, number: int, rule: Rule, channel: str, *, waits: bool) -> None:
        """What caps count, and what offers look at; what no cap counts goes without where there is no room."""
        book, promises, log_ms = self.known.book, moment.person.promises, moment.append_ms
        is_capped = bool(caps_of(book, rule, channel))
        is_kept = is_capped or looks_back(book, rule, channel)
        if not waits and not is_kept:
            return
        horizon_ms = log_ms - self.known.horizon_ms
        if not is_capped and not promises.make_room(log_ms, horizon_ms, capped=False, rehearses=rule.shadow):
            return
        promises.kept.append(
            Promise(
                log_ms,
                log_ms + rule.shelf_life_ms + GRACE_MS if rule.shelf_life_ms else None,
                position,
                number,
                rule.stable_id,
                rule.campaign_id,
                book.channels[channel].channel_id,
                stable_id(rule.offer) if rule.offer is not None else 0,
                rule.klass == "service",
                is_kept,
                "waits" if waits else "shadow",
                category=stable_id(rule.category) if rule.category is not None else 0,
                is_rehearsed=rule.shadow,
            )
        )

    def _record(self, moment: Moment, position: int, number: int, rule: Rule, verdict: Verdict) -> Record:
        book = self.known.book
        return Record(
            position=position,
            append_ms=moment.append_ms,
            book=book.version,
            row=number,
            rule=rule.stable_id,
            channel=book.channels[verdict.channel].channel_id if verdict.channel is not None else 0,
            detail=verdict.detail,
            subscriber=moment.row.subscriber,
            at_ms=moment.row.at_ms,
            outcome=0 if verdict.gate is Gate.NONE else 1,
            gate=int(verdict.gate),
            facts=tuple(moment.fact(operand) for operand in rule.facts) if rule.on == moment.code else (),
        )


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
            declared = {member for word in new.words(slot) for member in new.fields[word].members}
            values[name] = [one for one in value if one in declared] if is_set else value  # type: ignore[union-attr]  # a SET's value
    return replace(row, values=values)
