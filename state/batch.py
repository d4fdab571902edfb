"""A batch of events as columns: the form they have from decode to decision.

`cells[slot]` holds the values of the field in that slot of each row's own event type; `present` says per row which
slots are known. Rows stand in log order. Nothing here parses or judges a value: see `connectors.sources`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from state.hashing import hash_text
from state.jit import kernel, routine
from state.raw import address_i32, address_i64, address_u8, load_i32, load_i64, load_u8, store_i64, store_u8
from state.schema import Field, Kind, Schema
from state.sets import cells_of, set_of
from state.texts import NO_TEXTS, Texts, joined, texts_of

Int64s = NDArray[np.int64]
NO_CAUSE = np.zeros((4, 0), np.int64)
Value = int | float | bool | str | Sequence[str]


@dataclass(slots=True)
class Batch:
    """Columns of n events.

    `subscriber`, `at_ms`, `id` (0: none), `present` int64[n]; `type` uint8[n]; `cells` int64[schema.width, n];
    `texts` has what the hashes of STRING cells stand for, and maybe more. `at_ms` is what the event says of itself.
    `log_ms` int64[n] is the log's time of each row, which never goes back; 0 before the log has given it. `cause`
    int64[4, n] is the decision from which the engine derived a row: its partition, position, row and rule, rule 0 for
    none; int64[4, 0] where no row has one.
    """

    schema: Schema
    subscriber: Int64s
    at_ms: Int64s
    type: NDArray[np.uint8]
    id: Int64s
    present: Int64s
    cells: Int64s
    texts: Texts = NO_TEXTS
    log_ms: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    cause: Int64s = field(default_factory=lambda: NO_CAUSE)

    def __post_init__(self) -> None:
        if self.log_ms.shape[0] != self.subscriber.shape[0]:
            self.log_ms = np.zeros(self.subscriber.shape[0], np.int64)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.subscriber.shape[0])


@dataclass(frozen=True, slots=True)
class Row:
    """One event in plain Python, for slow paths and tests; absent fields are unknown.

    `cause`: partition, position, row and rule of the decision from which the engine derived it, where it did.
    """

    type: str
    subscriber: int
    at_ms: int
    values: Mapping[str, Value] = field(default_factory=dict)
    id: str = ""
    cause: tuple[int, int, int, int] | None = None


def empty(schema: Schema, n: int = 0) -> Batch:
    """Return a batch of `n` rows, all zero and unknown."""
    return Batch(
        schema,
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.uint8),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros((schema.width, n), np.int64),
    )


def select(batch: Batch, rows: NDArray[np.int32]) -> Batch:
    """Return the rows with the given indices, in the given order; `texts` are kept whole."""
    n = rows.shape[0]
    out = Batch(
        batch.schema,
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.uint8),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty((batch.cells.shape[0], n), np.int64),
        batch.texts,
        np.empty(n, np.int64),
        batch.cause[:, rows] if batch.cause.shape[1] else NO_CAUSE,
    )
    gather(
        rows,
        batch.subscriber, batch.at_ms, batch.type, batch.id, batch.present, batch.cells, batch.log_ms,
        out.subscriber, out.at_ms, out.type, out.id, out.present, out.cells, out.log_ms,
    )  # fmt: skip
    return out


def concat(batches: Sequence[Batch]) -> Batch:
    """Return the rows of all batches, which must share one schema, one after the other."""
    if len(batches) == 1:
        return batches[0]
    schema = batches[0].schema
    assert all(batch.schema is schema or batch.schema == schema for batch in batches)
    return Batch(
        schema,
        np.concatenate([batch.subscriber for batch in batches]),
        np.concatenate([batch.at_ms for batch in batches]),
        np.concatenate([batch.type for batch in batches]),
        np.concatenate([batch.id for batch in batches]),
        np.concatenate([batch.present for batch in batches]),
        np.concatenate([batch.cells for batch in batches], axis=1),
        joined([batch.texts for batch in batches]),
        np.concatenate([batch.log_ms for batch in batches]),
        _causes(batches),
    )


def _causes(batches: Sequence[Batch]) -> Int64s:
    if not any(batch.cause.shape[1] for batch in batches):
        return NO_CAUSE
    parts = [batch.cause if batch.cause.shape[1] else np.zeros((4, batch.n), np.int64) for batch in batches]
    return np.concatenate(parts, axis=1)


def remap(batch: Batch, schema: Schema) -> Batch:
    """Return the batch under another schema: fields move by name, a field whose kind changed becomes unknown.

    Rows of an event type that `schema` lacks are left out. The members of a SET move by name too.
    """
    if batch.schema is schema or batch.schema.fingerprint == schema.fingerprint:
        return replace(batch, schema=schema)
    known = np.array([kind.name in schema.codes for kind in batch.schema.types], dtype=np.bool_)
    source = select(batch, np.flatnonzero(known[batch.type]).astype(np.int32))
    out = empty(schema, source.n)
    out.subscriber, out.at_ms, out.id, out.texts = source.subscriber, source.at_ms, source.id, source.texts
    out.log_ms, out.cause = source.log_ms, source.cause
    for code, kind in enumerate(batch.schema.types):
        if kind.name not in schema.codes:
            continue
        rows = np.flatnonzero(source.type == code)
        target = schema.types[schema.code(kind.name)]
        out.type[rows] = schema.code(kind.name)
        for slot, old in enumerate(kind.fields):
            new_slot = target.slots.get(set_of(old.name))
            if new_slot is None or target.fields[new_slot].kind != old.kind:
                continue
            into = target.words(new_slot)
            values = source.cells[slot, rows]
            for word in into:
                moved = _members_in(target.fields[word], old, values) if old.kind == Kind.SET else values
                out.cells[word, rows] |= moved
                out.present[rows] |= ((source.present[rows] >> slot) & 1) << word
    return out


def from_rows(schema: Schema, rows: Sequence[Row]) -> Batch:
    """Build a batch from plain rows; KeyError names an unknown event type or field."""
    n = len(rows)
    batch = empty(schema, n)
    strings: dict[int, bytes] = {}
    batch.subscriber[:] = [row.subscriber for row in rows]
    batch.at_ms[:] = [row.at_ms for row in rows]
    batch.id[:] = [hash_text(row.id.encode()) if row.id else 0 for row in rows]
    alike: dict[tuple[str, ...], list[int]] = {}
    for index, row in enumerate(rows):
        alike.setdefault((row.type, *row.values), []).append(index)
    for (name, *fields), indices in alike.items():
        code = schema.code(name)
        where = slice(None) if len(indices) == n else indices
        present = 0
        for field_name in fields:
            slot = schema.slot(code, field_name)
            described = schema.types[code].fields[slot]
            values = [rows[index].values[field_name] for index in indices]
            if described.kind == Kind.SET:
                words = schema.types[code].words(slot)
                batch.cells[words.start : words.stop, where] = _words(
                    schema.types[code].fields[slot : words.stop], values
                )
                present |= ((1 << len(words)) - 1) << slot
                continue
            batch.cells[slot, where] = _to_cells(described.kind, values, strings)
            present |= 1 << slot
        batch.type[where] = code
        batch.present[where] = present
    batch.texts = texts_of(strings.items())
    if any(row.cause is not None for row in rows):
        batch.cause = np.array([row.cause or (0, 0, 0, 0) for row in rows], np.int64).T.copy()
    return batch


def _words(words: Sequence[Field], values: Sequence[Value]) -> Int64s:
    """Return the cells of each word of a set, [words, rows]."""
    wholes = [(value,) if isinstance(value, str) else cast("Sequence[str]", value) for value in values]
    return np.array([cells_of(words, one) for one in wholes], np.int64).T


def _to_cells(kind: Kind, values: Sequence[Value], strings: dict[int, bytes]) -> Sequence[int] | Int64s:
    """Return the cells of one field's values; few texts are met again and again, and are hashed once."""
    if kind == Kind.STRING:
        texts = [str(value) for value in values]
        cells = {text: to_cell(kind, text, strings) for text in set(texts)}
        return [cells[text] for text in texts]
    return [to_cell(kind, value, strings) for value in values]


