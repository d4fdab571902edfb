"""Whom rules with `keep` put on lists in one batch, and what the batch's later rows see of it.

    conditions ─► candidates that keep ─► the lists' values of later rows ─► changed? conditions again ─► state

What is kept is a function of the rows in their order, wherever a batch begins and ends: see `rules.gates.keeping`.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook
from engine.book.priorities import in_order
from rules.expressions.run import Workspace
from rules.gates.keeping import Ends, KeepTable, Kept, apply_kept, carry, find_kept
from rules.gates.kernel import NOBODY, Joined
from rules.gates.scene import Paused, Rows
from state.batch import Batch
from state.contacts import ContactArrays

Candidates = tuple[NDArray[np.int32], NDArray[np.int32]]
"""Rows and rules."""
SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


class World(NamedTuple):
    """What decides beside the rows: the book, what is paused, the contacts, and when the frame was appended.

    `named` are the programs of named values, in the order in which they stand on each other.
    """

    compiled: CompiledBook
    paused: Paused
    contacts: ContactArrays
    append_ms: int
    named: Sequence[Workspace] = ()


def candidates(
    world: World, batch: Batch, rows: Rows, rules: Workspace, features: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], Joined]:
    """Ask the conditions, and put on lists whom rules keep; return the candidates' rows and rules.

    Asked again until they agree with what they keep; then the lists' values in `rows.outs` are as of each row.
    `features` are the words that the fold of features is told.
    """
    keeps, n = world.compiled.keeps, batch.n
    row, rule = _asked(world, batch, rows, rules)
    if keeps is None:
        return row, rule, NOBODY
    words = np.unique(keeps.feature)
    told = rows.outs[words, :n]
    is_first = True
    while True:
        kept = _kept(world, keeps, rows, row, rule)
        if is_first and not kept.row.shape[0]:
            return row, rule, NOBODY
        is_first = False
        before = rows.outs[words, :n]
        rows.outs[words, :n] = told
        ends = _carried(world, keeps, rows, n, kept)
        if np.array_equal(rows.outs[words, :n], before):
            apply_kept(keeps, features, ends)
            return row, rule, _joined(keeps, ends)
        row, rule = _asked(world, batch, rows, rules)


def _asked(world: World, batch: Batch, rows: Rows, rules: Workspace) -> Candidates:
    for values in world.named:
        values.run_values(batch, world.append_ms, rows.outs, rows.known)
    hits = rules.run(batch, world.append_ms, rows.outs, rows.known)
    return in_order(world.compiled.ranks, batch, rows.outs, rows.known, rules, hits)


def _kept(world: World, keeps: KeepTable, rows: Rows, row: NDArray[np.int32], rule: NDArray[np.int32]) -> Kept:
    """Return the candidates that keep."""
    m = row.shape[0]
    kept = Kept(np.zeros(m, np.int32), np.zeros(m, np.int32), np.zeros(m, np.int64))
    count = find_kept(
        keeps, world.compiled.gates, world.paused, world.contacts, world.compiled.book.transitions, world.append_ms,
        rows, row, rule, kept,
    )  # fmt: skip
    return Kept(kept.row[:count], kept.audience[:count], kept.end_ms[:count])


def _carried(world: World, keeps: KeepTable, rows: Rows, n: int, kept: Kept) -> Ends:
    slots = rows.slot[:n]
    mine = np.zeros(world.contacts.block.shape[0], np.bool_)  # by slot; memory that is not touched costs nothing
    mine[slots[kept.row]] = True
    some = np.flatnonzero(mine[slots])
    order = some[np.argsort(slots[some], kind="stable")].astype(np.int32)
    bounds = np.stack([np.searchsorted(kept.row, order, side) for side in SIDES]).astype(np.int64)
    audiences, count = keeps.feature.shape[0], kept.row.shape[0]
    ends = Ends(
        np.zeros(2, np.int64),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
        np.zeros(count, np.int64),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
    )
    carry(keeps, rows, order, bounds, kept, np.zeros(audiences, np.int64), np.zeros(audiences, np.int32), ends)
    return ends


def _joined(keeps: KeepTable, ends: Ends) -> Joined:
    """Return the rows that put a subscriber on a list which stops rules, in the order of the log."""
    row, of = ends.row[: ends.found[1]], ends.of[: ends.found[1]]
    order = np.argsort(row, kind="stable")
    of = of[order]
    return np.stack([row[order], keeps.feature[of], np.int64(1) << keeps.bit[of].astype(np.int64)], axis=1)
