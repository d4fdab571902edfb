"""One bucket of subscribers joined: what became of each of their decisions.

An answer was given at the terminal at which the subscriber's latest visit before it was opened. A goal that a
subscriber reaches counts for the latest contact before it whose rule the goal is about, if it comes within the goal's
time; one contact may be credited with several. The contact of a decision is when its gateway accepted it, of one that
nobody knows of the attempt, of a subscriber held out the decision itself.
"""

from collections.abc import Sequence
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from engine.evidence.said import What
from engine.evidence.spill import Rows


class End(IntFlag):
    """What was said of a decision, as bits of `Effect.ends`."""

    SENT = 1
    REFUNDED = 2
    DELIVERED = 4
    UNDELIVERED = 8
    UNKNOWN = 16
    WITHDRAWN = 32
    ANSWERED = 64
    REPLIED = 128
    HELD_OUT = 256


class Window(IntEnum):
    """Whether the time in which a contact may reach its goal is over."""

    NONE = 0  # no goal is about its rule, or there was no contact
    OPEN = 1  # there is still time, reached already or not
    OVER = 2  # the time is over


MADE = np.dtype(
    [
        ("subscriber", np.int64),
        ("ordinal", np.int64),
        ("position", np.int64),
        ("rule", np.int64),
        ("log_ms", np.int64),
        ("row", np.int64),
        ("partition", np.int64),
        ("goal", np.int16),  # -1: none
        ("held_out", np.uint8),
        ("draw", np.int16),  # what drew its arm, -1: nothing
        ("arm", np.int16),  # a number of `Meanings.arms`; 0: none, or held out for another reason than its arm
    ]
)
"""A decision, or a candidate that was held out; `ordinal` is its place among all of them."""

EFFECT = np.dtype(
    [
        ("sent_ms", np.int64),
        ("delivered_ms", np.int64),
        ("answered_ms", np.int64),
        ("converted_ms", np.int64),
        ("value", np.float64),
        ("conversions", np.int32),
        ("gateway", np.int32),
        ("error", np.int32),
        ("answer", np.int32),
        ("note", np.int32),
        ("terminal", np.int32),
        ("ends", np.uint16),
        ("goal", np.int16),
        ("window", np.uint8),
    ]
)
"""What became of one of them; times are epoch milliseconds, 0 for never; texts are numbers of `words`."""

_ENDS = {
    What.COMMITTED: End.SENT,
    What.REFUNDED: End.REFUNDED,
    What.DELIVERED: End.DELIVERED,
    What.UNDELIVERED: End.UNDELIVERED,
    What.UNKNOWN: End.UNKNOWN,
    What.WITHDRAWN: End.WITHDRAWN,
    What.ANSWERED: End.ANSWERED,
    What.REPLIED: End.REPLIED,
}
_KEY = ("rule", "row", "position", "partition", "subscriber")


def effects_of(made: Rows, said: Rows, within_ms: Sequence[int], clock_ms: NDArray[np.int64]) -> Rows:
    """Return an EFFECT for each row of `made`.

    `said` has the rows of the same subscribers in the order of the log; `within_ms` the time of each goal; `clock_ms`
    says how far the log's clock had come in each partition.
    """
    out = np.zeros(made.shape[0], EFFECT)
    out["goal"] = made["goal"]
    out["ends"][made["held_out"] != 0] = End.HELD_OUT
    if not made.shape[0]:
        return out
    of = decision_of(made, said)
    terminal = _terminal_of(said)
    named = of >= 0
    _note_ends(out, said[named], of[named], terminal[named])
    _note_goals(out, made, said[said["what"] == What.GOAL], np.array(within_ms, np.int64), clock_ms[made["partition"]])
    return out


def decision_of(made: Rows, said: Rows) -> NDArray[np.int64]:
    """Return for each row of `said` the index of the decision that it names, -1 where there is none."""
    names_one = np.isin(said["what"], [int(what) for what in _ENDS])
    speakers = np.flatnonzero(names_one)
    keys = [np.concatenate([made[name], said[name][speakers]]) for name in _KEY]
    order = np.lexsort(keys)
    fresh = np.ones(order.shape[0], np.bool_)
    fresh[1:] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    group = np.empty(order.shape[0], np.int64)
    group[order] = np.cumsum(fresh) - 1
    index_of = np.full(order.shape[0], -1, np.int64)
    index_of[group[: made.shape[0]]] = np.arange(made.shape[0])
    out = np.full(said.shape[0], -1, np.int64)
    out[speakers] = index_of[group[made.shape[0] :]]
    return out


