"""Decision records as people and scripts read them: names for numbers, facts for cells.

`read_records` walks the journals of a data directory, whether or not an engine has it open, and yields one plain dict a
candidate. Filters are applied to columns first, so that only what is asked for becomes Python objects.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.book.shelf import BookShelf
from rules.gates import NUMBERS, PASSED, explain, word_of
from rules.gates.order import GATES_OF_KEEPING
from rules.model import Book, Rule
from state.decisions import DecisionBatch, Outcome, RecordKind, decision_id, decode
from state.journal import Journal
from state.schema import Kind
from state.sets import is_further, together
from state.texts import Chained, Lookup

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records to return; event times, half open."""

    subscriber: int | None = None
    rule: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    decided_only: bool = False

    def rows(self, batch: DecisionBatch) -> NDArray[np.intp]:
        """Return the indices of a batch's records that are wanted."""
        keep = np.ones(batch.n, np.bool_)
        if self.subscriber is not None:
            keep &= batch.subscriber == self.subscriber
        if self.rule is not None:
            keep &= batch.rule == self.rule
        if self.from_ms is not None:
            keep &= batch.at_ms >= self.from_ms
        if self.to_ms is not None:
            keep &= batch.at_ms < self.to_ms
        if self.decided_only:
            keep &= batch.outcome == Outcome.DECIDED
        return np.flatnonzero(keep)


def read_records(
    journals: Iterable[tuple[int, Journal]], shelf: BookShelf, texts: Lookup, wanted: Wanted
) -> Iterator[Record]:
    """Yield the wanted records of the given (partition, journal) pairs, each partition in log order.

    `texts` has those of records of format 1, which do not bring their own.
    """
    for partition, journal in journals:
        reached = -1
        for entry in journal.read(journal.first_position):
            if entry.reached <= reached:
                continue
            reached = entry.reached
            batch = decode(entry.payload)
            for index in wanted.rows(batch):
                yield record_of(partition, batch, int(index), shelf.get(batch.book).book, texts)


def longer_numbers(journals: Iterable[tuple[int, Journal]], subscriber: int, count_max: int = 3) -> list[int]:
    """Return up to `count_max` numbers of records that are this one with up to three digits before it."""
    end = 10 ** len(str(subscriber))
    found: set[int] = set()
    for _, journal in journals:
        for entry in journal.read(journal.first_position):
            numbers = decode(entry.payload).subscriber
            longer = numbers[(numbers % end == subscriber) & (numbers >= end) & (numbers < 1000 * end)]
            found.update(longer.tolist())
            if len(found) >= count_max:
                return sorted(found)[:count_max]
    return sorted(found)


def record_of(partition: int, batch: DecisionBatch, index: int, book: Book, texts: Lookup) -> Record:
    """Return one record as a plain dict; `book` is the version that the batch names."""
    rule_number = int(batch.rule[index])
    rule = book.by_stable_id[rule_number]
    channel = int(batch.channel[index])
    gate = int(batch.gate[index])
    record: Record = {
        "id": decision_id(partition, batch.position, int(batch.row[index]), rule_number),
        "partition": partition,
        "position": batch.position,
        "row": int(batch.row[index]),
        "event_id": f"{partition}-{batch.position}-{int(batch.row[index])}",
        "at_ms": int(batch.at_ms[index]),
        "append_ms": batch.append_ms,
        "subscriber": int(batch.subscriber[index]),
        "rule": rule.id,
        "campaign": rule.campaign,
        "offer": rule.offer,
        "book": batch.book,
        "outcome": Outcome(int(batch.outcome[index])).name.lower(),
        "gate": word_of(gate),
        "channel": book.channel_name(channel) if channel else None,
    }
    if gate != PASSED:
        record["detail"] = explain(book, rule, gate, int(batch.detail[index]))
    if gate == NUMBERS["shadow"]:
        record["detail"] += f" on {record['channel']}"
    if batch.kind[index] != RecordKind.DECISION:
        named = (partition, int(batch.of_position[index]), int(batch.of_row[index]), rule_number)
        record |= {"kind": RecordKind(int(batch.kind[index])).name.lower(), "of": decision_id(*named), "facts": {}}
        return record
    timer = book.timers.get(rule.id)
    if timer is not None and timer.stays is not None:
        record["leaves" if timer.stays.leaves else "stays"] = timer.stays.area
    elif timer is not None:
        record["after"] = book.schema.types[timer.source_type].name
    if rule.arms is not None:
        record["arm"] = arm_name(rule, int(batch.arm[index]))
        record["probability"] = round(float(batch.probability[index]), 6)
    record["facts"] = facts_of(batch, index, book, texts)
    if rule.keep is not None and gate not in [one.number for one in GATES_OF_KEEPING]:
        record["keeps"] = rule.keep.list
    return record


def arm_name(rule: Rule, arm: int) -> str:
    """Return the name of an arm by its number in a record, "" for none."""
    return rule.arms.names[arm - 1] if rule.arms is not None and arm else ""


def facts_of(batch: DecisionBatch, index: int, book: Book, texts: Lookup) -> dict[str, Any]:
    """Return what one record's rule read, as `facts_of_each`."""
    return next(facts_of_each(batch, np.array([index]), book, texts))


def facts_of_each(
    batch: DecisionBatch, records: NDArray[np.intp], book: Book, texts: Lookup
) -> Iterator[dict[str, Any]]:
    """Yield what the rule of each record read, by name; None where it was unknown, or is a text that is not kept."""
    known_texts = Chained(batch.texts, texts)
    for start, number in zip(batch.fact_start[records].tolist(), batch.rule[records].tolist(), strict=True):
        facts = book.by_stable_id[number].facts
        some = slice(start, start + len(facts))
        cells, known = batch.facts[some].tolist(), batch.facts_known[some].tolist()
        values = {
            fact.name: plain(cells[at], fact.kind, fact.members, known_texts) if known[at] else None
            for at, fact in enumerate(facts)
        }
        yield together(values.items()) if any(map(is_further, values)) else values


def plain(cell: int, kind: Kind, members: tuple[str, ...], texts: Lookup) -> Any:
    """Return the Python value of a cell; None for a text that is not kept."""
    if kind == Kind.FLOAT:
        return float(np.int64(cell).view(np.float64))
    if kind == Kind.BOOL:
        return cell != 0
    if kind == Kind.STRING:
        text = texts.text(cell)
        return text.decode(errors="replace") if text is not None else None
    if kind == Kind.SET:
        return [name for bit, name in enumerate(members) if cell >> bit & 1]
    return cell
