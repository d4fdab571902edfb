"""The engine's decider and the interpreter side by side: the same frames into both, every answer compared.

The engine's cells are read back to plain values here (a hash to the text that its batch brought, a mask to the names of
its bits), so the interpreter need not know what a cell is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook, compile_book
from engine.flow.decider import Decider
from rules.expressions.tree import Operand
from rules.model import Book
from state.batch import Batch, Row, from_rows, remap, select
from state.columns import Table
from state.contacts import Contacts
from state.decisions import DecisionBatch
from state.decisions import decode as decode_decisions
from state.dedupe import Dedupe
from state.frame import Frame, FrameKind, decode, encode
from state.schema import Kind, Schema
from state.texts import Lookup
from tests.oracle.interpreter import Interpreter, Record, read_under


class Engine:
    """A decider with its state, and the partition's duties before it: rows that no longer count are left out."""

    def __init__(self, slots: int, contacts_max: int, rows_max: int) -> None:
        self.table = Table(slots)
        self.decider = Decider(self.table, Contacts(self.table.capacity, contacts_max), rows_max)

    @property
    def compiled(self) -> CompiledBook:
        """The book in force."""
        assert self.decider.compiled is not None
        return self.decider.compiled

    def fold(
        self, position: int, append_ms: int, batch: Batch, keep: NDArray[np.int32], parts: int = 1
    ) -> tuple[Batch, list[Record]]:
        """Fold the rows `keep` of a frame, in that many calls; return them as the decider saw them, and the records."""
        whole = remap(select(batch, keep), self.decider.schema)
        self.decider.histories.begin(append_ms)
        records: list[Record] = []
        for rows in np.array_split(np.arange(whole.n, dtype=np.int32), parts):
            part = whole if parts == 1 else select(whole, rows)
            slots = np.empty(part.n, np.int32)
            self.table.lookup(part.subscriber, slots, position)
            found = self.decider.fold(position, append_ms, part, keep[rows], slots)
            if found is not None:
                records += self.records(decode_decisions(found.encode()))
        return whole, records

    def records(self, found: DecisionBatch) -> list[Record]:
        """The records of a frame as plain values."""
        facts = self.facts(found)
        columns = ("row", "rule", "channel", "detail", "subscriber", "at_ms", "outcome", "gate")
        named = zip(found.of_position.tolist(), found.of_row.tolist(), strict=True)
        last = found.kind.tolist(), named, found.arm.tolist(), [round(one, 6) for one in found.probability.tolist()]
        rows = zip(*(getattr(found, name).tolist() for name in columns), facts, *last, strict=True)
        return [Record(found.position, found.append_ms, found.book, *row) for row in rows]

    def facts(self, found: DecisionBatch) -> list[tuple[Any, ...]]:
        """What each record's rule read."""
        cells, known = found.facts.tolist(), found.facts_known.tolist()
        facts = []
        # Not strict: `fact_start` has one more, where the facts of the last record end.
        for start, rule, kind in zip(found.fact_start.tolist(), found.rule.tolist(), found.kind.tolist(), strict=False):
            read = self.compiled.book.by_stable_id[rule].facts if kind == 0 else ()
            operands = enumerate(read, start)
            facts.append(
                tuple(
                    self.plain(one.kind, self.members(one), cells[at], found.texts) if known[at] else None
                    for at, one in operands
                )
            )
            assert all(cells[at] == 0 for at in range(start, start + len(facts[-1])) if not known[at])
        return facts

    def members(self, operand: Operand) -> tuple[str, ...]:
        """The names of a set's bits, with those that only earlier books declared."""
        is_feature = operand.source == "feature"
        return self.compiled.book.features[operand.index].members if is_feature else operand.members

    def plain(self, kind: Kind, members: Sequence[str], cell: int, texts: Lookup) -> Any:
        """The value behind a cell; its text must be where it is looked for."""
        match kind:
            case Kind.FLOAT:
                return plain_float(float(np.int64(cell).view(np.float64)))
            case Kind.BOOL:
                return bool(cell)
            case Kind.STRING:
                text = texts.text(cell)
                assert text is not None
                return text.decode()
            case Kind.SET:
                return frozenset(name for bit, name in enumerate(members) if cell >> bit & 1)
            case _:
                return cell

    def feature(self, index: int, rows: NDArray[np.int64]) -> list[Any]:
        """The values of a feature as of some rows of the last fold."""
        one = self.compiled.book.features[index]
        cells = self.decider._outs[index, rows].tolist()
        known = self.decider._known[index, rows].tolist()
        if one.value_kind in (Kind.INT, Kind.TIME):
            return [cell if there else None for cell, there in zip(cells, known, strict=True)]
        pairs = zip(cells, known, strict=True)
        texts = self.table.texts
        return [self.plain(one.value_kind, one.members, cell, texts) if there else None for cell, there in pairs]


