"""The order of the candidates of one row where a rule's priority is a number of the row and not of the book.

The conditions answer in the order of the book, which is that of fixed priorities. Where no rule has another, nothing is
done here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.expressions.run import Workspace
from rules.model import PRIORITY_MAX, Book
from state.batch import Batch
from state.schema import Kind


class Ranks(NamedTuple):
    """Priorities of rules: `fixed` int64[rules], `by_id` int64[rules] the places of their ids in alphabetical order.

    `moving` has the rules whose priority is a number of the row: the rule, whether that is a field and no feature or
    value, its index, and whether it has a fraction.
    """

    fixed: NDArray[np.int64]
    by_id: NDArray[np.int64]
    moving: tuple[tuple[int, bool, int, bool], ...]


NO_RANKS = Ranks(np.zeros(0, np.int64), np.zeros(0, np.int64), ())


def ranks_of(book: Book) -> Ranks:
    """Return the priorities of a book's rules."""
    by_id = np.empty(len(book.rules), np.int64)
    by_id[sorted(range(len(book.rules)), key=lambda number: book.rules[number].id)] = np.arange(len(book.rules))
    moving = tuple(
        (number, one.source == "cell", book.place_of(one), one.kind is Kind.FLOAT)
        for number, rule in enumerate(book.rules)
        if (one := rule.ranked_by) is not None
    )
    return Ranks(np.array([rule.priority for rule in book.rules], np.int64), by_id, moving)


def in_order(
    ranks: Ranks,
    batch: Batch,
    outs: NDArray[np.int64],
    known: NDArray[np.uint8],
    answered: Workspace,
    hits: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the rows and rules of the last hits, int32[hits]: in log order, on one row by priority, then by id."""
    row, rule = answered.rows[:hits], answered.exprs[:hits]
    if not ranks.moving:
        return row, rule
    priority = ranks.fixed[rule]
    for number, is_cell, index, is_float in ranks.moving:
        places = np.flatnonzero(rule == number)
        rows = row[places]
        cells = batch.cells[index, rows] if is_cell else outs[index, rows]
        there = (batch.present[rows] >> index) & 1 if is_cell else known[index, rows]
        values = cells.view(np.float64) if is_float else cells
        priority[places] = np.where(there != 0, np.nan_to_num(values), 0).clip(0, PRIORITY_MAX).astype(np.int64)
    order = np.lexsort((ranks.by_id[rule], -priority, row))
    return row[order], rule[order]
