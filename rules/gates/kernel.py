"""Decide: all candidates of a batch through all gates, in log order, in one call without the interpreter lock.

Built-in events of the same batch take effect at their own row: an `outcome` settles a contact, a `visit` opens or
closes the desk for a subscriber. A `list`, a `profile` or an `answer` has the gates that look at the subscriber asked
again of each decision that waits, and one that they stop is withdrawn; an `answer` that declines marks its contact
first. Only then are the candidates of that row judged.
The result depends on nothing but the arguments.

A subscriber that the row puts on a list which stops rules (`rules.gates.keeping`) has what waits judged again after
the candidates of that row.

The gates of `order` become one chain at compile time (`chain`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates.chain import chain_of
from rules.gates.offer import DECLINE, decline
from rules.gates.order import CHANNEL_GATES, LAST_GATES, RULE_GATES
from rules.gates.scene import Paused, Rows, RuleTable, Scene
from rules.gates.table import GateTable
from state.contacts import (
    CHUNK,
    COMMITTED,
    FREE,
    NEVER_MS,
    POSITION,
    REHEARSED,
    RESERVED,
    SERVICE,
    SHADOW,
    UNCAPPED,
    UNKNOWN,
    UNTRACKED,
    WITHDRAWN,
    ContactArrays,
    channel_of,
    make_room,
    next_entry,
    reserve,
    row_of,
    rule_of,
    set_state,
    settle,
    waits,
)
from state.jit import allocating, part, routine
from state.raw import uncounted
from state.schema import (
    ANSWER_WORD,
    DECISION_POSITION,
    DECISION_ROW,
    DECISION_RULE,
    OUTCOME_CONTACT,
    OUTCOME_STATE,
    VISIT_NAME,
    VISIT_OPEN,
)

# Of `state.schema` and `state.decisions.OutcomeState`, as plain integers for the compiler; a test compares them.
TYPE_OUTCOME, TYPE_VISIT, TYPE_ANSWER = 2, 3, 4
STATE_COMMITTED, STATE_REFUNDED, STATE_UNKNOWN = 1, 2, 5

RULE_NUMBERS = np.array([0, *(gate.number for gate in RULE_GATES)], np.uint8)
"""Numbers on disk of the gates of rules by their place, which counts from 1; at 0 that of none."""
CHANNEL_NUMBERS = np.array([0, *(gate.number for gate in CHANNEL_GATES)], np.uint8)
"""The same of the gates of channels."""
LAST_NUMBERS = np.array([0, *(gate.number for gate in LAST_GATES)], np.uint8)
"""The same of the last gates."""


class Verdicts(NamedTuple):
    """What became of each candidate: `gate` uint8[m]; `channel` int32[m], index + 1 or 0; `detail` int32[m]."""

    gate: NDArray[np.uint8]
    channel: NDArray[np.int32]
    detail: NDArray[np.int32]


Joined = NDArray[np.int64]
"""Rows that put their subscriber on a list which stops rules, ascending, [k, 3]: the row's index, that of the list's
word among the features, and the mask of the list in it."""
NOBODY: Joined = np.zeros((0, 3), np.int64)


class Withdrawals(NamedTuple):
    """Decisions withdrawn, in the order of their rows: the first `found[0]` of each column, int64[1].

    `row` int32, index in the batch of the row that ended it; `rule`, `channel`, `of_position` int64 and `of_row` int32,
    the decision; `gate` uint8, `detail` int32, as of a verdict.
    """

    found: NDArray[np.int64]
    row: NDArray[np.int32]
    rule: NDArray[np.int64]
    channel: NDArray[np.int64]
    of_position: NDArray[np.int64]
    of_row: NDArray[np.int32]
    gate: NDArray[np.uint8]
    detail: NDArray[np.int32]


def withdrawals(count_max: int) -> Withdrawals:
    """Return room for so many."""
    return Withdrawals(
        np.zeros(1, np.int64),
        np.zeros(count_max, np.int32),
        np.zeros(count_max, np.int64),
        np.zeros(count_max, np.int64),
        np.zeros(count_max, np.int64),
        np.zeros(count_max, np.int32),
        np.zeros(count_max, np.uint8),
        np.zeros(count_max, np.int32),
    )


ask_rule = chain_of(RULE_GATES)
ask_channel = chain_of(CHANNEL_GATES)
ask_last = chain_of(LAST_GATES)
ask_rule_again = chain_of(RULE_GATES, again=True)
ask_channel_again = chain_of(CHANNEL_GATES, again=True)


@allocating
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
    joined: Joined,
    verdicts: Verdicts,
    withdrawn: Withdrawals,
) -> int:
    """Judge the candidates, sorted by (row, rule); return how many were decided.

    `state_rows` int32[k] are the rows of built-in events that change a subscriber, ascending. Writes `verdicts`,
    `withdrawn` (which has room for every contact of their subscribers and of those that `joined`), contacts and visits.
    """
    used = np.zeros((2, 2 * table.rules.channel_id.shape[0] + 1), np.int32)
    offered = np.zeros((2, table.rules.offers), np.int32)
    table, verdicts, withdrawn = uncounted(table), uncounted(verdicts), uncounted(withdrawn)
    scene = uncounted(Scene(rows, table.rules, paused, contacts, transitions, append_ms, used, offered))
    done = np.zeros(2, np.int64)
    decided = 0
    last_row = -1
    for i in range(candidate_row.shape[0]):
        row = candidate_row[i]
        rule = candidate_rule[i]
        apply_rows(table, scene, row, state_rows, joined, done, withdrawn)
        if row != last_row:
            last_row = row
            used[:] = 0
        place, detail = ask_rule(table.of_rules, scene, row, rule)
        gate, channel = RULE_NUMBERS[place], 0
        if place == 0:
            gate, detail, channel = promise(table, scene, position, row, rule)
            decided += gate == 0
        verdicts.gate[i] = gate
        verdicts.detail[i] = detail
        verdicts.channel[i] = channel
    apply_rows(table, scene, rows.type.shape[0], state_rows, joined, done, withdrawn)
    return decided


@part
def apply_rows(
    table: GateTable,
    scene: Scene,
    row: int,
    state_rows: NDArray[np.int32],
    joined: Joined,
    done: NDArray[np.int64],
    withdrawn: Withdrawals,
) -> None:
    """Fold the built-in events up to `row`, and before it what rows put their subscribers on lists; `done` of each."""
    while True:
        state_row = state_rows[done[0]] if done[0] < state_rows.shape[0] else scene.rows.type.shape[0]
        after = joined[done[1], 0] if done[1] < joined.shape[0] else scene.rows.type.shape[0]
        if after < row and after < state_row:
            feature, bit = joined[done[1], 1], joined[done[1], 2]
            scene.rows.outs[feature, after] |= bit
            judge_again(table, scene, after, withdrawn)
            scene.rows.outs[feature, after] &= ~bit
            done[1] += 1
        elif state_row <= row and state_row < scene.rows.type.shape[0]:
            apply_state_row(table, scene, state_row, withdrawn)
            done[0] += 1
        else:
            return


@part
def apply_state_row(table: GateTable, scene: Scene, row: int, withdrawn: Withdrawals) -> None:
    """Fold a built-in event into the state of its subscriber."""
    kind = scene.rows.type[row]
    if kind == TYPE_VISIT:
        open_or_close(scene, row)
    elif kind == TYPE_OUTCOME:
        settle_outcome(scene, row)
    else:
        if kind == TYPE_ANSWER:
            take_answer(scene, row)
        judge_again(table, scene, row, withdrawn)


@part
def open_or_close(scene: Scene, row: int) -> None:
    """Take a visit's beginning or end."""
    rows = scene.rows
    slot = rows.slot[row]
    visit = rows.cells[VISIT_NAME, row] if (rows.present[row] >> VISIT_NAME) & 1 == 1 else 0
    closing = (rows.present[row] >> VISIT_OPEN) & 1 == 1 and rows.cells[VISIT_OPEN, row] == 0
    if not closing:
        rows.visit_ms[slot], rows.visit[slot], rows.visit_at_ms[slot] = rows.log_ms[row], visit, rows.at_ms[row]
    elif rows.visit[slot] == visit and (visit != 0 or rows.visit_at_ms[slot] <= rows.at_ms[row]):
        rows.visit_ms[slot] = 0