def _terminal_of(said: Rows) -> NDArray[np.int32]:
    """Return for each row the terminal of the subscriber's latest visit up to it, 0 where there was none."""
    order = np.argsort(said["subscriber"], kind="stable")
    sorted_ = said[order]
    latest = latest_before(sorted_["subscriber"], sorted_["what"] == What.VISIT)
    out = np.zeros(said.shape[0], np.int32)
    found = latest >= 0
    out[order[found]] = sorted_["word"][latest[found]]
    return out


def latest_before(group: NDArray[np.int64], marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each row the latest marked row of its group up to it, -1 for none; equal groups stand together."""
    n = group.shape[0]
    if n == 0:
        return np.zeros(0, np.int64)
    index = np.arange(n)
    latest = np.maximum.accumulate(np.where(marked, index, -1))
    begin = np.ones(n, np.bool_)
    begin[1:] = group[1:] != group[:-1]
    first = np.maximum.accumulate(np.where(begin, index, 0))
    return np.where(latest >= first, latest, -1)


def _note_ends(out: Rows, said: Rows, of: NDArray[np.int64], terminal: NDArray[np.int32]) -> None:
    """Write what rows say; of several that say the same the first one counts, but of errors the last."""
    for what, end in _ENDS.items():
        rows = np.flatnonzero(said["what"] == what)[::-1]  # of equal places the last one written stays
        if not rows.shape[0]:
            continue
        at = of[rows]
        out["ends"][at] |= np.uint16(end)
        if what in (What.COMMITTED, What.UNKNOWN):
            out["sent_ms"][at] = said["at_ms"][rows]
            out["gateway"][at] = said["word"][rows]
            out["terminal"][at] = terminal[rows]
        if what == What.DELIVERED:
            out["delivered_ms"][at] = said["at_ms"][rows]
        if what in (What.REFUNDED, What.UNDELIVERED, What.UNKNOWN):
            out["error"][at] = said["note"][rows]
            silent = out["gateway"][at] == 0
            out["gateway"][at[silent]] = said["word"][rows[silent]]
        if what == What.ANSWERED:
            out["answered_ms"][at] = said["at_ms"][rows]
            out["answer"][at] = said["word"][rows]
            out["note"][at] = said["note"][rows]
            out["terminal"][at] = terminal[rows]


def contact_ms_of(out: Rows, made: Rows) -> NDArray[np.int64]:
    """Return when each decision's contact was, 0 where there was none: a card that nobody drew was none."""
    reached = np.where(out["sent_ms"] > 0, out["sent_ms"], out["delivered_ms"])
    refunded = out["ends"] & End.REFUNDED != 0
    return np.where(made["held_out"] != 0, made["log_ms"], np.where(refunded, 0, reached))


def _note_goals(out: Rows, made: Rows, hits: Rows, within_ms: NDArray[np.int64], clock_ms: NDArray[np.int64]) -> None:
    contact_ms = contact_ms_of(out, made)
    mine = np.flatnonzero((made["goal"] >= 0) & (contact_ms > 0))
    if not mine.shape[0]:
        return
    ends_ms = contact_ms[mine] + within_ms[made["goal"][mine]]
    out["window"][mine] = np.where(ends_ms < clock_ms[mine], Window.OVER, Window.OPEN)
    of, hit = credited(made[mine], contact_ms[mine], hits, within_ms)
    at = mine[of]
    np.add.at(out["conversions"], at, 1)
    np.add.at(out["value"], at, hits["value"][hit])
    out["converted_ms"][at[::-1]] = hits["at_ms"][hit[::-1]]


def credited(
    made: Rows, contact_ms: NDArray[np.int64], hits: Rows, within_ms: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (index in `made`, index in `hits`) of each goal reached within its time of a contact, in time order."""
    n = made.shape[0]
    goal = np.concatenate([made["goal"].astype(np.int64), hits["rule"]])
    subscriber = np.concatenate([made["subscriber"], hits["subscriber"]])
    at_ms = np.concatenate([contact_ms, hits["at_ms"]])
    is_hit = np.arange(goal.shape[0]) >= n
    order = np.lexsort([is_hit, at_ms, goal, subscriber])
    same = np.ones(order.shape[0], np.bool_)
    same[1:] = (goal[order[1:]] != goal[order[:-1]]) | (subscriber[order[1:]] != subscriber[order[:-1]])
    latest = latest_before(np.cumsum(same), ~is_hit[order])
    rows = np.flatnonzero(is_hit[order] & (latest >= 0))
    of, hit = order[latest[rows]], order[rows]
    near = at_ms[hit] - at_ms[of] <= within_ms[goal[hit]]
    return of[near], hit[near] - n
