"""Decide: all candidates of a batch through all gates, in log order, in one call without the interpreter lock.

Outcome, visit and answer events of the same batch take effect at their own row: an `outcome` settles a contact, an
`answer` that declines marks one, a `visit` opens or closes the desk for a subscriber. Only then are the candidates of
that row judged. The result depends on nothing but the arguments.

The gates of `order` become one chain at compile time: each asks, and where it lets pass, the next one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.offer import DECLINE, decline
from rules.gates.order import CHANNEL_GATES, LAST_GATES, RULE_GATES
from rules.gates.scene import Paused, Rows, Scene
from rules.gates.spec import Gate
from rules.gates.table import GateTable
from state.contacts import COMMITTED, RESERVED, SERVICE, ContactArrays, make_room, reserve, settle
from state.jit import inner, kernel, part
from state.raw import uncounted
from state.schema import (
    ANSWER_WORD,
    DECISION_POSITION,
    DECISION_ROW,
    DECISION_RULE,
    OUTCOME_STATE,
    VISIT_NAME,
    VISIT_OPEN,
)

# Of `state.schema` and `state.decisions.OutcomeState`, as plain integers for the compiler; a test compares them.
TYPE_OUTCOME, TYPE_VISIT, TYPE_ANSWER = 2, 3, 4
STATE_COMMITTED, STATE_REFUNDED = 1, 2

RULE_NUMBERS = np.array([0, *(gate.number for gate in RULE_GATES)], np.uint8)
"""Numbers on disk of the gates of rules by their place, which counts from 1; at 0 that of none."""
CHANNEL_NUMBERS = np.array([0, *(gate.number for gate in CHANNEL_GATES)], np.uint8)
"""The same of the gates of channels."""
LAST_NUMBERS = np.array([0, *(gate.number for gate in LAST_GATES)], np.uint8)
"""The same of the last gates."""

SHADOW = COMMITTED
"""State of a contact of the control group: nothing is sent, and it counts everywhere, from the decision on."""

Chain = Callable[[Any, Scene, int, int], tuple[int, int]]
"""(columns of each gate, scene, row, rule or pair) to (place of the gate that stops, 0 for none; its detail)."""


class Verdicts(NamedTuple):
    """What became of each candidate: `gate` uint8[m]; `channel` int32[m], index + 1 or 0; `detail` int32[m]."""

    gate: NDArray[np.uint8]
    channel: NDArray[np.int32]
    detail: NDArray[np.int32]


def _chain(gates: tuple[Gate, ...], index: int = 0) -> Chain:
    """Return a kernel that asks the gates from `index` on, until one stops."""
    if index == len(gates):
        return _pass
    stops, rest = gates[index].stops, _chain(gates, index + 1)

    @inner
    def ask(columns: Any, scene: Scene, row: int, of: int) -> tuple[int, int]:
        detail = stops(columns[index], scene, row, of)
        if detail >= 0:
            return index + 1, detail
        return rest(columns, scene, row, of)

    return ask


@part
def _pass(_columns: Any, _scene: Scene, _row: int, _of: int) -> tuple[int, int]:
    """Stop nothing: the end of a chain."""
    return 0, 0


ask_rule = _chain(RULE_GATES)
ask_channel = _chain(CHANNEL_GATES)
ask_last = _chain(LAST_GATES)


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

    `state_rows` int32[k] are the rows of outcome, visit and answer events, ascending. Writes `verdicts`, contacts and
    visits.
    """
    used = np.zeros(2 * table.rules.channel_id.shape[0] + 1, np.int32)
    offered = np.zeros(table.rules.offers, np.int32)
    table, verdicts = uncounted(table), uncounted(verdicts)
    scene = uncounted(Scene(rows, table.rules, paused, contacts, transitions, append_ms, used, offered))
    settled = 0
    decided = 0
    last_row = -1
    for i in range(candidate_row.shape[0]):
        row = candidate_row[i]
        rule = candidate_rule[i]
        while settled < state_rows.shape[0] and state_rows[settled] <= row:
            apply_state_row(scene, state_rows[settled])
            settled += 1
        if row != last_row:
            last_row = row
            used[:] = 0
        place, detail = ask_rule(table.of_rules, scene, row, rule)
        gate, channel = RULE_NUMBERS[place], 0
        if place == 0:
            gate, detail, channel = promise(table, scene, position, row, rule)
            decided += channel != 0
        verdicts.gate[i] = gate
        verdicts.detail[i] = detail
        verdicts.channel[i] = channel
    while settled < state_rows.shape[0]:
        apply_state_row(scene, state_rows[settled])
        settled += 1
    return decided


