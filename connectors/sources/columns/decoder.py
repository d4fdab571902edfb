"""From a piece of a table to rows of the log, column by column.

What is not sure, for whatever reason, is left to the strict path, row by row: it alone says whether a row is an event,
and why not. So a column of a type that a field cannot have costs a look at each of its rows, and never a wrong value.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.sources.columns.forms import ACTIONS, Form, Forms
from connectors.sources.columns.kernel import (
    NO_TYPE,
    UNSURE,
    YES,
    check_required,
    is_valid_rows,
    read_dictionary,
    read_strings,
    read_types,
    sort_rows,
    write_cells,
    write_shared,
)
from connectors.sources.columns.rows import json_of, pairs_of, text_bytes
from connectors.sources.columns.table import Table, Texts
from connectors.sources.contract import Chunk, Decoded
from connectors.sources.dead_letter import Code, DeadLetter
from connectors.sources.mapping import Plan
from connectors.sources.objects import RefusedError
from connectors.sources.scan import layout as at
from connectors.sources.scan.scanner import Scanner
from connectors.sources.strict import AT_MS_MIN, Event, Judge, dead_letter, put
from state.batch import Batch, empty, select
from state.hashing import hash_text
from state.schema import Kind
from state.texts import joined, texts_of

_TYPES = 256
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ColumnField:
    """A column, what kind of field it is, which types have it in which slot, and the members of a set, by word."""

    name: str
    kind: Kind
    codes: NDArray[np.int64]
    slots: NDArray[np.int64]
    words: tuple[tuple[str, ...], ...]


class Rows(NamedTuple):
    """The rows of a table by type; see `kernel.sort_rows`."""

    rows: NDArray[np.int32]
    ends: NDArray[np.int64]


class ColumnDecoder:
    """Decodes the tables of one source under one schema; the scanner lends its context and its set of texts."""

    def __init__(self, plan: Plan, judge: Judge, scanner: Scanner) -> None:
        self._plan = plan
        self._judge = judge
        self._scanner = scanner
        kinds = plan.types.values()
        self._wires = np.array([hash_text(wire.encode()) for wire in plan.types], np.int64)
        self._codes = np.array([kind.code for kind in kinds], np.int64)
        inputs = {name for template in plan.derived.values() for name in template.names}
        heads = {name for name in plan.heads if name} | inputs
        self._names = {kind.code: frozenset(heads.union(kind.slots)) for kind in kinds}
        """Names of the columns that are read for a type."""
        self._fields = _fields_of(plan)
        self._required = np.zeros(_TYPES, np.int64)
        for kind in kinds:
            fields = plan.schema.types[kind.code].fields
            self._required[kind.code] = sum(1 << slot for slot, one in enumerate(fields) if one.required)

    def decode(self, chunk: Chunk, table: Table, at_ms_max: int) -> Decoded:
        """Decode every row; an event later than `at_ms_max` is a dead letter."""
        batch = empty(self._plan.schema, table.rows)
        forms = Forms(self._plan, table, self._scanner.context)
        self._scanner.texts.begin()
        sure = np.ones(table.rows, np.bool_)
        self._read_heads(batch, forms, at_ms_max, sure)
        self._read_types(batch, forms, sure)
        rows = Rows(np.empty(table.rows, np.int32), np.zeros(_TYPES + 1, np.int64))
        sort_rows(batch.type, rows.rows, rows.ends)
        for field in self._fields:
            if forms.has(field.name):
                self._read_field(batch, forms, field, rows, sure)
        check_required(batch.type, self._required, batch.present, sure)
        self._check_lengths(batch, forms, sure)
        batch.texts = self._scanner.texts.end()
        places = np.arange(table.rows, dtype=np.int64) + chunk.start
        if sure.all():
            return Decoded(batch, places, [], table.rows, 0)
        return self._judge_rest(chunk, table, batch, sure, places, at_ms_max)

    def row(self, chunk: Chunk, table: Table, place: int) -> tuple[bytes, int]:
        """Return a row as a JSON object, and its number in the file; `place` is the position of the row there."""
        return json_of(pairs_of(table, place - chunk.start)), chunk.line + place - chunk.start

    def _read_heads(self, batch: Batch, forms: Forms, at_ms_max: int, sure: Bools) -> None:
        """Write subscriber, time and id of every row; `sure` loses the rows that lack one, or have an odd one."""
        _, subscriber, time, id_ = self._plan.heads
        who, when = forms.subscriber(subscriber), forms.cells(time, at.TIME)
        batch.subscriber[:] = who.cells
        batch.at_ms[:] = when.cells
        sure &= _there(who) & _there(when) & (when.cells >= AT_MS_MIN) & (when.cells <= at_ms_max)
        if id_ and forms.has(id_):
            own = forms.hashes(id_)
            if (own.has == UNSURE).any():
                sure &= (own.has != UNSURE) | ~is_valid_rows(own.bits.data, own.bits.first, batch.n)
            batch.id[:] = own.cells
            batch.id[own.cells == _NO_TEXT] = 0

    def _read_types(self, batch: Batch, forms: Forms, sure: Bools) -> None:
        """Write the type of every row; one that is not sure has none yet."""
        if self._plan.only is not None:
            batch.type[:] = self._plan.only.code
        else:
            hashes = forms.hashes(self._plan.heads[0])
            read_types(hashes.cells, hashes.has, self._wires, self._codes, batch.type, sure)
        if not sure.all():
            batch.type[~sure] = NO_TYPE

    def _read_field(self, batch: Batch, forms: Forms, field: ColumnField, rows: Rows, sure: Bools) -> None:
        """Write a column into the rows of every type that has it."""
        texts = forms.texts(field.name) if field.kind == Kind.STRING else None
        if texts is not None and not texts.is_shared:
            self._read_strings(batch, texts, field, rows, sure)
            return
        if texts is not None:
            self._write_shared(batch, texts, field, rows, sure)
            return
        if field.kind == Kind.SET:
            read = forms.sets(field.name, field.words)
        else:
            read = [forms.cells(field.name, ACTIONS.get(field.kind, at.STRING))]
        for word, form in enumerate(read):
            write_cells(
                form.cells, form.has, form.bits.data, form.bits.first, rows.rows, rows.ends, field.codes,
                field.slots + word, batch.cells, batch.present, sure,
            )  # fmt: skip

    def _read_strings(self, batch: Batch, texts: Texts, field: ColumnField, rows: Rows, sure: Bools) -> None:
        done = 0
        while done >= 0:
            self._scanner.texts.make_room()
            done = read_strings(
                self._scanner.context, texts.data, texts.high, texts.starts, texts.places, texts.bits.data,
                texts.bits.first, rows.rows, rows.ends, field.codes, field.slots, batch.cells, batch.present, sure,
                done,
            )  # fmt: skip
            self._scanner.texts.take()

    def _write_shared(self, batch: Batch, texts: Texts, field: ColumnField, rows: Rows, sure: Bools) -> None:
        """Write a column whose rows share few texts: each text is looked at once."""
        count = texts.starts.shape[0] - 1
        hashes, has = np.zeros(count, np.int64), np.zeros(count, np.uint8)
        text = 0
        while text < count:
            self._scanner.texts.make_room()
            text = read_dictionary(self._scanner.context, texts.data, texts.high, texts.starts, hashes, has, text)
            self._scanner.texts.take()
        write_shared(
            hashes, has, texts.places, texts.bits.data, texts.bits.first, rows.rows, rows.ends, field.codes,
            field.slots, batch.cells, batch.present, sure,
        )  # fmt: skip

    def _check_lengths(self, batch: Batch, forms: Forms, sure: Bools) -> None:
        """Have every row whose texts may be too long judged by the strict path."""
        for code, names in self._names.items():
            fits = forms.fits(names, self._plan.mapping.line_bytes_max)
            if fits is not None:
                sure &= fits | (batch.type != code)

    def _judge_rest(
        self, chunk: Chunk, table: Table, batch: Batch, sure: Bools, places: NDArray[np.int64], at_ms_max: int
    ) -> Decoded:
        """Give the strict path the rows that are not sure, and take out those that are no events."""
        strings: dict[int, bytes] = {}
        dead: list[DeadLetter] = []
        doubtful = np.flatnonzero(~sure).tolist()
        for row in doubtful:
            pairs = pairs_of(table, row)
            try:
                event = self._event(table, row, pairs, at_ms_max)
            except RefusedError as fault:
                dead.append(dead_letter(chunk, fault, json_of(pairs), row, chunk.line + row))
                continue
            put(batch, row, event)
            strings |= event.strings
            sure[row] = True
        batch.texts = joined([batch.texts, texts_of(strings.items())])
        rows = np.flatnonzero(sure).astype(np.int32)
        kept = batch if len(rows) == batch.n else select(batch, rows)
        return Decoded(kept, places[rows], dead, table.rows, len(doubtful))

    def _event(self, table: Table, row: int, pairs: list[tuple[str, object]], at_ms_max: int) -> Event:
        event = self._judge.judge_values(pairs, at_ms_max)
        length, limit = text_bytes(table, row, self._names[event.code]), self._plan.mapping.line_bytes_max
        if length > limit:
            raise RefusedError(Code.LINE_TOO_LONG, "", f"{length} bytes", f"texts of a row must be <= {limit} bytes")
        return event


def _fields_of(plan: Plan) -> list[ColumnField]:
    """Return the columns that are fields, each once where the types agree on what it is."""
    found: dict[tuple[str, Kind, tuple[tuple[str, ...], ...]], list[tuple[int, int]]] = {}
    for kind in {kind.code: kind for kind in plan.types.values()}.values():
        described = plan.schema.types[kind.code]
        for name, slot in kind.slots.items():
            words = tuple(described.fields[word].members for word in described.words(slot))
            found.setdefault((name, described.fields[slot].kind, words), []).append((kind.code, slot))
    return [
        ColumnField(
            name,
            field,
            np.array([code for code, _ in places], np.int64),
            np.array([slot for _, slot in places], np.int64),
            words,
        )
        for (name, field, words), places in found.items()
    ]


def _there(form: Form) -> Bools:
    """Return which rows have a value that is sure."""
    there = is_valid_rows(form.bits.data, form.bits.first, form.cells.shape[0])
    return there & (form.has == YES) if form.has.shape[0] else there


_NO_TEXT = hash_text(b"")
"""The hash of "", which is no id."""
