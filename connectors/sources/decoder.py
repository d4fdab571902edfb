"""From the bytes of a chunk to columns: the fast scanner first, the strict path for what it leaves.

    decoder = Decoder(mapping, schema)
    decoded = decoder.decode(chunk, at_ms_max)

A decoder belongs to one thread. It is made anew when a book with another schema becomes active; that costs a few
milliseconds. A line that is an event by the strict path is one whatever the scanner thinks of it, and the other way
round: the scanner only saves time.
"""

from typing import TYPE_CHECKING

import numpy as np

from connectors.sources.contract import Bytes, Chunk, Decoded, padded
from connectors.sources.dead_letter import DeadLetter
from connectors.sources.encodings import is_plain, line_starts, plain
from connectors.sources.mapping import Mapping, Plan, compile_mapping
from connectors.sources.objects import RefusedError
from connectors.sources.scan.scanner import Scanned, Scanner
from connectors.sources.strict import Judge, columns_of, dead_letter, is_blank, put
from state.batch import select
from state.numbers import NO_PLAN, NumberPlan
from state.raw import PADDING
from state.schema import Schema
from state.texts import joined, texts_of

if TYPE_CHECKING:
    from connectors.sources.columns.decoder import ColumnDecoder

DAY_MS = 86_400_000
_LINE_END = 10


class Decoder:
    """Decodes the chunks of one source under one schema and number plan. Not to be shared by threads."""

    def __init__(self, mapping: Mapping, schema: Schema, numbers: NumberPlan = NO_PLAN) -> None:
        self.plan = compile_mapping(mapping, schema, numbers)
        self._judge = Judge(self.plan)
        self._scanner = Scanner(self.plan)
        self._columns = _column_decoder(self.plan, self._judge, self._scanner) if mapping.is_of_columns else None

    def decode(self, chunk: Chunk, at_ms_max: int) -> Decoded:
        """Decode every line or row; an event later than `at_ms_max` (receive time + `DAY_MS`) is a dead letter."""
        if chunk.table is not None and self._columns is not None:
            return self._columns.decode(chunk, chunk.table, at_ms_max)
        data = _stopped(chunk)
        scanned = self._scan(chunk, data, at_ms_max)
        if scanned.refused == 0:
            offsets = scanned.offsets[: scanned.batch.n]
            return Decoded(scanned.batch, offsets + chunk.start if chunk.start else offsets, [], scanned.batch.n, 0)
        return self._judge_rest(chunk, data, scanned, at_ms_max)

    def line_at(self, chunk: Chunk, place: int) -> tuple[bytes, int]:
        """Return the line, or the row as a JSON object, at a position of the chunk's source, and its number."""
        if chunk.table is not None and self._columns is not None:
            return self._columns.row(chunk, chunk.table, place)
        start = place - chunk.start
        after = np.flatnonzero(chunk.data[start : chunk.length] == _LINE_END)[:1]
        end = start + int(after[0]) if after.shape[0] else chunk.length
        line = chunk.line + int(np.count_nonzero(chunk.data[:start] == _LINE_END))
        return chunk.data[start:end].tobytes().rstrip(b"\r"), line

    def _scan(self, chunk: Chunk, data: Bytes, at_ms_max: int) -> Scanned:
        columns, mapping = columns_of(self.plan, chunk), self.plan.mapping
        if is_plain(mapping):
            return self._scanner.scan(data, chunk.length, at_ms_max, columns)
        starts = line_starts(chunk)
        readable = plain(chunk, starts, mapping)
        scanned = self._scanner.scan(_stopped(readable), readable.length, at_ms_max, columns)
        scanned.offsets = starts
        return scanned

    def _judge_rest(self, chunk: Chunk, data: Bytes, scanned: Scanned, at_ms_max: int) -> Decoded:
        """Give the strict path the lines that the scanner left, and take out the rows that are no events."""
        columns = columns_of(self.plan, chunk)
        strings: dict[int, bytes] = {}
        dead: list[DeadLetter] = []
        blank = 0
        ok = scanned.ok
        for row in np.flatnonzero(ok == 0).tolist():
            start, after = int(scanned.offsets[row]), int(scanned.offsets[row + 1])
            raw = data[start : after - 1].tobytes().removesuffix(b"\r")
            if is_blank(raw):
                blank += 1
                continue
            try:
                event = self._judge.judge(raw, at_ms_max, columns)
            except RefusedError as fault:
                dead.append(dead_letter(chunk, fault, raw, start, chunk.line + row))
                continue
            put(scanned.batch, row, event)
            strings |= event.strings
            ok[row] = 1
        scanned.batch.texts = joined([scanned.batch.texts, texts_of(strings.items())])
        rows = np.flatnonzero(ok).astype(np.int32)
        whole = len(rows) == scanned.batch.n
        batch = scanned.batch if whole else select(scanned.batch, rows)
        return Decoded(batch, scanned.offsets[rows] + chunk.start, dead, len(rows) + len(dead), scanned.refused - blank)


def _column_decoder(plan: Plan, judge: Judge, scanner: Scanner) -> "ColumnDecoder":
    from connectors.sources.columns.decoder import ColumnDecoder  # noqa: PLC0415 Arrow takes a while to import

    return ColumnDecoder(plan, judge, scanner)


def _stopped(chunk: Chunk) -> Bytes:
    """Return the chunk's bytes with a line end after the last line, and `PADDING` bytes after them."""
    data, length = chunk.data, chunk.length
    if len(data) < length + PADDING:
        data = padded(data[:length].data)
    if length == 0 or data[length - 1] == _LINE_END or data[length] == _LINE_END:
        return data
    if not data.flags.writeable:
        data = padded(data[:length].data)
    data[length] = _LINE_END
    return data
