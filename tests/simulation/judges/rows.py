"""Rows, candidates, caps and ends: what every durable frame must say, and what its records must be."""

from collections import defaultdict

import numpy as np

from engine.book.compiled import CompiledBook
from rules.model import Cap
from state.batch import Batch
from state.decisions import DecisionBatch, Outcome, OutcomeState, RecordKind, decision_id
from state.frame import Frame
from state.hashing import hash_text, partition_of
from state.schema import OUTCOME, Kind
from tests.oracle.gates import Gate
from tests.simulation.books import PLAIN, TIMERS, Fields
from tests.simulation.judges.contacts import Contact, caps_of
from tests.simulation.judges.holding import hold
from tests.simulation.judges.known import Known
from tests.simulation.life import DEDUPE_WINDOW_MS
from tests.simulation.traffic import HOUR_MS

_TEXTS = {hash_text(text.encode()): text for text in ("long", "local")}
_ENDS = {OutcomeState.COMMITTED, OutcomeState.REFUNDED, OutcomeState.UNKNOWN}


class RowJudges(Known):
    """Holds the rows of durable frames, and their records, against what the world knows."""

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
                hold(line.offset < end, "a frame carries the position after its rows", f"line {n}: {line.offset} {end}")

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
        known = plain.keys() | {rule.stable_id for rule in compiled.book.rules if rule.id in TIMERS}
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
            wanted |= self.deadlines.fired(batch, row, fields, compiled)
            if records is not None:
                self._take_withdrawals(p, records, found[row])
                found[row] = [index for index in found[row] if records.kind[index] == RecordKind.DECISION]
            rules = [int(records.rule[index]) for index in found[row]] if records is not None else []
            at = f"partition {p} position {position} row {row}"
            hold(len(set(rules)) == len(rules), "a candidate has one record", at)
            hold(
                {one for one in rules if one in known} == wanted,
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


def number_of(batch: Batch, row: int) -> int | None:
    """Return the number of the line that became a row; None for rows that the engine made."""
    kind = batch.schema.types[int(batch.type[row])]
    slot = kind.slots.get("pn" if kind.name == "profile" else "n")
    return int(batch.cells[slot, row]) if slot is not None else None
