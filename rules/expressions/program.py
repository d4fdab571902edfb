"""From trees to instructions: many expressions become one array that the kernel runs over a batch.

What `compile_program` does with the trees of one event type:

1. `not` is pushed down to the comparisons (`not (a < b)` is `a >= b` where both are known), so that only *true* is
   computed: a row without an answer has no bit, whichever way the question is put.
2. Conditions on columns that two or more expressions ask ("atoms") are answered once, for all rows.
3. The parts of an `and` are put in order of cost, shared atoms first, and each narrows the rows for the next.

Compiling is plain Python over small trees, about 20 µs an expression; no machine code is made. A program is a value and
may be shared by threads (see `run`). The steps stand in `type_compiler`, `atoms`, `writer` and `constants`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rules.expressions.constants import ConstantLists
from rules.expressions.layout import CELL, FEATURE, FIELDS
from rules.expressions.opcodes import HIT, MASK, STORE
from rules.expressions.run import Program, Workspace
from rules.expressions.tree import Expr
from rules.expressions.type_compiler import TypeCompiler

__all__ = ["Program", "Workspace", "compile_program", "compile_values"]


def compile_values(
    exprs: Sequence[tuple[int, int, Expr]], types: int, transitions: NDArray[np.int64], first_value: int
) -> Program:
    """Return the program of values: triples of event type code, the place of the value, and the value.

    `first_value` is the row of `outs` that keeps the value of place 0: how many features there are.

    No value may read the row of another: what stands on others is the next program's.
    """
    by_type: dict[int, list[tuple[int, Expr]]] = {}
    for on, place, expr in exprs:
        by_type.setdefault(on, []).append((first_value + place, expr))
    program = _program(by_type, len(exprs), types, transitions, STORE, first_value)
    return replace(program, features=max([program.features, *(first_value + place + 1 for _, place, _ in exprs)]))


def compile_program(
    exprs: Sequence[tuple[int, Expr]],
    types: int,
    transitions: NDArray[np.int64],
    *,
    masks: bool = False,
    first_value: int = 0,
) -> Program:
    """Return the program of `exprs`, pairs of event type code and condition; expression i answers as number i.

    Args:
        exprs: what to answer, for the rows of which type; order matters for hits on one row only.
        types: how many event types the schema has; rows of other types are left alone.
        transitions: the operator's zone, int64[k, 2], for `hour` and `weekday`.
        first_value: the row of `outs` that keeps the first named value.
        masks: answer with masks (the `where` of features) instead of hits (the `when` of rules).
    """
    by_type: dict[int, list[tuple[int, Expr]]] = {}
    for number, (on, expr) in enumerate(exprs):
        by_type.setdefault(on, []).append((number, expr))
    return _program(by_type, len(exprs), types, transitions, MASK if masks else HIT, first_value)


def _program(
    by_type: Mapping[int, Sequence[tuple[int, Expr]]],
    exprs: int,
    types: int,
    transitions: NDArray[np.int64],
    result: int,
    first_value: int,
) -> Program:
    """Return the program of the expressions of each type; `result` is the opcode of what ends each."""
    lists = ConstantLists()
    code: list[list[int]] = []
    columns: list[tuple[int, int, int, int]] = []
    code_starts, column_starts = [0], [0]
    bit_registers, value_registers, reads_texts = 1, 1, False
    for on in range(types):
        if on in by_type:
            compiler = TypeCompiler(code, lists, result, first_value)
            (compiler.compile_values if result == STORE else compiler.compile)(by_type[on])
            writer = compiler.writer
            reads_texts |= writer.reads_texts
            columns.extend(writer.column_rows())
            bit_registers = max(bit_registers, writer.bits_most)
            value_registers = max(value_registers, writer.values_most + len(writer.columns))
        code_starts.append(len(code))
        column_starts.append(len(columns))
    rows = np.array(columns or [(0, 0, 0, 0)], np.int64)
    return Program(
        np.array(code, np.int64).reshape(-1, FIELDS) if code else np.zeros((1, FIELDS), np.int64),
        np.array(code_starts, np.int64),
        rows,
        np.array(column_starts, np.int64),
        lists.array(),
        np.array(transitions, np.int64, order="C"),
        exprs,
        types,
        result == MASK,
        bit_registers,
        value_registers,
        int(rows[rows[:, 0] == CELL, 1].max(initial=-1)) + 1,
        int(rows[rows[:, 0] == FEATURE, 1].max(initial=-1)) + 1,
        reads_texts,
    )
