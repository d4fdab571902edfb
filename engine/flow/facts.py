"""What the rules of candidates read, as columns, and the texts among it: what their records keep."""

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook
from engine.flow.frame_records import Facts
from state.batch import Batch
from state.held_texts import HeldTexts
from state.selection import count_facts, gather_facts, gather_texts
from state.texts import NO_TEXTS, Texts


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
    brought: Texts,
    held: HeldTexts,
    rule: NDArray[np.int32],
    facts: Facts,
) -> Texts:
    """Return the texts of the candidates' facts, of which the batch brought some and columns hold others."""
    found = np.empty(facts[1].shape[0], np.int64)
    count = gather_texts(rule, compiled.fact_start, compiled.fact_text, *facts, found)
    return held.pick(np.unique(found[:count]), brought) if count else NO_TEXTS
