"""The columns of a table as cells: whole columns at once, each read once, whatever types of event have it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from connectors.sources.columns.kernel import UNSURE, YES, is_valid_rows, read_hashes, read_subscribers, read_texts
from connectors.sources.columns.made import made_column
from connectors.sources.columns.rows import UNITS_A_SECOND
from connectors.sources.columns.table import (
    NO_BITS,
    Bits,
    Table,
    Texts,
    bits_of,
    freeze,
    is_list_of_texts,
    is_text,
    lengths_of,
    numbers_of,
    texts_of,
    words_of,
)
from connectors.sources.mapping import Plan, offset_ms
from connectors.sources.scan import layout as at
from connectors.sources.zones import offset_table
from state.schema import Kind

_YEAR_1_S, _YEAR_10000_S = -62_135_596_800, 253_402_300_800
"""Between them a moment has a date; nanoseconds in 64 bits always have one."""
_EXACT_MAX = 10**15
_SCALE_MAX = 22
ACTIONS = {Kind.INT: at.INT, Kind.FLOAT: at.FLOAT, Kind.BOOL: at.BOOL, Kind.TIME: at.TIME}
Int64s = NDArray[np.int64]
Bytes = NDArray[np.uint8]
_ALL = Bits(NO_BITS, 0)
_SURE = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Form:
    """Cells of a column, int64[rows]: those of the rows that `bits` name, and that `has` says are there (NO, YES, or
    UNSURE for one that the strict path must judge). `has` uint8[rows], empty where all are there and sure."""

    cells: Int64s
    has: Bytes = field(default_factory=lambda: _SURE)
    bits: Bits = _ALL

    def __post_init__(self) -> None:
        freeze(self.cells, self.has)


class Forms:
    """The columns of one table, read as they are asked for; `context` is the address of a scanner's context."""

    def __init__(self, plan: Plan, table: Table, context: int) -> None:
        self._mapping = plan.mapping
        self._table = table
        self._context = context
        self._rows = table.rows
        self._derived = plan.derived
        columns = dict(zip(map(str, table.batch.schema.names), table.batch.columns, strict=True))
        words = self._mapping.null_words
        made = {name: made_column(template, columns, words) for name, template in plan.derived.items()}
        self._columns: dict[str, Any] = columns | made
        self._texts: dict[str, Texts | None] = {}
        self._known: dict[tuple[str, int], Form] = {}

    def has(self, name: str) -> bool:
        """Return whether there is a column of that name, read or not."""
        return name in self._columns or name in self._table.unread

    def texts(self, name: str) -> Texts | None:
        """Return a column's texts; None where it holds none."""
        if name not in self._texts:
            column = self._columns.get(name)
            self._texts[name] = None if column is None else texts_of(column)
        return self._texts[name]

    def fits(self, names: Collection[str], bytes_max: int) -> NDArray[np.bool_] | None:
        """Return which rows have at most so many bytes of texts in the columns; None where all do."""
        read = [name for name in names if self._columns.get(name) is not None and name not in self._derived]
        read = [name for name in read if is_text(self._columns[name].type)]
        if sum(texts.longest_bytes for name in read if (texts := self.texts(name)) is not None) <= bytes_max:
            return None
        return sum((lengths_of(self._columns[name]) for name in read), np.zeros(self._rows, np.int64)) <= bytes_max

    def subscriber(self, name: str) -> Form:
        """Return a column as subscribers."""
        column = self._columns.get(name)
        if column is None or not pt.is_integer(column.type):
            return self.cells(name, at.A_SUBSCRIBER)
        cells, has = np.zeros(self._rows, np.int64), np.zeros(self._rows, np.uint8)
        bits = bits_of(column)
        read_subscribers(self._context, _whole(column).cells, bits.data, bits.first, cells, has)
        return Form(cells, has)

    def hashes(self, name: str) -> Form:
        """Return the hash of every row's text, or of its whole number as it is written."""
        column = self._columns.get(name)
        if column is not None and pt.is_integer(column.type):
            texts = texts_of(column.cast(pa.string()))
        else:
            texts = self.texts(name)
        if texts is None:
            return self._unsure(name)
        cells, has = np.zeros(self._rows, np.int64), np.zeros(self._rows, np.uint8)
        read_hashes(
            self._context, texts.data, texts.high, texts.starts, texts.places, texts.bits.data, texts.bits.first,
            cells, has,
        )  # fmt: skip
        return Form(cells, has)

    def cells(self, name: str, action: int) -> Form:
        """Return a column as numbers, bools, times or subscribers."""
        form = self._known.get((name, action))
        if form is None:
            form = self._known[name, action] = self._read(name, action)
        return form

    def sets(self, name: str, words: Sequence[Sequence[str]]) -> list[Form]:
        """Return lists of texts as the bits of the members that the book declares, a form a word."""
        column = self._columns.get(name)
        if column is None or not is_list_of_texts(column.type):
            return [self._unsure(name) for _ in words]
        bounds = np.asarray(column.offsets.to_numpy(), np.int64)
        values = column.values.slice(int(bounds[0]), int(bounds[-1] - bounds[0]))
        bounds = bounds - bounds[0]
        try:
            texts = pc.dictionary_encode(values.cast(pa.string()))
        except pa.ArrowInvalid:  # bytes that are no letters
            return [self._unsure(name) for _ in words]
        known = texts.dictionary.to_pylist()
        places = pc.fill_null(texts.indices, len(known)).to_numpy()
        has = np.where(_any_of((places == len(known)).astype(np.int64), bounds) != 0, UNSURE, YES).astype(np.uint8)
        forms = []
        for members in words:
            bit = {member: 1 << number for number, member in enumerate(members)}
            bits = np.array([*(bit.get(text, 0) for text in known), 0], np.int64)[places]
            forms.append(Form(_any_of(bits, bounds), has, bits_of(column)))
        return forms

    def _unsure(self, name: str) -> Form:
        """Return a column whose every value the strict path must judge."""
        column = self._columns.get(name)
        has = np.full(self._rows, UNSURE if self.has(name) else 0, np.uint8)
        return Form(np.zeros(self._rows, np.int64), has, _ALL if column is None else bits_of(column))

    def _read(self, name: str, action: int) -> Form:
        column = self._columns.get(name)
        if column is None:
            return self._unsure(name)
        type_: Any = column.type
        iso = self._mapping.time_format == "iso8601"
        form: Form | None = None
        if is_text(type_) or pt.is_date32(type_) or pt.is_time(type_):
            return self._read_texts(name, action)
        if action == at.BOOL and pt.is_boolean(type_):
            form = _bools(column)
        elif action == at.INT and (pt.is_integer(type_) or (pt.is_decimal128(type_) and type_.scale == 0)):
            form = _whole(column)
        elif action == at.FLOAT and (pt.is_integer(type_) or pt.is_floating(type_) or pt.is_decimal128(type_)):
            form = _float(column)
        elif action == at.TIME and iso and pt.is_timestamp(type_):
            form = self._timestamps(column)
        elif action == at.TIME and not iso and pt.is_integer(type_):
            form = self._epochs(column)
        return form or self._unsure(name)

    def _read_texts(self, name: str, action: int) -> Form:
        numbers = self._mapping.numbers_in_quotes and action != at.TIME
        allowed = action in (at.TIME, at.A_SUBSCRIBER) or numbers or name in self._derived
        texts = self.texts(name)
        if texts is None or not allowed:
            return self._unsure(name)
        cells, has = np.zeros(self._rows, np.int64), np.zeros(self._rows, np.uint8)
        read_texts(
            self._context, action, texts.data, texts.starts, texts.places, texts.bits.data, texts.bits.first,
            cells, has,
        )  # fmt: skip
        return Form(cells, has)

    def _timestamps(self, column: Any) -> Form | None:
        type_, mapping = column.type, self._mapping
        values, units = numbers_of(column), UNITS_A_SECOND[column.type.unit]
        has = _SURE
        first_s, last_s = _YEAR_1_S * units, _YEAR_10000_S * units
        if units < 10**9 and not (first_s <= values.min(initial=0) and values.max(initial=0) < last_s):
            has = np.where((values >= first_s) & (values < last_s), YES, UNSURE)
        per_ms = units // 1000
        ms = values if per_ms == 1 else values // per_ms if per_ms else values * 1000
        if type_.tz is None and mapping.time_zone:
            table = offset_table(mapping.time_zone)
            ms = ms - table[np.searchsorted(table[:, 0], ms, side="right") - 1, 1]
        elif type_.tz is None and mapping.time_offset:
            ms = ms - offset_ms(mapping.time_offset)
        elif type_.tz is None:
            return None
        return Form(ms, has.astype(np.uint8), bits_of(column))

    def _epochs(self, column: Any) -> Form | None:
        if not self._mapping.time_format.startswith("epoch"):
            return None
        whole = _whole(column)
        good = (whole.cells > -_EXACT_MAX) & (whole.cells < _EXACT_MAX)
        good &= (whole.has == YES) if whole.has.shape[0] else True
        scale = 1 if self._mapping.time_format == "epoch_ms" else 1000
        return Form(np.where(good, whole.cells, 0) * scale, np.where(good, YES, UNSURE).astype(np.uint8), whole.bits)