@part
def settle_outcome(scene: Scene, row: int) -> None:
    """Settle the contact of a decision; one without a time of its own happened at the log's time of its row."""
    rows = scene.rows
    said = rows.cells[OUTCOME_STATE, row]
    if said not in (STATE_COMMITTED, STATE_REFUNDED, STATE_UNKNOWN):
        return
    state = FREE
    if said != STATE_REFUNDED:
        state = COMMITTED if said == STATE_COMMITTED else UNKNOWN
    knows = (rows.present[row] >> OUTCOME_CONTACT) & 1 == 1
    settle(
        scene.contacts,
        rows.slot[row],
        rows.cells[DECISION_POSITION, row],
        rows.cells[DECISION_ROW, row],
        rows.cells[DECISION_RULE, row],
        state,
        rows.cells[OUTCOME_CONTACT, row] if knows else rows.log_ms[row],
    )


@part
def take_answer(scene: Scene, row: int) -> None:
    """Mark the contact of a decision that was declined."""
    rows = scene.rows
    if rows.cells[ANSWER_WORD, row] == DECLINE:
        decline(
            scene.contacts,
            rows.slot[row],
            rows.cells[DECISION_POSITION, row],
            rows.cells[DECISION_ROW, row],
            rows.cells[DECISION_RULE, row],
        )


