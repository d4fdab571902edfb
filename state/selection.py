"""The values that are kept of candidates: small kernels over a batch's columns.

The decider calls them between the rules and the gates. They know slots, not what they mean.
"""

import numpy as np
from numpy.typing import NDArray

from state.jit import kernel

CELL, BUILTIN, FEATURE = range(3)
"""Where an operand's value stands: the event's own cells, the event's head, the features as of the event."""

AT, LOGGED = range(2)
"""Builtins: when the event happened, when its frame was appended."""


@kernel
def count_facts(candidate_rule: NDArray[np.int32], fact_start: NDArray[np.int32], starts: NDArray[np.int32]) -> int:
    """Write where each candidate's facts start, `starts` int32[m + 1]; return how many there are."""
    total = 0
    for i in range(candidate_rule.shape[0]):
        starts[i] = total
        rule = candidate_rule[i]
        total += fact_start[rule + 1] - fact_start[rule]
    starts[candidate_rule.shape[0]] = total
    return int(total)


@kernel
def gather_texts(
    candidate_rule: NDArray[np.int32],
    fact_start: NDArray[np.int32],
    fact_text: NDArray[np.uint8],
    starts: NDArray[np.int32],
    facts: NDArray[np.int64],
    known: NDArray[np.uint8],
    found: NDArray[np.int64],
) -> int:
    """Copy the known facts that are hashes of texts to `found`; return how many there are."""
    count = 0
    for i in range(candidate_rule.shape[0]):
        rule = candidate_rule[i]
        for fact in range(fact_start[rule], fact_start[rule + 1]):
            at = starts[i] + fact - fact_start[rule]
            if fact_text[fact] != 0 and known[at] != 0:
                found[count] = facts[at]
                count += 1
    return count


@kernel
def gather_facts(
    candidate_row: NDArray[np.int32],
    candidate_rule: NDArray[np.int32],
    fact_start: NDArray[np.int32],
    fact_source: NDArray[np.uint8],
    fact_index: NDArray[np.int32],
    at_ms: NDArray[np.int64],
    append_ms: int,
    present: NDArray[np.int64],
    cells: NDArray[np.int64],
    outs: NDArray[np.int64],
    outs_known: NDArray[np.uint8],
    starts: NDArray[np.int32],
    facts: NDArray[np.int64],
    known: NDArray[np.uint8],
) -> None:
    """Copy what each candidate's rule read on its row; an unknown value reads 0."""
    for i in range(candidate_row.shape[0]):
        row = candidate_row[i]
        rule = candidate_rule[i]
        to = starts[i]
        for fact in range(fact_start[rule], fact_start[rule + 1]):
            index = fact_index[fact]
            if fact_source[fact] == CELL:
                known[to] = (present[row] >> index) & 1
                facts[to] = cells[index, row] if known[to] != 0 else 0
            elif fact_source[fact] == FEATURE:
                known[to] = outs_known[index, row]
                facts[to] = outs[index, row] if known[to] != 0 else 0
            else:
                known[to] = 1
                facts[to] = at_ms[row] if index == AT else append_ms
            to += 1
