"""Kept audiences: a rule with `keep` puts whoever it fires for on a list, for a time, in the fold itself.

Kept is every candidate that passes the gates which stand before the one of lists (pause, age, eligibility): held out,
capped or outranked alike. The subscriber is on the list from the next row on, until `for` after the log's time of this
one; who stays there longer already, or for ever, stays so. A `list` event that comes later says what holds then.

Conditions are asked of all rows of a batch at once, and one row's keeping may change what a later row of its
subscriber is answered. So `carry` writes into the values of the lists, for the rows after, what the candidates found so
far keep; where that changes anything the conditions are asked again. Each turn makes the answers of one more row of
each subscriber right for good, so the turns end, and mostly with the first (`engine.flow.keeping`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.gates import lists
from rules.gates.chain import chain_of
from rules.gates.order import GATES_OF_KEEPING
from rules.gates.scene import Paused, Rows, Scene
from rules.gates.spec import int32s, int64s
from rules.gates.table import GateTable
from rules.model import Book
from state.contacts import ContactArrays
from state.features.folding import WORDS
from state.features.kinds.list_words import LIST_KINDS, keep_in_word
from state.features.kinds.lists import id_of, keep_on_list
from state.jit import allocating, kernel, part
from state.raw import address_i64
from state.schema import LIST, LIST_NAME, MEMBERS_MAX
from state.sets import word_name

TYPE_LIST = int(LIST)

ask_before_lists = chain_of(GATES_OF_KEEPING)


class KeepTable(NamedTuple):
    """What a book keeps.

    By rule: `audience` int32, -1 for none; `for_ms` int64. By audience, a list that some rule keeps: `feature` int32,
    the list's word among the features, and `bit` int32 in it; `id` int64; `first` uint8, whether it is of the first
    word; `stops` uint8, whether any rule is not made to its members. `reads` uint8[256]: the event types whose rows
    look at one of the words.
    """

    audience: NDArray[np.int32]
    for_ms: NDArray[np.int64]
    feature: NDArray[np.int32]
    bit: NDArray[np.int32]
    id: NDArray[np.int64]
    first: NDArray[np.uint8]
    stops: NDArray[np.uint8]
    reads: NDArray[np.uint8]


class Kept(NamedTuple):
    """Candidates that keep: `row` int32 ascending, `audience` int32, `end_ms` int64."""

    row: NDArray[np.int32]
    audience: NDArray[np.int32]
    end_ms: NDArray[np.int64]


class Ends(NamedTuple):
    """What `carry` finds, the first `found[0]` and `found[1]` of each column, int64[2].

    `slot` int32, `audience` int32, `end_ms` int64: memberships after the batch; `row` int32, `of` int32: rows that put
    a subscriber on the list of an audience which stops rules, where it was not.
    """

    found: NDArray[np.int64]
    slot: NDArray[np.int32]
    audience: NDArray[np.int32]
    end_ms: NDArray[np.int64]
    row: NDArray[np.int32]
    of: NDArray[np.int32]


def keep_table(book: Book, reads: NDArray[np.uint8]) -> KeepTable | None:
    """Return what the book keeps, None where no rule does; `reads` as in `KeepTable`."""
    kept = sorted({rule.keep.list for rule in book.rules if rule.keep is not None})
    if not kept:
        return None
    places = [divmod(book.lists[name].index, MEMBERS_MAX) for name in kept]
    features = [book.feature_index(word_name(lists.LISTS, word)) for word, _ in places]
    excluded = {name for rule in book.rules for name in rule.exclude}
    return KeepTable(
        audience=int32s(kept.index(rule.keep.list) if rule.keep is not None else -1 for rule in book.rules),
        for_ms=int64s(rule.keep.for_ms if rule.keep is not None else 0 for rule in book.rules),
        feature=int32s(features),
        bit=int32s(bit for _, bit in places),
        id=int64s(book.lists[name].list_id for name in kept),
        first=np.array([book.features[one].kind == LIST_KINDS[0] for one in features], np.uint8),
        stops=np.array([name in excluded for name in kept], np.uint8),
        reads=reads,
    )


@allocating
def find_kept(
    keeps: KeepTable,
    table: GateTable,
    paused: Paused,
    contacts: ContactArrays,
    transitions: NDArray[np.int64],
    append_ms: int,
    rows: Rows,
    candidate_row: NDArray[np.int32],
    candidate_rule: NDArray[np.int32],
    kept: Kept,
) -> int:
    """Write the candidates that keep to `kept`, which has room for all; return how many there are."""
    nothing = np.zeros(0, np.int32)
    scene = Scene(rows, table.rules, paused, contacts, transitions, append_ms, nothing, nothing)
    count = 0
    for i in range(candidate_row.shape[0]):
        rule, row = candidate_rule[i], candidate_row[i]
        if keeps.audience[rule] < 0:
            continue
        place, _ = ask_before_lists(table.of_rules, scene, row, rule)
        if place == 0:
            kept.row[count] = row
            kept.audience[count] = keeps.audience[rule]
            kept.end_ms[count] = rows.log_ms[row] + keeps.for_ms[rule]
            count += 1
    return count


@kernel
def carry(
    keeps: KeepTable,
    rows: Rows,
    order: NDArray[np.int32],
    bounds: NDArray[np.int64],
    kept: Kept,
    active_ms: NDArray[np.int64],
    touched: NDArray[np.int32],
    ends: Ends,
) -> None:
    """Write what is kept to the later rows of each subscriber, and to `ends` what is left of it after the batch.

    `order` int32[k]: the rows of the subscribers that are kept, subscriber by subscriber, each in log order. `bounds`
    int64[2, k]: which of the kept ones are of each of these rows. `active_ms`, `touched` [audiences]: room to work in,
    zero before and after. `ends` has room for all of `kept`.
    """
    ends.found[:] = 0
    count = 0
    for i in range(order.shape[0]):
        row = order[i]
        told = rows.type[row] == TYPE_LIST
        name = id_of(rows.cells[LIST_NAME, row]) if told else 0
        for t in range(count):
            audience = touched[t]
            if told and keeps.id[audience] == name:
                active_ms[audience] = 0
            if active_ms[audience] > rows.log_ms[row] and keeps.reads[rows.type[row]] != 0:
                rows.outs[keeps.feature[audience], row] |= np.int64(1) << keeps.bit[audience]
        for k in range(bounds[0, i], bounds[1, i]):
            audience = kept.audience[k]
            count = touch(touched, count, audience)
            active_ms[audience] = max(active_ms[audience], kept.end_ms[k])
            is_on = rows.outs[keeps.feature[audience], row] >> keeps.bit[audience] & 1
            if keeps.stops[audience] != 0 and is_on == 0:
                ends.row[ends.found[1]], ends.of[ends.found[1]] = row, audience
                ends.found[1] += 1
        if i + 1 == order.shape[0] or rows.slot[order[i + 1]] != rows.slot[row]:
            write_ends(ends, rows.slot[row], active_ms, touched, count)
            count = 0


@part
def touch(touched: NDArray[np.int32], count: int, audience: int) -> int:
    """Put an audience among those of the subscriber at hand, unless it is there; return how many there are."""
    for t in range(count):
        if touched[t] == audience:
            return count
    touched[count] = audience
    return count + 1


@part
def write_ends(ends: Ends, slot: int, active_ms: NDArray[np.int64], touched: NDArray[np.int32], count: int) -> None:
    """Write the memberships that are left of a subscriber, and forget them here."""
    for t in range(count):
        audience = touched[t]
        if active_ms[audience] > 0:
            place = ends.found[0]
            ends.slot[place], ends.audience[place] = slot, audience
            ends.end_ms[place] = active_ms[audience]
            ends.found[0] += 1
        active_ms[audience] = 0


@kernel
def apply_kept(keeps: KeepTable, features: NDArray[np.int64], ends: Ends) -> None:
    """Put the subscribers on their lists; `features` are the words that the fold of features is told."""
    for i in range(ends.found[0]):
        audience = ends.audience[i]
        feature = address_i64(features) + keeps.feature[audience] * WORDS * 8
        if keeps.first[audience] != 0:
            keep_on_list(feature, ends.slot[i], keeps.bit[audience], ends.end_ms[i])
        else:
            keep_in_word(feature, ends.slot[i], keeps.bit[audience], ends.end_ms[i])