@routine
def judge_again(table: GateTable, scene: Scene, row: int, withdrawn: Withdrawals) -> None:
    """Ask the gates that look at the subscriber again of each decision that waits; withdraw those that they stop.

    A decision whose rule or channel the book has no more waits on: dispatch gives it up where it knows the book.
    """
    contacts = scene.contacts
    block = contacts.block[scene.rows.slot[row]]
    entry = int(contacts.first[block]) * CHUNK
    for _ in range(int(contacts.size[block])):
        this, entry = entry, next_entry(contacts, entry)
        if not waits(contacts, this, scene.rows.log_ms[row]):
            continue
        rule = rule_index(table.rules, rule_of(contacts, this))
        pair = pair_index(table.rules, rule, channel_of(contacts, this)) if rule >= 0 else -1
        if pair < 0:
            continue
        place, detail = ask_rule_again(table.of_rules, scene, row, rule)
        gate = RULE_NUMBERS[place]
        if place == 0:
            place, detail = ask_channel_again(table.of_channels, scene, row, pair)
            gate = CHANNEL_NUMBERS[place]
            detail |= (pair - table.rules.pair_start[rule]) << 8
        if place != 0:
            set_state(contacts, this, WITHDRAWN)
            write_withdrawal(contacts, this, row, gate, detail, withdrawn)


@part
def write_withdrawal(
    contacts: ContactArrays, entry: int, row: int, gate: int, detail: int, withdrawn: Withdrawals
) -> None:
    """Append the record of one."""
    count = withdrawn.found[0]
    withdrawn.row[count] = row
    withdrawn.rule[count] = rule_of(contacts, entry)
    withdrawn.channel[count] = channel_of(contacts, entry)
    withdrawn.of_position[count] = contacts.entries[entry, POSITION]
    withdrawn.of_row[count] = row_of(contacts, entry)
    withdrawn.gate[count] = gate
    withdrawn.detail[count] = detail
    withdrawn.found[0] = count + 1


@part
def rule_index(rules: RuleTable, stable: int) -> int:
    """Return the index of a rule by its stable id, -1 where the book has none."""
    low, high = 0, rules.by_stable.shape[0]
    while low < high:
        middle = (low + high) // 2
        if rules.stable[rules.by_stable[middle]] < stable:
            low = middle + 1
        else:
            high = middle
    if low < rules.by_stable.shape[0] and rules.stable[rules.by_stable[low]] == stable:
        return int(rules.by_stable[low])
    return -1


@part
def pair_index(rules: RuleTable, rule: int, channel_id: int) -> int:
    """Return the pair of a rule and a channel's stable id, -1 where the rule has no such channel."""
    for pair in range(rules.pair_start[rule], rules.pair_start[rule + 1]):
        if rules.channel_id[rules.pair_channel[pair]] == channel_id:
            return int(pair)
    return -1


@part
def promise(table: GateTable, scene: Scene, position: int, row: int, rule: int) -> tuple[int, int, int]:
    """Ask for a channel, then the last gates; return (gate, its detail, channel index + 1).

    The channel is that of a decision, or the one on which a rule in shadow would have decided; else 0.
    """
    place, detail, pair = choose(table, scene, row, rule)
    if place != 0:
        return CHANNEL_NUMBERS[place], detail, 0
    place, detail = ask_last(table.of_last, scene, row, rule)
    take(scene, position, row, rule, pair, RESERVED if place == 0 else SHADOW)
    told = place == 0 or table.rules.shadow[rule] != 0
    return LAST_NUMBERS[place], detail, table.rules.pair_channel[pair] + 1 if told else 0


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
    rules = scene.rules
    service, offer = rules.service[rule], rules.offer_index[rule]
    for seen in range(rules.shadow[rule], 2):
        scene.used[seen, 1 + 2 * rules.pair_channel[pair] + service] += 1
        scene.used[seen, 0] += 1 - service
        if offer >= 0:
            scene.offered[seen, offer] = row + 1
    if state == RESERVED or rules.kept[pair] != 0:
        keep(scene, position, row, rule, pair, state)


@part
def keep(scene: Scene, position: int, row: int, rule: int, pair: int, state: int) -> None:
    """Reserve a contact; one that no cap counts only where the list has a place."""
    rules, rows, contacts = scene.rules, scene.rows, scene.contacts
    log_ms, slot = rows.log_ms[row], rows.slot[row]
    shadow = rules.shadow[rule]
    marks = SERVICE * rules.service[rule] + UNCAPPED * (1 - rules.kept[pair]) + REHEARSED * shadow
    if rules.capped[pair] == 0 and not make_room(contacts, slot, log_ms, log_ms - rules.horizon_ms, False, shadow != 0):
        contacts.meta[UNTRACKED] += 1 - shadow
        return
    life_ms = rules.life_ms[rule]
    reserve(
        contacts, slot, log_ms, min(log_ms, NEVER_MS - life_ms) + life_ms, position, rows.number[row],
        rules.stable[rule], rules.campaign[rule], rules.channel_id[rules.pair_channel[pair]], rules.offer[rule],
        rules.category[rule], state | marks,
    )  # fmt: skip
