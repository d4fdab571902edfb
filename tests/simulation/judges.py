"""The invariants, and who holds the engine against them.

`Judges` reads what became durable and keeps books of its own: which line stands where, who was contacted, what every
decision ended as. State is held against a *twin*: a partition that folds the durable log from its beginning, in memory,
without crashes, pages, sleep or redo. Caps, candidates of plain rules, doubled ids and ends of decisions are known
without any code of the product: see `Contact`, `books.PLAIN`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zlib import crc32

import numpy as np

from engine.book.compiled import CompiledBook
from engine.dispatch.model import Decided
from engine.flow.dead_letters import read_letters
from engine.flow.fold import FoldParts
from engine.flow.partition import Partition
from rules.model import Cap, Rule
from state.batch import Batch
from state.columns import Table
from state.contact_packing import pack_contacts, packed_bytes
from state.contacts import UNCAPPED, Contacts
from state.decisions import DecisionBatch, Outcome, OutcomeState, RecordKind, decision_id
from state.frame import Frame
from state.hashing import hash_text, partition_of
from state.schema import OUTCOME, Kind
from tests.fakes.store import MemoryStore
from tests.oracle.gates import Gate
from tests.simulation.books import PLAIN, Fields
from tests.simulation.life import DEDUPE_WINDOW_MS, ROOT, Life, Size
from tests.simulation.machine import Machine
from tests.simulation.network import Network
from tests.simulation.traffic import HOUR_MS, Traffic

ZONE_MS = 8 * HOUR_MS  # Shanghai, all year
DAY_MS = 24 * HOUR_MS
_TEXTS = {hash_text(text.encode()): text for text in ("long", "local")}
_ENDS = {OutcomeState.COMMITTED, OutcomeState.REFUNDED, OutcomeState.UNKNOWN}


class BrokenError(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


def hold(truth: object, invariant: str, detail: object = "") -> None:
    """Raise `BrokenError` unless `truth` holds."""
    if not truth:
        raise BrokenError(invariant, str(detail))


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


class Twin(Partition):
    """A partition in memory only; nothing but `apply` works."""

    def __init__(self, number: int, size: Size, books: Any) -> None:
        limits = replace(size.sizes().fold, memory_subscribers=1 << 20)
        super().__init__(FoldParts(number, limits, MemoryStore(), books), cast("Any", None), cast("Any", None))


class Judges:
    """Everything that is known of a world's past, and what must follow."""

    def __init__(self, size: Size, machine: Machine, traffic: Traffic, network: Network) -> None:
        self.size = size
        self.machine = machine
        self.traffic = traffic
        self.network = network
        count = size.partitions
        self.books: dict[str, CompiledBook] = {}
        self.twins = [Twin(p, size, lambda version: self.books[version]) for p in range(count)]
        self.frames: list[list[int]] = [[] for _ in range(count)]  # checksum of every durable frame
        self.batches: list[list[tuple[int, bytes]]] = [[] for _ in range(count)]
        self.entries = [0] * count  # journal entries looked at
        self.rows: dict[int, int] = {}  # how often a line became a row
        self.seen_ids: list[dict[int, int]] = [{} for _ in range(count)]
        self.passed: dict[tuple[int, str], int] = defaultdict(int)  # lines of a file that a partition has passed
        self.contacts: dict[int, list[Contact]] = defaultdict(list)
        self.overflowed: set[int] = set()
        self.touched: list[dict[int, None]] = [{} for _ in range(count)]  # whose contacts changed since the last check
        self.calls: Counter[int] = Counter()
        self.decided: dict[str, str] = {}  # decision: class of its rule
        self.ends: dict[str, set[OutcomeState]] = defaultdict(set)
        self.submitted: dict[str, int] = {}  # decision: its last attempt, by number
        self.closed: set[str] = set()  # decisions that no gateway may see again
        self.stopped: dict[tuple[str, str], str] = {}
        self.sent_on: dict[tuple[int, str], set[str]] = defaultdict(set)
        self.counted: Counter[str] = Counter()
        self.lives = 0
        self.decided_in: dict[str, int] = {}  # decision: the life of the engine that made it

    # What became durable.

    def committed(self, life: Life, p: int) -> None:
        """A partition committed: take in its new frames, and hold journal and state against them."""
        partition = life.core.partitions[p]
        self._take_frames(partition, partition.log.durable)
        self._check_entries(partition, self.entries[p])
        if not life.uncommitted[p]:
            self.check_state(partition)

    def recovered(self, life: Life) -> None:
        """The engine started again: whatever was durable must still be there, and nothing else."""
        self.lives += 1
        for partition in life.core.partitions:
            p, log = partition.number, partition.log
            known = self.frames[p]
            hold(
                log.next_position >= len(known),
                "durable frames stay",
                f"partition {p}: {log.next_position} < {len(known)}",
            )
            for record in log._segments.read(log.first_position):
                if record.position < len(known):
                    same = crc32(record.payload) == known[record.position]
                    hold(same, "durable frames stay", f"partition {p} position {record.position}")
            self._take_frames(partition, log.next_position - 1)
            self._check_entries(partition, partition.journal.first_position)
            self.check_state(partition)
        self.check_letters(life, finished=False)

    def _take_frames(self, partition: Partition, durable: int) -> None:
        p = partition.number
        start = len(self.frames[p])
        if start > durable:
            return
        for record, (position, frame) in zip(
            list(partition.log._segments.read(start)), partition.log.read(start), strict=True
        ):
            if position > durable:
                break
            self.frames[p].append(crc32(record.payload))
            self._take(p, position, frame)

    def _take(self, p: int, position: int, frame: Frame) -> None:
        twin = self.twins[p]
        acting = self._acting(p, frame)
        if frame.batch is not None:
            self._count_lines(p, frame, frame.batch)
        self._check_passed(p, frame)
        batch = twin.apply(position, frame)
        if batch is not None:
            self.batches[p].append((position, batch.encode()))
        if frame.batch is not None and twin.decider.compiled is not None:
            self._judge_rows(p, position, frame.batch, acting, twin.decider.compiled, batch)
        self.counted["frames"] += 1

    def _acting(self, p: int, frame: Frame) -> list[int]:
        """Return the rows of a frame that are not doubles, by a memory of ids of our own."""
        if frame.batch is None:
            return []
        if not frame.dedupe:
            return list(range(frame.batch.n))
        acting, seen = [], self.seen_ids[p]
        for row, identity in enumerate(frame.batch.id.tolist()):
            last = seen.get(identity)
            if identity == 0 or last is None or frame.append_ms - last > DEDUPE_WINDOW_MS:
                acting.append(row)
            seen[identity] = frame.append_ms
        self.counted["ids were left out that came before"] += frame.batch.n - len(acting)
        return acting

    def _count_lines(self, p: int, frame: Frame, batch: Batch) -> None:
        """Every row of a feed is one of our lines, and a line of a file is one row at the most."""
        for row in range(batch.n):
            n = number_of(batch, row)
            if n is None:
                continue
            line = self.traffic.lines.get(n)
            subscriber = int(batch.subscriber[row])
            hold(line is not None and line.fate != "dead", "a broken line is no row", f"line {n}")
            assert line is not None
            hold(line.subscriber == subscriber, "a row says what its line says", f"line {n}: {subscriber}")
            hold(partition_of(subscriber, self.size.partitions) == p, "a subscriber has one partition", f"line {n}")
            self.rows[n] = self.rows.get(n, 0) + 1
            if line.key:
                hold(self.rows[n] == 1, "a line of a file is one row", f"line {n} of {line.key} partition {p}")
                end = frame.sources.get(line.key, -1)
                hold(
                    line.offset < end, "a frame carries the position behind its rows", f"line {n}: {line.offset} {end}"
                )

    def _check_passed(self, p: int, frame: Frame) -> None:
        """What a partition's position has passed must be in its log."""
        for file in self.traffic.files:
            end = frame.sources.get(file.key)
            if end is None:
                continue
            at = self.passed[p, file.key]
            while at < len(file.lines) and file.lines[at].offset < end:
                line = file.lines[at]
                at += 1
                if line.fate == "row" and partition_of(line.subscriber, self.size.partitions) == p:
                    hold(self.rows.get(line.n), "a line that was passed is a row", f"line {line.n} of {line.key}")
            self.passed[p, file.key] = at

    # Candidates, caps, ends.

    def _judge_rows(
        self,
        p: int,
        position: int,
        batch: Batch,
        acting: list[int],
        compiled: CompiledBook,
        records: DecisionBatch | None,
    ) -> None:
        found: dict[int, list[int]] = defaultdict(list)
        for index in range(records.n if records is not None else 0):
            assert records is not None
            found[int(records.row[index])].append(index)
        plain = {rule.stable_id: rule.id for rule in compiled.book.rules if rule.id in PLAIN}
        for row in acting:
            type_name = batch.schema.types[int(batch.type[row])].name
            if type_name not in compiled.book.schema.codes:
                continue
            self.counted["rows"] += 1
            fields = fields_of(batch, row)
            if type_name == "call":
                self.calls[int(batch.subscriber[row])] += 1
            if int(batch.type[row]) == OUTCOME:
                self._take_outcome(int(batch.subscriber[row]), fields, int(batch.log_ms[row]))
                self.touched[p][int(batch.subscriber[row])] = None
            wanted = {
                stable for stable, name in plain.items() if PLAIN[name][0] == type_name and PLAIN[name][1](fields)
            }
            if records is not None:
                self._take_withdrawals(p, records, found[row])
                found[row] = [index for index in found[row] if records.kind[index] == RecordKind.DECISION]
            rules = [int(records.rule[index]) for index in found[row]] if records is not None else []
            at = f"partition {p} position {position} row {row}"
            hold(len(set(rules)) == len(rules), "a candidate has one record", at)
            hold(
                {one for one in rules if one in plain} == wanted,
                "every candidate has a record",
                f"{at}: {rules} {wanted}",
            )
            for index in found.pop(row, []):
                assert records is not None
                self._take_record(p, compiled, records, index, int(batch.log_ms[row]))
        hold(not any(found.values()), "only rows that act have records", f"partition {p} position {position}: {found}")

    def _take_record(self, p: int, compiled: CompiledBook, records: DecisionBatch, index: int, log_ms: int) -> None:
        rule = compiled.book.by_stable_id[int(records.rule[index])]
        subscriber = int(records.subscriber[index])
        self.touched[p][subscriber] = None
        gate, detail = Gate(int(records.gate[index])), int(records.detail[index])
        self.counted[gate.word] += 1
        if records.outcome[index] == Outcome.DECIDED:
            name = decision_id(p, records.position, int(records.row[index]), rule.stable_id)
            hold(name not in self.decided, "a decision is made once", name)
            self.decided[name] = rule.klass
            self.decided_in[name] = self.lives
            channel = compiled.book.channels_by_id[int(records.channel[index])]
            caps = caps_of(compiled, rule, channel.name)
            if caps:
                service = rule.klass == "service"
                expires_ms = log_ms + rule.shelf_life_ms + HOUR_MS if rule.shelf_life_ms else 1 << 62
                ids = rule.stable_id, rule.campaign_id, channel.channel_id
                self._make_contact(subscriber, Contact(name, log_ms, expires_ms, *ids, service), caps)
        elif gate == Gate.CAP and subscriber not in self.overflowed:
            channel_name = rule.channels[detail >> 8]
            cap = caps_of(compiled, rule, channel_name)[detail & 255]
            count = self._count_near(subscriber, log_ms, cap)
            hold(count >= cap.count_max, "a cap that says no is full", f"{subscriber} {rule.id} {cap}: {count}")

    def _make_contact(self, subscriber: int, contact: Contact, caps: list[Cap]) -> None:
        held = self.contacts[subscriber]
        if len(held) >= self.size.contacts_max:
            self.overflowed.add(subscriber)
        held.append(contact)
        for cap in caps:
            most = self._count_near(subscriber, contact.at_ms, cap)
            hold(most <= cap.count_max, "no cap is breached", f"{subscriber} {contact.decision} {cap}: {most}")

    def _count_near(self, subscriber: int, log_ms: int, cap: Cap) -> int:
        """Count what waits, and what reached the subscriber near a time or in its period."""
        return sum(one.counts_for(cap) and one.counts_near(log_ms, cap) for one in self.contacts[subscriber])

    def _take_withdrawals(self, p: int, records: DecisionBatch, found: list[int]) -> None:
        """What waited and is stopped was decided before, and has not ended; it counts until its refund."""
        for index in found:
            if records.kind[index] != RecordKind.WITHDRAWAL:
                continue
            named = p, int(records.of_position[index]), int(records.of_row[index]), int(records.rule[index])
            name = decision_id(*named)
            hold(name in self.decided, "a withdrawal names a decision", name)
            hold(not self.ends[name], "what has ended is not withdrawn", name)
            self.counted["withdrawn"] += 1

    def _take_outcome(self, subscriber: int, fields: Fields, log_ms: int) -> None:
        ids = [int(fields[name]) for name in ("partition", "position", "row", "rule")]
        name = decision_id(*ids)
        state = OutcomeState(int(fields["state"]))
        self.counted[f"outcome {state.name.lower()}"] += 1
        hold(name in self.decided, "an outcome speaks of a decision", name)
        if self.decided_in[name] < self.lives:
            self.counted["a refund came in a later life than its decision"] += state is OutcomeState.REFUNDED
            self.counted["a receipt came in a later life than its decision"] += state is OutcomeState.DELIVERED
        if state in _ENDS:
            self.ends[name].add(state)
            hold(len(self.ends[name]) == 1, "a decision ends once", f"{name}: {self.ends[name]}")
        if state is OutcomeState.REFUNDED:
            lost = name in self.network.taken or name in self.network.doubtful
            hold(not lost, "what may have been sent is not refunded", name)
            self.contacts[subscriber] = [one for one in self.contacts[subscriber] if one.decision != name]
        elif state is OutcomeState.COMMITTED:
            hold(name in self.network.taken, "what is called sent was sent", name)
        if state in (OutcomeState.COMMITTED, OutcomeState.UNKNOWN):
            for one in self.contacts[subscriber]:
                if one.decision == name and one.contact_ms is None:
                    one.contact_ms = int(fields.get("contact_ms", log_ms))

    def _repeatable(self, name: str) -> bool:
        return self.size.resend_unknown_service and self.decided[name] == "service"

    # State.

    def check_state(self, partition: Partition) -> None:
        """Memory must equal the twin's, for every subscriber in it."""
        twin = self.twins[partition.number]
        what = f"partition {partition.number} position {len(self.frames[partition.number]) - 1}"
        same = "state equals a clean fold"
        hold(partition.book_version == twin.book_version, same, f"{what}: book")
        hold(partition.sources == twin.sources, same, f"{what}: sources {partition.sources} {twin.sources}")
        hold(partition.clock_ms == twin.clock_ms, same, f"{what}: clock")
        hold(partition.decider.paused == twin.decider.paused, same, f"{what}: paused")
        count = partition.table.count + partition.flusher.sleeping
        hold(count == twin.table.count, same, f"{what}: subscribers {count} {twin.table.count}")
        here, there = slots_of(partition.table, twin.table)
        hold(bool((there >= 0).all()), same, f"{what}: somebody nobody knows")
        keys = set(partition.table.keys())
        hold(keys == set(twin.table.keys()), same, f"{what}: columns {keys ^ set(twin.table.keys())}")
        for key in twin.table.keys():  # noqa: SIM118 a method of Table, not a dict's
            for mine, clean in zip(partition.table.columns(key), twin.table.columns(key), strict=True):
                if mine[here].tobytes() == clean[there].tobytes():
                    continue
                equal = (mine[here].view(np.uint8) == clean[there].view(np.uint8)).all(axis=1)
                wrong = partition.table.subs[here[~equal]].tolist()
                hold(not wrong, same, f"{what}: column {key} of {wrong[:3]}")
        self._check_contacts(partition, twin, here, there, what)

    def _check_contacts(self, partition: Partition, twin: Twin, here: Any, there: Any, what: str) -> None:
        if not np.array_equal(packed(partition.contacts, here), packed(twin.contacts, there)):
            for mine, clean in zip(here.tolist(), there.tolist(), strict=True):
                left, right = partition.contacts.of(mine), twin.contacts.of(clean)
                hold(left == right, "state equals a clean fold", f"{what}: contacts {left} {right}")
        touched, self.touched[partition.number] = self.touched[partition.number], {}
        for subscriber in touched:
            slot = twin.table.find(subscriber)
            if subscriber in self.overflowed:
                continue
            counted = [one for one in twin.contacts.of(slot) if not one["state"] & UNCAPPED]
            kept = [(one["position"], one["row"], one["rule"]) for one in counted]
            known = [tuple(parts[1:]) for parts in map(parts_of, self.contacts[subscriber])]
            hold(kept == known, "refunds free their own place, once", f"{what} {subscriber}: {kept} {known}")

    def check_calls(self, p: int) -> None:
        """A feature that anybody can count must have counted right."""
        twin = self.twins[p]
        compiled = twin.decider.compiled
        assert compiled is not None
        index = compiled.book.feature_index("calls")
        column = twin.decider._arrays[index][0].reshape(twin.table.capacity, -1)
        for subscriber, count in self.calls.items():
            slot = twin.table.find(subscriber)
            if slot >= 0:
                hold(int(column[slot, -1]) == count, "a call counts once", f"{subscriber}: {column[slot]} {count}")

    # Journal and letters.

    def _check_entries(self, partition: Partition, start: int) -> None:
        """The journal must hold every frame's records in order, each once."""
        p, journal = partition.number, partition.journal
        expected = self.batches[p]
        hold(journal.next_position == len(expected), "no decision is lost or doubled",
             f"partition {p}: {journal.next_position} entries for {len(expected)} frames with candidates")  # fmt: skip
        for entry in journal.read(max(start, journal.first_position)):
            reached, payload = expected[entry.position]
            same = entry.reached == reached and bytes(entry.payload) == payload
            hold(same, "no decision is lost or doubled", f"partition {p} entry {entry.position} of position {reached}")
        self.entries[p] = journal.next_position

    def check_letters(self, life: Life, *, finished: bool) -> None:
        """Every broken line that was passed is a dead letter, once where its place is known."""
        places: Counter[tuple[str, int]] = Counter()
        unplaced: Counter[bytes] = Counter()
        for kept in read_letters(ROOT / "dead", self.machine):
            if kept.letter.key:
                places[kept.letter.key, kept.letter.offset] += 1
            else:
                unplaced[kept.letter.raw] += 1
        twice = [place for place, count in places.items() if count > 1]
        hold(not twice, "a broken line of a file is one dead letter", twice[:3])
        reached = life.core.resume_positions()
        for file in self.traffic.files:
            for line in file.lines:
                if line.offset >= reached.get(file.key, 0):
                    break
                letters = places[line.key, line.offset]
                fate = {"row": (1, 0), "dead": (0, 1)}.get(line.fate)
                ends = (self.rows.get(line.n, 0), letters)
                hold(ends == fate or (fate is None and sum(ends) >= 1), "a line ends once", f"line {line.n}: {ends}")
        for sent in self.traffic.sent:
            for line in sent.lines if sent.acknowledged or finished else ():
                letters = unplaced[line.raw[:2048]]
                count = self.rows.get(line.n, 0) + letters
                hold(count >= 1, "an acknowledged line is kept", f"line {line.n}")
                hold((letters == 0) or line.fate != "row", "a good line is no dead letter", f"line {line.n}")

    # Sending.

    def handed_over(self, what: Decided, gateway: str, now_ms: int, day: int) -> None:
        """Dispatch hands a decision to a door."""
        name = what.decision_id
        hold(name in self.decided, "only decisions are sent", name)
        hold(name not in self.closed, "what may have been sent is not sent again", f"{name} to {gateway}")
        hold(not self.ends[name], "what has ended is not sent", f"{name}: {self.ends[name]}")
        hold(now_ms < what.expires_ms, "what is too old is not sent", f"{name}: {now_ms} {what.expires_ms}")
        hold("#" not in what.text, "texts can be read", f"{name}: {what.text}")
        self.sent_on[day, what.channel].add(name)
        quota = self.size.quota_per_day if what.channel == "sms" else 0
        lost = sum(one in self.network.taken or one in self.network.doubtful for one in self.sent_on[day, what.channel])
        hold(not quota or lost <= quota, "no quota is exceeded", f"{what.channel} day {day}: {lost}")
        self.counted["handed over"] += 1

    def not_stopped(self, what: Decided) -> None:
        """Nothing of a stopped scope is taken."""
        for scope in (("rule", what.rule), ("campaign", what.campaign), ("channel", what.channel)):
            hold(scope not in self.stopped, "what is stopped is not sent", f"{what.decision_id}: {scope}")

    def close(self, names: Iterator[str] | list[str]) -> None:
        """These may have reached somebody: never again, unless twice does no harm."""
        self.closed.update(name for name in names if not self._repeatable(name))

    def finished(self, life: Life) -> None:
        """At the end of the world nothing may be open."""
        for p in range(self.size.partitions):
            self.check_calls(p)
        self.check_letters(life, finished=True)
        for file in self.traffic.files:
            hold(
                life.reading.get(file.key, 0) == len(file.data) or not file.data,
                "files are read to their end",
                file.key,
            )
        open_ = [name for name in self.decided if not self.ends[name]]
        hold(not open_, "every decision ends sent, unknown or refunded", open_[:5])


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


