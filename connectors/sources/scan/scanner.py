"""The scanner's memory and its calls: what stands between the kernels and `decoder`.

A scanner keeps tables, guesses and the set of a chunk's texts, all its own: one scanner a thread.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors.sources.contract import Bytes
from connectors.sources.encodings import one_sign
from connectors.sources.mapping import Mapping, Plan, offset_ms
from connectors.sources.scan import layout as at
from connectors.sources.scan.chunk_texts import ChunkTexts
from connectors.sources.scan.delimited import scan_delimited
from connectors.sources.scan.kernel import aim, scan_json
from connectors.sources.scan.maps import map_bytes, map_delimiters
from connectors.sources.scan.national import national_table
from connectors.sources.scan.patterns import pattern_words
from connectors.sources.scan.tables import KEYS_MAX, Tables
from connectors.sources.scan.values import QUOTE
from connectors.sources.strict import AT_MS_MIN
from connectors.sources.zones import offset_table
from state.batch import Batch
from state.hashing import hash_text
from state.texts import Texts

_MISSES_SHARE = 32
_LINE_END = 10
_NO_TEXT = 0x0A0A0A0A0A0A0A0A  # eight line ends never stand in a line
_FORMATS = {"iso8601": at.ISO8601, "compact": at.COMPACT, "epoch_ms": at.EPOCH_MS, "epoch_s": at.EPOCH_S}


@dataclass(slots=True)
class Scanned:
    """Every line of a chunk as a row: `ok[row]` is 0 where the strict path must judge; `offsets` are within the
    chunk."""

    batch: Batch
    offsets: NDArray[np.int64]
    ok: NDArray[np.uint8]
    refused: int


class Scanner:
    """Scans the chunks of one source under one schema."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._learned: dict[str, set[str]] = {}
        self._strange = np.zeros((at.STRANGE_MAX, 3), np.int64)
        self._special = np.zeros(0, np.int64)
        self._high = np.zeros(0, np.int64)
        # The context holds raw addresses of the arrays above and of the tables: each stays an attribute for as long as
        # its address stands there, and code that replaces one writes the new address at once.
        self._context = np.zeros(at.CONTEXT_WORDS, np.int64)
        self._address = self._context.ctypes.data
        self.texts = ChunkTexts(self._context)
        """The texts of the chunk that is being scanned."""
        self._tables = Tables(plan, {})
        self._columns: tuple[str, ...] = ()
        self._pieces = np.zeros(2 * self._tables.inputs + 2, np.int64)
        self._arena = np.zeros(at.ARENA_BYTES if plan.derived else 0, np.uint8)
        delimited = plan.mapping.format == "delimited"
        self._delimiter = ord(one_sign(plan.mapping.delimiter)) if delimited else 0
        self._quote = QUOTE if plan.mapping.quotes else self._delimiter
        self._national_digits, self._national = national_table(plan.numbers)
        self._pattern = pattern_words(plan.mapping.time_format)
        self._zone = offset_table(plan.mapping.time_zone) if plan.mapping.time_zone else np.zeros((0, 2), np.int64)
        words = plan.mapping.null_words
        self._null_words = np.array([len(words), *(hash_text(word.encode()) for word in words)], np.int64)
        self._prepare()

    @property
    def context(self) -> int:
        """Address of the context, with the mapping's formats; it holds as long as the scanner lives."""
        return self._address

    def scan(self, data: Bytes, length: int, at_ms_max: int, columns: tuple[str, ...] = ()) -> Scanned:
        """Scan `data[:length]`, after which a line end must stand where the last line lacks its own.

        `columns` are the names of the columns of delimited lines.
        """
        if columns != self._columns:
            self._take_columns(columns)
        base = data.ctypes.data
        ended = length == 0 or data[length - 1] == _LINE_END
        rows = self._map(base, length if ended else length + 1)
        words = np.empty(5 * rows + 1, np.int64)
        cells = np.zeros(self._plan.schema.width * rows, np.int64)
        flags = np.empty(2 * rows, np.uint8)
        aim(self._context, words, cells, flags, base, length, rows, at_ms_max)
        texts = self._run(data, base, rows)
        subscriber, at_ms, id_, present = (words[n * rows : (n + 1) * rows] for n in range(4))
        table = cells.reshape(self._plan.schema.width, rows)
        batch = Batch(self._plan.schema, subscriber, at_ms, flags[:rows], id_, present, table, texts)
        offsets = words[4 * rows :]
        offsets[rows] = length if ended else length + 1
        return Scanned(batch, offsets, flags[rows:], self._word(at.REFUSED))

    def _take_columns(self, columns: tuple[str, ...]) -> None:
        """Read other columns from now on. Where a name stands twice, or none is the date's, the strict path must."""
        self._columns = columns
        self._tables = Tables(self._plan, {}, columns)
        self._pieces = np.zeros(2 * len(columns) + 2, np.int64)
        self._prepare()
        named = [name for name in columns if name]
        date = self._plan.mapping.date_field
        self._set(at.DATE_COLUMN, columns.index(date) if date and date in columns else -1)
        derived = self._plan.derived.keys() & set(named)
        certain = len(set(named)) == len(named) and (not date or date in columns) and not derived
        self._set(at.COLUMNS, len(columns) if certain else -1)

    def _map(self, base: int, length: int) -> int:
        """Map the bytes of a chunk, whose last one is a line end; return the number of line ends."""
        words = (length + 63) // 64
        if len(self._special) < words + 2:
            self._special = np.zeros(2 * words + 2, np.int64)
            self._high = np.zeros(2 * words + 2, np.int64)
            self._set(at.SPECIAL, self._special.ctypes.data)
            self._set(at.HIGH, self._high.ctypes.data)
        maps = self._word(at.SPECIAL), self._word(at.HIGH)
        if self._delimiter:
            lines, any_high = map_delimiters(base, length, self._delimiter, self._quote, *maps)
        else:
            lines, any_high = map_bytes(base, length, *maps)
        self._set(at.ANY_HIGH, any_high)
        return lines

    def _run(self, data: Bytes, base: int, rows: int) -> Texts:
        """Scan to the end; return the chunk's texts. `data` must stay alive: those reported point into it."""
        arenas = self._begin_arena([])
        self.texts.begin()
        done = -1
        while done < rows:
            self.texts.make_room()
            if self._word(at.ARENA_AT) > self._word(at.ARENA_STOP):
                arenas = self._begin_arena(arenas)
            done = scan_delimited(self._address) if self._delimiter else scan_json(self._address)
            self.texts.take()
        if self._word(at.MISSES) * _MISSES_SHARE > rows and self._word(at.STRANGE_COUNT):
            self._learn(data, base)
        texts = self.texts.end()
        del arenas  # only now: texts were copied from them
        return texts

    def _begin_arena(self, used: list[Bytes]) -> list[Bytes]:
        """Have room for derived fields; what was made in this chunk before stays in `used`, which is returned."""
        if not self._plan.derived:
            return used
        if used:
            self._arena = np.zeros(at.ARENA_BYTES, np.uint8)
        base = self._arena.ctypes.data
        self._set(at.ARENA_AT, base)
        self._set(at.ARENA_STOP, base + at.ARENA_BYTES // 2)
        self._set(at.ARENA_END, base + at.ARENA_BYTES)
        return [*used, self._arena]

    def _learn(self, data: Bytes, base: int) -> None:
        """Add keys that the feed sends and the book does not know, so that they are guessed too."""
        before = sum(map(len, self._learned.values()))
        for state, address, length in self._strange[: self._word(at.STRANGE_COUNT)].tolist():
            names = self._learned.setdefault(self._tables.names.get(state, ""), set())
            if len(names) < KEYS_MAX:
                names.add(data[address - base : address - base + length].tobytes().decode())
        if sum(map(len, self._learned.values())) > before:
            self._tables = Tables(self._plan, self._learned, self._columns)
            self._prepare()

    def _prepare(self) -> None:
        """Write what stays the same from call to call."""
        mapping = self._plan.mapping
        heads = at.HEAD_SUBSCRIBER | at.HEAD_TIME | (0 if mapping.type else at.HEAD_TYPE)
        for place, value in (
            (at.START_STATE, self._tables.start),
            (at.TYPES, self._tables.types),
            (at.TYPES_MASK, self._tables.types_mask),
            (at.LINE_BYTES_MAX, mapping.line_bytes_max),
            (at.AT_MS_MIN, AT_MS_MIN),
            (at.TIME_FORMAT, _FORMATS.get(mapping.time_format, at.PATTERN_FORMAT)),
            (at.NUMBERS_IN_QUOTES, int(mapping.numbers_in_quotes)),
            (at.DATE_COLUMN, -1),
            (at.DATE_GAP, ord(mapping.date_gap or "\0")),
            (at.PATTERN, self._pattern.ctypes.data),
            (at.PATTERN_STEPS, len(self._pattern)),
            (at.HAS_OFFSET, _has_offset(mapping)),
            (at.ZONE_TABLE, self._zone.ctypes.data),
            (at.ZONE_ROWS, len(self._zone)),
            (at.OFFSET_FROM, 0),
            (at.OFFSET_TO, 0),
            (at.OFFSET_MS, offset_ms(mapping.time_offset) if mapping.time_offset else 0),
            (at.STRANGE, self._strange.ctypes.data),
            (at.PIECES, self._pieces.ctypes.data),
            (at.INPUTS, 0 if self._delimiter else self._tables.inputs),
            (at.HEADS_NEEDED, heads),
            (at.DELIMITER, self._delimiter),
            (at.SET_DELIMITER, ord(mapping.set_delimiter) if mapping.set_delimiter.isascii() else 0),
            (at.TYPE_COLUMN, self._tables.type_column),
            (at.NATIONAL_DIGITS, self._national_digits),
            (at.NATIONAL, self._national.ctypes.data),
            (at.NULL_WORDS, self._null_words.ctypes.data if mapping.null_words else 0),
            (at.DATE_A, _NO_TEXT),
            (at.DATE_B, -1),
            (at.ZONE, -1),
        ):
            self._context[place // 8] = value

    def _word(self, place: int) -> int:
        return int(self._context[place // 8])

    def _set(self, place: int, value: int) -> None:
        self._context[place // 8] = value


def _has_offset(mapping: Mapping) -> int:
    if mapping.time_zone:
        return at.ZONE_OFFSET
    return at.FIXED_OFFSET if mapping.time_offset else at.NO_OFFSET