@part
def apply_state_row(scene: Scene, row: int) -> None:
    """Fold an outcome, a visit or an answer into the state of its subscriber."""
    rows = scene.rows
    if rows.type[row] == TYPE_VISIT:
        slot = rows.slot[row]
        visit = rows.cells[VISIT_NAME, row] if (rows.present[row] >> VISIT_NAME) & 1 == 1 else 0
        closing = (rows.present[row] >> VISIT_OPEN) & 1 == 1 and rows.cells[VISIT_OPEN, row] == 0
        if not closing:
            rows.visit_ms[slot], rows.visit[slot] = rows.at_ms[row], visit
        elif rows.visit[slot] == visit:
            rows.visit_ms[slot] = 0
        return
    if rows.type[row] == TYPE_ANSWER:
        if rows.cells[ANSWER_WORD, row] == DECLINE:
            decline(
                scene.contacts,
                rows.slot[row],
                rows.cells[DECISION_POSITION, row],
                rows.cells[DECISION_ROW, row],
                rows.cells[DECISION_RULE, row],
            )
        return
    state = rows.cells[OUTCOME_STATE, row]
    if state in (STATE_COMMITTED, STATE_REFUNDED):
        settle(
            scene.contacts,
            rows.slot[row],
            rows.cells[DECISION_POSITION, row],
            rows.cells[DECISION_ROW, row],
            rows.cells[DECISION_RULE, row],
            state == STATE_REFUNDED,
        )


@part
def promise(table: GateTable, scene: Scene, position: int, row: int, rule: int) -> tuple[int, int, int]:
    """Ask for a channel, then the last gates; return (gate, its detail, channel index + 1 where it was decided)."""
    place, detail, pair = choose(table, scene, row, rule)
    if place != 0:
        return CHANNEL_NUMBERS[place], detail, 0
    place, detail = ask_last(table.of_last, scene, row, rule)
    take(scene, position, row, rule, pair, RESERVED if place == 0 else SHADOW)
    return LAST_NUMBERS[place], detail, table.rules.pair_channel[pair] + 1 if place == 0 else 0


@part
def choose(table: GateTable, scene: Scene, row: int, rule: int) -> tuple[int, int, int]:
    """Return (place of the gate, detail, pair): the first of the rule's channels that takes it.

    The place is 0 where a channel was found. Else the gate is that of the channel that came furthest, and `detail` the
    channel's index in the rule << 8, plus the gate's own.
    """
    rules = scene.rules
    last_place, last_detail = 0, 0
    for pair in range(rules.pair_start[rule], rules.pair_start[rule + 1]):
        place, detail = ask_channel(table.of_channels, scene, row, pair)
        if place == 0:
            return 0, 0, pair
        if place > last_place:
            last_place, last_detail = place, detail | (pair - rules.pair_start[rule]) << 8
    return last_place, last_detail, 0


@part
def take(scene: Scene, position: int, row: int, rule: int, pair: int, state: int) -> None:
    """Take the places of a candidate: of its event, its channel, its offer, and in its subscriber's contacts."""
    rules, rows = scene.rules, scene.rows
    channel, service, offer = rules.pair_channel[pair], rules.service[rule], rules.offer[rule]
    scene.used[1 + 2 * channel + service] += 1
    scene.used[0] += 1 - service
    is_kept = rules.capped[pair] != 0
    if offer >= 0:
        scene.offered[offer] = row + 1
        oldest_ms = rows.at_ms[row] - rules.offer_reach_ms
        is_kept = is_kept or make_room(scene.contacts, rows.slot[row], oldest_ms)
    if is_kept:
        reserve(
            scene.contacts, rows.slot[row], rows.at_ms[row], position, rows.number[row], rules.stable[rule],
            rules.campaign[rule], rules.channel_id[channel], state | (SERVICE * service),
        )  # fmt: skip
