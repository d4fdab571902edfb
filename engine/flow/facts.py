"""What the rules of candidates read, as columns, and the texts among it: what their records keep.

The fold knows only the hashes of texts. The batch brought some, and columns hold others. The rest were made by named
values: words of `choose` and of tables, parts of longer texts. Those are made again here, for candidates alone, by the
plain evaluator.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook
from engine.flow.frame_records import Facts
from rules.expressions import Expr, operands
from rules.expressions.interpret import Row, evaluate
from state.batch import Batch
from state.hashing import hash_text
from state.held_texts import HeldTexts
from state.selection import count_facts, gather_facts, gather_texts
from state.texts import NO_TEXTS, Chained, Lookup, Texts, joined, texts_of


def facts_of(
    compiled: CompiledBook,
    batch: Batch,
    append_ms: int,
    features: tuple[NDArray[np.int64], NDArray[np.uint8]],
    row: NDArray[np.int32],
    rule: NDArray[np.int32],
) -> Facts:
    """Return starts, cells and known flags of what the candidates read; `features` are values and known flags."""
    starts = np.empty(row.shape[0] + 1, np.int32)
    total = count_facts(rule, compiled.fact_start, starts)
    facts, known = np.empty(total, np.int64), np.empty(total, np.uint8)
    gather_facts(
        row, rule, compiled.fact_start, compiled.fact_source, compiled.fact_index,
        batch.at_ms, append_ms, batch.present, batch.cells, *features, starts, facts, known,
    )  # fmt: skip
    return starts, facts, known


def texts_of_facts(
    compiled: CompiledBook,
    batch: Batch,
    outs: NDArray[np.int64],
    held: HeldTexts,
    candidates: tuple[NDArray[np.int32], NDArray[np.int32]],
    facts: Facts,
) -> Texts:
    """Return the texts of the facts of candidates, rows and rules int32[m]; `outs` are features and values by row."""
    hashes = np.empty(facts[1].shape[0], np.int64)
    count = gather_texts(candidates[1], compiled.fact_start, compiled.fact_text, *facts, hashes)
    if not count:
        return NO_TEXTS
    wanted = np.unique(hashes[:count])
    found = held.pick(wanted, batch.texts)
    if found.count == wanted.shape[0] or not compiled.values:
        return found
    unknown = set(wanted.tolist()).difference(found.hashes.tolist())
    written = ((hashed, compiled.value_texts.get(hashed)) for hashed in unknown)
    made = {hashed: text for hashed, text in written if text is not None}
    if len(made) < len(unknown):
        texts = Chained(batch.texts, held)
        for row, rule in zip(*(one.tolist() for one in candidates), strict=True):
            for part in compiled.value_parts[rule]:
                made.update((hash_text(text), text) for text in _part(part, batch, outs, texts, row))
    return joined([found, texts_of((hashed, text) for hashed, text in made.items() if hashed in unknown)])


def _part(part: Expr, batch: Batch, outs: NDArray[np.int64], texts: Lookup, row: int) -> Iterator[bytes]:
    """A part of the text that a field or a feature has on a row; nothing where that is not known."""
    (operand,) = operands(part)
    cell = batch.cells[operand.index, row] if operand.source == "cell" else outs[operand.index, row]
    whole = texts.text(int(cell))
    if whole is not None:
        yield evaluate(part, Row({operand.name: whole.decode(errors="replace")}), lambda at_ms: at_ms).encode()
