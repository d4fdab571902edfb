"""Decide: all candidates of a batch through all gates, in log order, in one call without the interpreter lock.

Outcome and visit events of the same batch take effect at their own row: an `outcome` settles a contact, a `visit` opens
or closes the desk for a subscriber. Only then are the candidates of that row judged. The result depends on nothing but
the arguments.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.age import too_old
from rules.gates.caps import cap_reached
from rules.gates.channel import at_desk
from rules.gates.eligibility import not_eligible
from rules.gates.holdout import held_out
from rules.gates.lists import on_list
from rules.gates.pause import Paused
from rules.gates.table import GateTable
from state.contacts import RESERVED, SERVICE, ContactArrays, make_room, reserve, settle
from state.jit import kernel, part
from state.raw import uncounted
from state.schema import (
    DECISION_POSITION,
    DECISION_ROW,
    DECISION_RULE,
    OUTCOME_STATE,
    VISIT,
    VISIT_NAME,
    VISIT_OPEN,
)

# Numbers of `rules.gates.Gate`, as plain integers for the compiler; `tests` compares them.
PASSED, PAUSED, STALE, ELIGIBILITY, LIST, HOLDOUT, OUTRANKED, CHANNEL_PAUSED = range(8)
NO_VISIT, CHANNEL_FULL, CAP, CONTACTS_FULL = range(8, 12)
STATE_COMMITTED, STATE_REFUNDED = 1, 2


class Rows(NamedTuple):
    """Columns of the batch, for kernels: `number` int32[n] is each row's index in its frame; `slot` int32[n].

    `outs` int64[features, >= n] and `known` uint8 are the features as of each event, `lists` int64[n] the bits of the
    lists; `visit_ms` and `visit` int64[slots] are state: since when, and the text hash of the visit's name, 0 for none.
    """

    number: NDArray[np.int32]
    slot: NDArray[np.int32]
    type: NDArray[np.uint8]
    subscriber: NDArray[np.int64]
    at_ms: NDArray[np.int64]
    present: NDArray[np.int64]
    cells: NDArray[np.int64]
    outs: NDArray[np.int64]
    known: NDArray[np.uint8]
    lists: NDArray[np.int64]
    visit_ms: NDArray[np.int64]
    visit: NDArray[np.int64]


class Verdicts(NamedTuple):
    """What became of each candidate: `gate` uint8[m]; `channel` int32[m], index + 1 or 0; `detail` int32[m]."""

    gate: NDArray[np.uint8]
    channel: NDArray[np.int32]
    detail: NDArray[np.int32]


@kernel
def decide(
    table: GateTable,
    paused: Paused,
    contacts: ContactArrays,
    transitions: NDArray[np.int64],
    position: int,
    append_ms: int,
    rows: Rows,
    state_rows: NDArray[np.int32],
    candidate_row: NDArray[np.int32],
    candidate_rule: NDArray[np.int32],
    verdicts: Verdicts,
) -> int:
    """Judge the candidates, sorted by (row, rule); return how many were decided.

    `state_rows` int32[k] are the rows of outcome and visit events, ascending. Writes `verdicts`, contacts and visits.
    """
    table, paused, contacts = uncounted(table), uncounted(paused), uncounted(contacts)
    transitions, rows, verdicts = uncounted(transitions), uncounted(rows), uncounted(verdicts)
    next_state = 0
    decided = 0
    last_row = -1
    taken = 0
    per_channel = np.zeros(table.channel_id.shape[0], np.int32)
    for i in range(candidate_row.shape[0]):
        row = candidate_row[i]
        rule = candidate_rule[i]
        while next_state < state_rows.shape[0] and state_rows[next_state] <= row:
            apply_state_row(contacts, rows, state_rows[next_state])
            next_state += 1
        if row != last_row:
            last_row, taken = row, 0
            per_channel[:] = 0
        gate, detail = before_arbitration(table, paused, rows, row, rule, append_ms)
        channel = 0
        if gate == PASSED and table.service[rule] == 0 and taken >= table.event_max[rows.type[row]]:
            gate = OUTRANKED
        if gate == PASSED:
            gate, detail, channel = choose(table, paused, contacts, transitions, position, rows, row, rule, per_channel)
            if gate == PASSED:
                per_channel[channel - 1] += 1
                decided += 1
                taken += 1 - table.service[rule]
        verdicts.gate[i] = gate
        verdicts.detail[i] = detail
        verdicts.channel[i] = channel
    while next_state < state_rows.shape[0]:
        apply_state_row(contacts, rows, state_rows[next_state])
        next_state += 1
    return decided


@part
def apply_state_row(contacts: ContactArrays, rows: Rows, row: int) -> None:
    """Fold an outcome or a visit into the state of its subscriber."""
    if rows.type[row] == VISIT:
        slot = rows.slot[row]
        visit = rows.cells[VISIT_NAME, row] if (rows.present[row] >> VISIT_NAME) & 1 == 1 else 0
        closing = (rows.present[row] >> VISIT_OPEN) & 1 == 1 and rows.cells[VISIT_OPEN, row] == 0
        if not closing:
            rows.visit_ms[slot], rows.visit[slot] = rows.at_ms[row], visit
        elif rows.visit[slot] == visit:
            rows.visit_ms[slot] = 0
        return
    state = rows.cells[OUTCOME_STATE, row]
    if state in (STATE_COMMITTED, STATE_REFUNDED):
        settle(
            contacts,
            rows.slot[row],
            rows.cells[DECISION_POSITION, row],
            rows.cells[DECISION_ROW, row],
            rows.cells[DECISION_RULE, row],
            state == STATE_REFUNDED,
        )


@part
def before_arbitration(
    table: GateTable, paused: Paused, rows: Rows, row: int, rule: int, append_ms: int
) -> tuple[int, int]:
    """Run the gates that look at one candidate alone; return (gate, detail)."""
    if paused.rule[rule] != 0:
        return PAUSED, 0
    if too_old(rows.at_ms[row], append_ms, table.max_age_ms[rule]):
        return STALE, 0
    for i in range(table.holding_start[rule], table.holding_start[rule + 1]):
        feature = table.holding_feature[i]
        held = rows.outs[feature, row] if rows.known[feature, row] != 0 else 0
        if not_eligible(held, table.holding_needed[i], table.holding_refused[i]):
            return ELIGIBILITY, i - table.holding_start[rule]
    hit = on_list(rows.lists[row], table.exclude[rule])
    if hit >= 0:
        return LIST, hit
    for level in range(3):
        if held_out(rows.subscriber[row], table.holdout_salt[rule, level], table.holdout_ppm[rule, level]):
            return HOLDOUT, level
    return PASSED, 0


@part
def choose(
    table: GateTable,
    paused: Paused,
    contacts: ContactArrays,
    transitions: NDArray[np.int64],
    position: int,
    rows: Rows,
    row: int,
    rule: int,
    per_channel: NDArray[np.int32],
) -> tuple[int, int, int]:
    """Reserve the first of the rule's channels that will take it; return (gate, detail, channel index + 1).

    Where none does, the gate is that of the channel that came furthest; `detail` is then its place among the rule's
    channels << 8, plus the index of the cap.
    """
    last_gate, last_detail = PASSED, 0
    for pair in range(table.pair_start[rule], table.pair_start[rule + 1]):
        channel = table.pair_channel[pair]
        gate, detail = try_pair(table, paused, contacts, transitions, rows, row, pair, channel, per_channel)
        if gate == PASSED:
            if table.cap_start[pair + 1] > table.cap_start[pair]:
                reserve(
                    contacts, rows.slot[row], rows.at_ms[row], position, rows.number[row], table.stable[rule],
                    table.campaign[rule], table.channel_id[channel], RESERVED | (SERVICE * table.service[rule]),
                )  # fmt: skip
            return PASSED, 0, channel + 1
        if gate > last_gate:
            last_gate, last_detail = gate, detail | (pair - table.pair_start[rule]) << 8
    return last_gate, last_detail, 0


@part
def try_pair(
    table: GateTable,
    paused: Paused,
    contacts: ContactArrays,
    transitions: NDArray[np.int64],
    rows: Rows,
    row: int,
    pair: int,
    channel: int,
    per_channel: NDArray[np.int32],
) -> tuple[int, int]:
    """Ask one channel and its caps; return (gate, detail)."""
    if paused.channel[channel] != 0:
        return CHANNEL_PAUSED, 0
    slot = rows.slot[row]
    at_ms = rows.at_ms[row]
    if table.channel_desk[channel] != 0 and not at_desk(rows.visit_ms[slot], at_ms):
        return NO_VISIT, 0
    if per_channel[channel] >= table.channel_event_max[channel]:
        return CHANNEL_FULL, 0
    start, end = table.cap_start[pair], table.cap_start[pair + 1]
    for cap in range(start, end):
        if cap_reached(
            contacts, slot, at_ms, table.cap_scope[cap], table.cap_scope_id[cap], table.cap_max[cap],
            table.cap_kind[cap], table.cap_window_ms[cap], transitions,
        ):  # fmt: skip
            return CAP, cap - start
    if end > start and not make_room(contacts, slot, at_ms - table.horizon_ms[0]):
        return CONTACTS_FULL, 0
    return PASSED, 0