def _any_of(bits: Int64s, bounds: Int64s) -> Int64s:
    """Return the bits of every list together; list i has those from `bounds[i]` to `bounds[i + 1]`."""
    out = np.zeros(bounds.shape[0] - 1, np.int64)
    some = np.flatnonzero(np.diff(bounds) > 0)
    if some.shape[0]:
        pairs = np.stack([bounds[:-1][some], bounds[1:][some]], axis=1).ravel()
        out[some] = np.bitwise_or.reduceat(np.append(bits, 0), pairs)[::2]
    return out


def _bools(column: Any) -> Form:
    packed = column.buffers()[1]
    if packed is None:
        return Form(np.zeros(len(column), np.int64), _SURE, bits_of(column))
    values = is_valid_rows(np.frombuffer(packed, np.uint8), column.offset, len(column))
    return Form(values.astype(np.int64), _SURE, bits_of(column))


def _whole(column: Any) -> Form:
    """Return whole numbers; those beyond 64 bits are not sure."""
    if pt.is_decimal128(column.type):
        values, good = _unscaled(column)
        return Form(values, np.where(good, YES, UNSURE).astype(np.uint8), bits_of(column))
    values = numbers_of(column)
    has = _SURE
    if values.dtype == np.uint64:
        has = np.where(values < np.uint64(1 << 63), YES, UNSURE).astype(np.uint8)
    return Form(values.astype(np.int64), has, bits_of(column))


def _float(column: Any) -> Form:
    """Return numbers as the bits of floats; one without end is not sure."""
    if pt.is_decimal128(column.type):
        whole, good = _unscaled(column)
        scale = column.type.scale
        good = good & (whole > -_EXACT_MAX) & (whole < _EXACT_MAX) & (0 <= scale <= _SCALE_MAX)
        numbers = whole.astype(np.float64) / 10.0 ** min(max(scale, 0), _SCALE_MAX)
    else:
        numbers = numbers_of(column).astype(np.float64)
        good = np.isfinite(numbers)
    has = _SURE if good.all() else np.where(good, YES, UNSURE).astype(np.uint8)
    return Form(np.ascontiguousarray(numbers).view(np.int64), has, bits_of(column))


def _unscaled(column: Any) -> tuple[Int64s, NDArray[np.bool_]]:
    """Return the digits of decimals as whole numbers; sure where they fit 64 bits."""
    # The offset counts decimals, of two words each.
    found = words_of(column, 1, "V16", len(column)).view(np.int64)
    words = found.reshape(-1, 2)
    good = words[:, 1] == words[:, 0] >> 63
    return np.where(good, words[:, 0], 0), good