def fields_of(batch: Batch, row: int) -> dict[str, int | float | str]:
    """Return the known fields of a row, texts where they are of interest."""
    found: dict[str, int | float | str] = {}
    present = int(batch.present[row])
    for slot, field in enumerate(batch.schema.types[int(batch.type[row])].fields):
        if present >> slot & 1:
            cell = batch.cells[slot, row]
            if field.kind == Kind.FLOAT:
                found[field.name] = float(cell.view(np.float64))
            elif field.kind == Kind.STRING:
                found[field.name] = _TEXTS.get(int(cell), "")
            else:
                found[field.name] = int(cell)
    return found


def packed(contacts: Contacts, slots: Any) -> Any:
    """Return the contacts of slots as the bytes that a page has of them."""
    out = np.empty(packed_bytes(contacts.arrays, slots), np.uint8)
    pack_contacts(contacts.arrays, slots, out)
    return out


def number_of(batch: Batch, row: int) -> int | None:
    """Return the number of the line that became a row; None for rows that the engine made."""
    kind = batch.schema.types[int(batch.type[row])]
    slot = kind.slots.get("pn" if kind.name == "profile" else "n")
    return int(batch.cells[slot, row]) if slot is not None else None


def slots_of(table: Table, clean: Table) -> tuple[Any, Any]:
    """Return the live slots of a table, and those of the same subscribers in the clean one (-1: none)."""
    here = np.flatnonzero(table.subs).astype(np.int32)
    there = np.empty(here.shape[0], np.int32)
    clean.lookup(table.subs[here], there, 0, insert=False)
    return here, there