def to_cell(kind: Kind, value: Value, strings: dict[int, bytes]) -> int:
    """Return the 64 bits of a plain value, which is no set; texts met are added to `strings`."""
    if kind == Kind.FLOAT:
        return int(np.float64(cast("float", value)).view(np.int64))
    if kind == Kind.STRING:
        text = str(value).encode()
        hashed = hash_text(text)
        strings[hashed] = text
        return hashed
    return int(cast("int", value))


def _members_in(word: Field, old: Field, values: Int64s) -> Int64s:
    """Return what a word holds of the members that `values` have as bits of another."""
    moved = np.zeros_like(values)
    for bit, name in enumerate(old.members):
        if name in word.members:
            moved |= ((values >> bit) & 1) << word.members.index(name)
    return moved


@kernel
def gather(
    rows: NDArray[np.int32],
    subscriber: Int64s, at_ms: Int64s, type_: NDArray[np.uint8], id_: Int64s, present: Int64s, cells: Int64s,
    log_ms: Int64s,
    to_subscriber: Int64s, to_at_ms: Int64s, to_type: NDArray[np.uint8], to_id: Int64s, to_present: Int64s,
    to_cells: Int64s, to_log_ms: Int64s,
) -> None:  # fmt: skip
    """Copy the named rows of every column, column by column."""
    n = rows.shape[0]
    rows_at = address_i32(rows)
    gather_words(rows_at, n, address_i64(subscriber), address_i64(to_subscriber))
    gather_words(rows_at, n, address_i64(at_ms), address_i64(to_at_ms))
    gather_words(rows_at, n, address_i64(id_), address_i64(to_id))
    gather_words(rows_at, n, address_i64(present), address_i64(to_present))
    gather_words(rows_at, n, address_i64(log_ms), address_i64(to_log_ms))
    from_type, into_type = address_u8(type_), address_u8(to_type)
    for i in range(n):
        store_u8(into_type + i, load_u8(from_type + load_i32(rows_at + 4 * i)))
    for slot in range(cells.shape[0]):
        column = address_i64(cells) + 8 * slot * cells.shape[1]
        gather_words(rows_at, n, column, address_i64(to_cells) + 8 * slot * n)


@routine
def gather_words(rows_at: int, n: int, source: int, target: int) -> None:
    """Copy the words of the rows to `target`, one after the other."""
    for i in range(n):
        store_i64(target + 8 * i, load_i64(source + 8 * load_i32(rows_at + 4 * i)))
