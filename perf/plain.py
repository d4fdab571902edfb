"""The small book (`perf.books.small`) as a plain Python program: orjson, dicts, lists, nothing durable.

What somebody would write who needs this one book, fast, on one machine: every feature and rule is spelled out, state is
a list a subscriber, a window is a ring of panes. It makes the decisions that the engine makes, in the same order, caps
included; the benchmark compares them. What it lacks: durability, records of what was stopped, other books.
"""

import datetime
from collections.abc import Iterable
from typing import Any

import orjson

from perf.books import FAIR

Decision = tuple[int, int, str]
"""Subscriber, event time, rule."""

ZONE_MS = 8 * 3_600_000
HOUR_PANE_MS = 300_000
TEN_MINUTES_PANE_MS = 50_000
PANES = 12

# Places in a subscriber's list.
CALLS, LONG_CALLS, SECONDS, KBYTES, KBYTES_DAY, KBYTES_TODAY, CELL_MS, CELL, CELL_BEFORE, FEES, CHARGE_MS, OPEN = range(
    12
)


def decide(lines: Iterable[bytes], state: dict[int, list[Any]]) -> list[Decision]:
    """Fold lines into `state`; return the decisions."""
    loads = orjson.loads
    fair = frozenset(FAIR)
    dates: dict[str, int] = {}
    decisions: list[Decision] = []
    for line in lines:
        event = loads(line)
        subscriber = event["msisdn"]
        time = event["time"]
        date = time[:10]
        midnight = dates.get(date)
        if midnight is None:
            midnight = dates[date] = _midnight_ms(date)
        at_ms = (
            midnight + int(time[11:13]) * 3_600_000 + int(time[14:16]) * 60_000 + int(time[17:19]) * 1_000
            + int(time[20:23])
        )  # fmt: skip
        one = state.get(subscriber)
        if one is None:
            one = state[subscriber] = [None, 0, None, None, 0, 0, 0, None, None, None, 0, None]
        kind = event["type"]
        chosen: Iterable[str]
        if kind == "call":
            chosen = _call(one, event, at_ms)
        elif kind == "data":
            chosen = _data(one, event, at_ms, midnight)
        elif kind == "move":
            chosen = _move(one, event, at_ms, fair)
        else:
            chosen = _charge(one, event, at_ms)
        for rule in chosen:
            if _take(one, rule):
                decisions.append((subscriber, at_ms, rule))
                break
    return decisions


def _call(one: list[Any], event: dict[str, Any], at_ms: int) -> Iterable[str]:
    if one[CALLS] is None:
        one[CALLS], one[SECONDS] = [0, {}], [0, {}]
    pane = (at_ms + ZONE_MS) // HOUR_PANE_MS
    calls = _add(one[CALLS], pane, 1)
    _add(one[SECONDS], pane, event["seconds"])
    chosen = []
    if event["kind"] == "long_distance":
        one[LONG_CALLS] += 1
        if one[LONG_CALLS] == 2:
            chosen.append("r0000")
    if calls >= 3 and event["seconds"] > 200:
        chosen.append("r0001")
    return chosen


def _data(one: list[Any], event: dict[str, Any], at_ms: int, midnight: int) -> Iterable[str]:
    if one[KBYTES] is None:
        one[KBYTES] = [0, {}]
    kbytes = event["kbytes"]
    ten_minutes = _add(one[KBYTES], (at_ms + ZONE_MS) // TEN_MINUTES_PANE_MS, kbytes)
    if midnight > one[KBYTES_DAY]:
        one[KBYTES_DAY], one[KBYTES_TODAY] = midnight, kbytes
    elif midnight == one[KBYTES_DAY]:
        one[KBYTES_TODAY] += kbytes
    chosen = []
    if kbytes > 3000 and ten_minutes > 4000:
        chosen.append("r0002")
    if event["apn"] == "cmwap" and one[KBYTES_TODAY] > 6000:
        chosen.append("r0003")
    return chosen


def _move(one: list[Any], event: dict[str, Any], at_ms: int, fair: frozenset[str]) -> Iterable[str]:
    cell = event["cell"]
    if at_ms >= one[CELL_MS]:
        one[CELL_BEFORE] = (one[CELL_MS], one[CELL]) if one[CELL] is not None else None
        one[CELL_MS], one[CELL] = at_ms, cell
    elif one[CELL_BEFORE] is None or at_ms >= one[CELL_BEFORE][0]:
        one[CELL_BEFORE] = (at_ms, cell)
    chosen = []
    if cell in fair and one[CELL_BEFORE] is not None and one[CELL_BEFORE][1] not in fair:
        chosen.append("r0004")
    if event["cause"] == "roam" and _total(one[CALLS], (at_ms + ZONE_MS) // HOUR_PANE_MS) >= 4:
        chosen.append("r0005")
    return chosen


def _charge(one: list[Any], event: dict[str, Any], at_ms: int) -> Iterable[str]:
    if one[FEES] is None:
        one[FEES] = [0, {}]
    amount = event["amount_fen"]
    fees = _add(one[FEES], (at_ms + ZONE_MS) // HOUR_PANE_MS, amount)
    before = one[CHARGE_MS]
    chosen = []
    if amount > 2000 and fees >= 6000:
        chosen.append("r0006")
    if before and before <= at_ms < before + 60_000 and amount > 900:
        chosen.append("r0007")
    one[CHARGE_MS] = max(before, at_ms)
    return chosen


def _add(ring: list[Any], pane: int, value: int) -> int:
    """Add to a pane of a window [newest, {pane: value}] and return the window's total."""
    newest, panes = ring
    if pane > newest:
        ring[0] = newest = pane
        for old in [one for one in panes if one <= pane - PANES]:
            del panes[old]
    elif pane <= newest - PANES:
        return sum(panes.values())
    panes[pane] = panes.get(pane, 0) + value
    return sum(panes.values()) if len(panes) > 1 else panes[pane]


def _total(ring: list[Any] | None, pane: int) -> int:
    """Return the window's total as of a pane."""
    if ring is None:
        return 0
    newest, panes = ring
    if pane <= newest:
        return sum(panes.values())
    return sum(value for one, value in panes.items() if one > pane - PANES)


def _take(one: list[Any], rule: str) -> bool:
    """Hold a message against the caps and note it: 1 per 7d a rule, 6 per 7d, 2 per 1h, 3 per day.

    Nothing is sent in these benchmarks, so what was decided waits, and what waits counts in every window: a
    subscriber has two messages, of two rules.
    """
    waiting = one[OPEN]
    if waiting is None:
        one[OPEN] = [rule]
        return True
    if rule in waiting or len(waiting) >= 2:
        return False
    waiting.append(rule)
    return True


def _midnight_ms(date: str) -> int:
    return int(datetime.datetime.fromisoformat(f"{date}T00:00:00+08:00").timestamp() * 1000)