class Agreement:
    """One world: every frame goes to both, and `frame` fails where they differ.

    `doubled_ms` is the window in which an id acts once, 0 for never minding. Frames are kept as bytes for `replay`.
    """

    def __init__(self, *, slots: int, contacts_max: int, rows_max: int = 64, doubled_ms: int = 0) -> None:
        self._sizes = slots, contacts_max, rows_max
        self.engine = Engine(*self._sizes)
        self.plain = Interpreter(contacts_max)
        self.position = 0
        self.doubled_ms = doubled_ms
        self._dedupe = Dedupe(max(doubled_ms, 1), 1 << 20)
        self._sighted: dict[str, int] = {}
        self.log: list[bytes | CompiledBook | Mapping[str, str]] = []
        self.schemas: dict[str, Schema] = {}
        self.records: list[Record] = []
        self.values = 0

    @property
    def book(self) -> Book:
        """The book in force."""
        return self.engine.compiled.book

    def activate(self, book: Book) -> None:
        """Switch both to a book at the next position."""
        self.position += 1
        compiled = compile_book(book)
        self.log.append(compiled)
        self.schemas[book.schema.fingerprint] = book.schema
        self.engine.decider.activate(compiled, self.position)
        self.plain.activate(book)
        types = range(len(book.schema.types))
        self._read = [[code in plan.types for code in types] for plan in compiled.plans]
        self._asked = {code: [index for index, read in enumerate(self._read) if read[code]] for code in types}

    def control(self, record: Mapping[str, str]) -> None:
        """Pause, resume or kill in both."""
        self.position += 1
        self.log.append(record)
        self.engine.decider.control(dict(record))
        self.plain.known.control(record)

    def frame(self, rows: Sequence[Row], append_ms: int, schema: Schema, batch: Batch | None = None) -> list[Record]:
        """Give both one frame of events written under `schema`; return the records on which they agree."""
        self.position += 1
        batch = from_rows(schema, rows) if batch is None else batch
        batch.log_ms[:] = append_ms
        self.log.append(encode(Frame(FrameKind.EVENTS, append_ms, batch)))
        self.plain.known.begin(append_ms)
        keep = self._kept(rows, append_ms, schema, batch)
        seen, found = self.engine.fold(self.position, append_ms, batch, np.array(keep, np.int32))
        wanted, values = self._interpreted([(number, rows[number]) for number in keep], append_ms, schema)
        is_cut = any(row.type == "owner" for row in rows)  # the engine folds such a frame in pieces
        for index, expected in values.items() if not is_cut else ():
            asked = np.flatnonzero(np.array(self._read[index])[seen.type])
            self._same_values(index, self.engine.feature(index, asked), expected, seen, asked)
        # Not strict: the first record that differs says more than two lengths, which are compared after it.
        for one, other in zip(found, wanted, strict=False):
            assert one == other, f"engine: {one}\nplain:  {other}"
        assert len(found) == len(wanted), (found[len(wanted) :], wanted[len(found) :])
        self.records += found
        return found

    def pass_time(self, until_ms: int, append_ms: int) -> int:
        """Give both a frame of the deadlines that have come, which both must know; return how many they were."""
        due = self.plain.open_deadlines(until_ms)
        found = self.engine.decider.deadlines.take(until_ms, 1 << 20)
        told = sorted(zip(found.at_ms.tolist(), found.subscriber.tolist(), strict=True)) if found is not None else []
        assert told == sorted((row.at_ms, row.subscriber) for row in due)
        if due:
            self.frame(due, append_ms, self.book.schema)
        return len(due)

    def _kept(self, rows: Sequence[Row], append_ms: int, schema: Schema, batch: Batch) -> list[int]:
        """The rows that count: of a type that the book has, and not seen before; both memories of ids agree."""
        doubled = [False] * len(rows)
        if self.doubled_ms:
            marks = np.empty(batch.n, np.uint8)
            self._dedupe.mark(batch.id, append_ms, marks)
            doubled = [self._sighted_before(row.id, append_ms) for row in rows]
            assert marks.tolist() == doubled
        codes = self.book.schema.codes
        return [number for number, row in enumerate(rows) if row.type in codes and not doubled[number]]

    def _sighted_before(self, identity: str, append_ms: int) -> bool:
        if not identity:
            return False
        last_ms = self._sighted.get(identity)
        self._sighted[identity] = append_ms
        return last_ms is not None and append_ms - last_ms <= self.doubled_ms

    def _interpreted(
        self, rows: Sequence[tuple[int, Row]], append_ms: int, schema: Schema
    ) -> tuple[list[Record], dict[int, list[Any]]]:
        """The interpreter's records, and its values of each feature on the rows of the types that look at it."""
        records: list[Record] = []
        values: dict[int, list[Any]] = {index: [] for index in range(len(self.book.features))}
        is_own = schema.fingerprint == self.book.schema.fingerprint
        for number, written in rows:
            row = written if is_own else read_under(written, schema, self.book.schema)
            assert row is not None
            moment, found = self.plain.step(self.position, number, append_ms, row)
            records += [self._comparable(one) for one in found]
            for index in self._asked[moment.code]:
                values[index].append(moment.feature(index))
                self.values += 1
        return records, values

    def _comparable(self, record: Record) -> Record:
        operands = self.book.by_stable_id[record.rule].facts if record.kind == 0 else ()
        facts = zip(operands, record.facts, strict=True)
        return record._replace(facts=tuple(comparable(one.kind, value) for one, value in facts))

    def _same_values(
        self, index: int, found: list[Any], expected: list[Any], seen: Batch, rows: NDArray[np.int64]
    ) -> None:
        feature = self.book.features[index]
        if feature.value_kind in (Kind.FLOAT, Kind.SET):
            expected = [comparable(feature.value_kind, value) for value in expected]
        if found == expected:
            return
        at = next((at for at, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other), 0)
        row = int(rows[at])
        event = self.book.schema.types[int(seen.type[row])].name
        raise AssertionError(
            f"{feature.name} ({feature.kind} over {feature.window}) on row {row}, {event} of {seen.subscriber[row]} at"
            f" {seen.at_ms[row]}: engine {found[at]!r}, plain {expected[at]!r}"
        )

    def replay(self, parts: int = 1) -> None:
        """Fold the bytes of the log again into nothing, each frame in `parts` calls: the records must be the same."""
        engine = Engine(*self._sizes)
        dedupe = Dedupe(max(self.doubled_ms, 1), 1 << 20)
        records: list[Record] = []
        for position, entry in enumerate(self.log, 1):
            if isinstance(entry, CompiledBook):
                engine.decider.activate(entry, position)
            elif isinstance(entry, bytes):
                frame = decode(entry, self.schemas.__getitem__)
                assert frame.batch is not None
                keep = [
                    row
                    for row, code in enumerate(frame.batch.type.tolist())
                    if frame.batch.schema.types[code].name in engine.decider.schema.codes
                ]
                if self.doubled_ms:
                    marks = np.empty(frame.batch.n, np.uint8)
                    dedupe.mark(frame.batch.id, frame.append_ms, marks)
                    keep = [row for row in keep if not marks[row]]
                _, found = engine.fold(position, frame.append_ms, frame.batch, np.array(keep, np.int32), parts)
                records += found
            else:
                engine.decider.control(dict(entry))
        assert records == self.records


def plain_float(value: float) -> str:
    """A float to the bit; but 0.0 and -0.0 are one, as in the language: of `max` of both either may come out."""
    return (float(value) + 0.0).hex()


def comparable(kind: Kind, value: Any) -> Any:
    """A plain value in the form in which `Engine.plain` gives it: floats to the bit, sets as sets."""
    if value is None:
        return None
    if kind is Kind.FLOAT:
        return plain_float(value)
    return frozenset(value) if kind is Kind.SET else value
