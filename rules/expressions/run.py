"""A compiled program, and what a thread needs to run it: addresses, room to work in, room for the answers.

    program = compile_program(rules, types, transitions)      # once a book, shared
    workspace = Workspace(program, rows_max)                  # once a thread
    count = workspace.run(batch, append_ms, outs, known)
    workspace.rows[:count], workspace.exprs[:count]           # log order; on one row, in the program's order

A program made with `masks=True` is run by `run_masks`, which returns uint8[exprs, rows].

This is the only caller of `rules.expressions.kernel.run`, which reads and writes raw addresses: every array is checked
here for its shape and item size first. Arrays whose addresses are in the call are attributes or arguments, so that they
stay alive while the kernel runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rules.expressions import layout as k
from rules.expressions.kernel import run
from rules.expressions.rows import addresses, sort_hits
from rules.expressions.text_lanes import HELD_WORDS
from state.held_texts import NO_HELD, HeldTexts
from state.texts import Texts

__all__ = ["Columns", "Program", "Workspace"]

Int64s = NDArray[np.int64]

_BATCH = Struct("=11q")
"""The fields of the call that change with every batch: ROW_TYPES to OUT_KNOWN_STRIDE, in that order."""
_BATCH_AT = k.ROW_TYPES * 8


class Columns(Protocol):
    """The part of a batch that conditions read; `state.batch.Batch` is one."""

    at_ms: Int64s
    type: NDArray[np.uint8]
    present: Int64s
    cells: Int64s
    texts: Texts


@dataclass(frozen=True)
class Program:
    """Instructions, columns and constants of many expressions.

    `slots` and `features` say how many rows `cells` and `outs` must have.
    """

    code: Int64s
    code_starts: Int64s
    columns: Int64s
    column_starts: Int64s
    sets: Int64s
    transitions: Int64s
    exprs: int
    types: int
    masks: bool
    bit_registers: int
    value_registers: int
    slots: int
    features: int
    reads_texts: bool = False


class Workspace:
    """One thread's runs of one program, over batches of up to `rows_max` rows.

    `held` are texts that no batch brings, for a program that reads what texts say.

    `rows` and `exprs`, int32, hold the hits of the last `run`, valid up to the number that it returned; `masks`,
    uint8[exprs, rows_max], the answers of the last `run_masks`, of which only the columns of its rows mean anything.
    """

    def __init__(self, program: Program, rows_max: int, held: HeldTexts | None = None) -> None:
        self.program = program
        self.rows_max = rows_max
        self._held = held
        self._texts = np.zeros(HELD_WORDS, np.int64)
        self._kept: tuple[Any, ...] = ()
        self._type_rows = np.zeros(rows_max + 1, np.int32)
        self._sort_starts = np.zeros(rows_max + 1, np.int32)
        self._call = np.zeros(k.CALL_FIELDS, np.int64)
        self._call_bytes = self._call.data.cast("B")
        self._call_address = _address(self._call)
        self._addresses = np.zeros(6, np.int64)
        self._call[k.TEXTS_HELD] = _address(self._texts)
        self._lay_out()
        self.masks = np.zeros((program.exprs if program.masks else 0, rows_max), np.uint8)
        self._call[k.MASK_BASE], self._call[k.MASK_STRIDE] = _address(self.masks), self.masks.strides[0]
        self._grow(0 if program.masks else max(rows_max // 8, 256))

    def run(self, columns: Columns, append_ms: int, outs: Int64s, outs_known: NDArray[np.uint8]) -> int:
        """Answer every expression for the rows of its type; return the number of hits.

        Args:
            columns: the rows.
            append_ms: when their frame was appended to the log.
            outs: features as of each row, int64[features, >= n]; rows contiguous.
            outs_known: which of these are known, uint8 of the same shape.
        """
        if self.program.masks:
            raise ValueError("a program with masks=True is run by run_masks")
        n = self._prepare(columns, append_ms, outs, outs_known)
        if n == 0:
            return 0
        count = run(self._call_address, self.program.transitions)
        if count > self._found_rows.shape[0]:
            self._grow(count + count // 2)
            count = run(self._call_address, self.program.transitions)
        if count:
            sort_hits(
                count, n, self._found_rows, self._found_exprs, self._sort_starts, self.rows, self.exprs
            )  # fmt: skip
        return count

    def run_masks(
        self, columns: Columns, append_ms: int, outs: Int64s, outs_known: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Return uint8[exprs, n]: 1 where an expression holds on a row of its type, else 0.

        The array is overwritten by the next run; the arguments are those of `run`.
        """
        if not self.program.masks:
            raise ValueError("a program with masks=False is run by run")
        n = self._prepare(columns, append_ms, outs, outs_known)
        masks = self.masks[:, :n]
        if n:
            masks[:] = 0
            run(self._call_address, self.program.transitions)
        return masks

    def run_values(self, columns: Columns, append_ms: int, outs: Int64s, outs_known: NDArray[np.uint8]) -> None:
        """Write the values of a program of `compile_values` to their rows of `outs` and `outs_known`; see `run`."""
        if self._prepare(columns, append_ms, outs, outs_known):
            run(self._call_address, self.program.transitions)

    def _point_to_texts(self, brought: Texts) -> None:
        """Tell the call where the texts of a batch stand, and those that are held."""
        held = self._held.arrays if self._held is not None else NO_HELD
        places = ((brought.hashes, brought.starts, brought.data, brought.table), held[:4])
        self._kept = places
        words = [word for place in places for word in (*[_address(part) for part in place], place[3].shape[0] - 1)]
        self._texts[-len(words) :] = words

    def _prepare(self, columns: Columns, append_ms: int, outs: Int64s, outs_known: NDArray[np.uint8]) -> int:
        """Set the addresses of the call; return how many rows there are to look at."""
        n = int(columns.type.shape[0])
        if n == 0 or self.program.exprs == 0:
            return 0
        if n > self.rows_max:
            raise ValueError(f"rows={n} must be <= rows_max={self.rows_max}")
        self._check(columns, outs, outs_known, n)
        if self.program.reads_texts:
            self._point_to_texts(columns.texts)
        arrays = (columns.type, columns.at_ms, columns.present, columns.cells, outs, outs_known)
        if all([array.flags.carray for array in arrays]):  # noqa: C419 a list is twice as fast as a generator here
            addresses(*arrays, self._addresses)
            types, at_ms, present, cells, values, knowns = self._addresses.tolist()
        else:
            types, at_ms, present, cells, values, knowns = [_address(array) for array in arrays]
        strides = columns.cells.strides[0], outs.strides[0], outs_known.strides[0]
        _BATCH.pack_into(
            self._call_bytes, _BATCH_AT, types, n, at_ms, append_ms, present,
            cells, strides[0], values, strides[1], knowns, strides[2],
        )  # fmt: skip
        return n

    def _check(self, columns: Columns, outs: Int64s, outs_known: NDArray[np.uint8], n: int) -> None:
        """Hold every array against what the kernel will read of it."""
        program = self.program
        for name, array, rows, size in (
            ("type", columns.type, 0, 1),
            ("at_ms", columns.at_ms, 0, 8),
            ("present", columns.present, 0, 8),
            ("cells", columns.cells, program.slots, 8),
            ("outs", outs, program.features, 8),
            ("outs_known", outs_known, program.features, 1),
        ):
            shape = array.shape
            if shape[-1] < n or shape[0] < rows or array.strides[-1] != size or array.itemsize != size:
                wanted = f"[{rows}, {n}]" if array.ndim == 2 else f"[{n}]"
                raise ValueError(f"{name}, {array.dtype}{list(shape)}, must hold {wanted} items of {size} bytes")

    def _lay_out(self) -> None:
        """Give every register its place, on cache lines, and tell the call where the program stands."""
        program = self.program
        sizes = {
            k.BITS: program.bit_registers * k.WORDS,
            k.VALUES: program.value_registers * k.BLOCK,
            k.KNOWNS: program.value_registers * k.WORDS,
            k.LOADED: program.value_registers,
            k.BLOCK_ROWS: k.BLOCK,
            k.SPARE: 8,
        }
        self._registers = np.zeros(sum(-(-size // 8) * 8 for size in sizes.values()) + 8, np.int64)
        at = -(-_address(self._registers) // 64) * 64
        for field, size in sizes.items():
            self._call[field] = at
            at += -(-size // 8) * 64
        for field, array in (
            (k.CODE, program.code),
            (k.CODE_STARTS, program.code_starts),
            (k.COLUMNS, program.columns),
            (k.COLUMN_STARTS, program.column_starts),
            (k.SETS, program.sets),
            (k.ROWS, self._type_rows),
        ):
            self._call[field] = _address(array)
        self._call[k.TYPES] = program.types
        self._call[k.VALUE_REGISTERS] = program.value_registers

    def _grow(self, size: int) -> None:
        self.rows, self.exprs = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self._found_rows, self._found_exprs = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self._call[k.HIT_ROWS], self._call[k.HIT_EXPRS] = _address(self._found_rows), _address(self._found_exprs)
        self._call[k.HITS_MAX] = size


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
