"""What the subscribers do in a day: events in time order, as columns, a chunk at a time.

1. Times follow the day's curve: event i of n is drawn inside the i-th slice of the curve, so times come out in order.
2. Kinds of event are drawn by their shares; subscribers are drawn with a skew, a few act much more than most.
3. Each kind fills its own columns from where the subscriber is, what they carry, and chance.

A chunk depends on (seed, chunk number) and the sizes only, so chunks may be made in any order, or again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

from engine.feed.places import (
    APNS,
    APPS,
    CELLS,
    CHARGED,
    CITIES,
    COMPLAINTS,
    HALLS,
    HANDSETS,
    HOME_CITIES,
    PAID_AT,
    PROVIDERS,
)
from engine.feed.population import FRAUD_EVERY, Column, Population

CHUNK_ROWS = 65_536
DAY_MS = 86_400_000
ZONE = timezone(timedelta(hours=8))
ZONE_MS = 8 * 3_600_000
EVENTS_MAX = 2_000_000_000

# How busy each hour of the day is, in thousandths.
HOURS = (12, 8, 6, 5, 5, 8, 18, 35, 55, 62, 63, 60, 58, 52, 54, 56, 58, 63, 68, 70, 66, 55, 38, 25)

KINDS = ("move", "call", "data", "charge", "handset", "recharge", "complaint", "visit")
VISIT = KINDS.index("visit")
HALLS_OPEN_MIN, HALLS_CLOSE_MIN = 540, 1080
SHARES = (0.30, 0.26, 0.34, 0.04, 0.03, 0.02, 0.004, 0.006)

Values = NDArray[np.object_]
Columns = dict[str, Values | Column]


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What to generate. `live_rate` > 0 stamps events from `start_ms` at that rate instead of along the day's curve."""

    subscribers: int
    events: int
    seed: int
    day: date = date(2008, 11, 4)
    shares: tuple[float, ...] = SHARES
    live_rate: float = 0.0
    start_ms: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.events <= EVENTS_MAX:
            raise ValueError(f"events={self.events} must be in 0..{EVENTS_MAX}")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must be >= 0")
        if len(self.shares) != len(KINDS) or min(self.shares) < 0 or sum(self.shares) <= 0:
            raise ValueError(f"shares={self.shares} must be {len(KINDS)} numbers >= 0, not all 0")

    @property
    def midnight_ms(self) -> int:
        """When the day begins in the operator's zone, epoch milliseconds."""
        return int(datetime(self.day.year, self.day.month, self.day.day, tzinfo=ZONE).timestamp() * 1000)

    @property
    def id_first(self) -> int:
        """The id of the first event: other days and other seeds (up to 1,000) have other ids."""
        return (self.midnight_ms // DAY_MS * 1000 + self.seed % 1000) * 10_000_000_000 + 1

    @property
    def chunk_count(self) -> int:
        """How many chunks the events make."""
        return -(-self.events // CHUNK_ROWS)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events in time order. `rows[kind]` are the rows of a kind, `fields[kind]` its columns over those rows."""

    first: int
    at_ms: Column
    number: Column
    id: Column
    rows: dict[str, Column]
    fields: dict[str, Columns] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """How many events the chunk holds."""
        return len(self.at_ms)


def chunks(plan: DayPlan, people: Population) -> Iterator[Chunk]:
    """Yield the whole day in order."""
    return (make_chunk(plan, people, number) for number in range(plan.chunk_count))


def make_chunk(plan: DayPlan, people: Population, number: int) -> Chunk:
    """Return the chunk of that number; equal arguments make equal chunks."""
    rng = np.random.default_rng([plan.seed, 2, number])
    first = number * CHUNK_ROWS
    n = min(CHUNK_ROWS, plan.events - first)
    at_ms = _times(plan, rng, first, n)
    minute = (at_ms + ZONE_MS) % DAY_MS // 60_000
    shares = np.array(plan.shares, dtype=np.float64)
    kind = np.searchsorted(np.cumsum(shares / shares.sum()), rng.random(n), side="right").clip(0, len(KINDS) - 1)
    at_night = (kind == VISIT) & ((minute < HALLS_OPEN_MIN) | (minute >= HALLS_CLOSE_MIN))
    kind[at_night] = 0
    who = (people.n * rng.random(n) ** 1.4).astype(np.int64)
    rows: dict[str, Column] = {}
    fields: dict[str, Columns] = {}
    for code, name in enumerate(KINDS):
        chosen = np.flatnonzero(kind == code)
        if len(chosen):
            rows[name] = chosen
            who[chosen], fields[name] = FILL[name](Draw(people, minute[chosen], rng), who[chosen])
    ids = plan.id_first + np.arange(first, first + n, dtype=np.int64)
    return Chunk(first, at_ms, people.number[who], ids, rows, fields)


def _times(plan: DayPlan, rng: np.random.Generator, first: int, n: int) -> Column:
    index = np.arange(first, first + n, dtype=np.float64)
    if plan.live_rate > 0:
        return plan.start_ms + (index * (1000.0 / plan.live_rate)).astype(np.int64)
    share = (index + rng.random(n)) / plan.events
    curve = np.concatenate([[0.0], np.cumsum(HOURS) / sum(HOURS)])
    within: Column = np.interp(share, curve, np.arange(25) * 3_600_000.0).astype(np.int64)
    return plan.midnight_ms + within.clip(0, DAY_MS - 1)


def _pick(rng: np.random.Generator, values: tuple[object, ...], n: int) -> Values:
    return np.array(values, dtype=object)[rng.integers(0, len(values), n)]


_CODES = np.array([city.code for city in CITIES], dtype=object)
_PROVINCES = np.array([city.province for city in CITIES], dtype=object)
_TACS = np.array([handset[0] for handset in HANDSETS], dtype=object)
_MODELS = np.array([handset[1] for handset in HANDSETS], dtype=object)
_GPRS = np.array(["true" if handset[2] else "false" for handset in HANDSETS], dtype=object)
_MMS = np.array(["true" if handset[3] else "false" for handset in HANDSETS], dtype=object)
_KINDS_OF_CALL = np.array(["local", "long_distance", "roam_intra", "roam_inter"], dtype=object)

Filled = tuple[Column, Columns]


@dataclass(frozen=True, slots=True)
class Draw:
    """What the events of one kind are drawn from: the people, the minute of each event, and the chunk's chance."""

    people: Population
    minute: Column
    rng: np.random.Generator

    def where(self, who: Column) -> tuple[Column, Column]:
        """Return cell and city of everybody in `who` at their minute."""
        return self.people.where(who, self.minute, self.rng)


def _move(draw: Draw, who: Column) -> Filled:
    cell, city = draw.where(who)
    return who, {
        "cell": CELLS.names[cell],
        "city": _CODES[city],
        "province": _PROVINCES[city],
        "cause": _pick(draw.rng, ("periodic", "handover", "attach", "normal"), len(who)),
    }


def _call(draw: Draw, who: Column) -> Filled:
    n = len(who)
    cell, city = draw.where(who)
    far = draw.rng.random(n) < 0.14
    outgoing = (draw.rng.random(n) < 0.6) | far
    away = np.where(city >= HOME_CITIES, 3, 2)
    sort = np.where(city != draw.people.city[who], away, np.where(far & outgoing, 1, 0))
    holds = (draw.people.services[who] & 1) == 1
    uses_prefix = (sort > 0) & outgoing & np.where(holds, draw.rng.random(n) < 0.7, draw.rng.random(n) < 0.03)
    return who, {
        "kind": _KINDS_OF_CALL[sort],
        "seconds": draw.rng.exponential(75, n).astype(np.int64) + 1,
        "direction": np.where(outgoing, "out", "in").astype(object),
        "cell": CELLS.names[cell],
        "city": _CODES[city],
        "prefix": np.where(uses_prefix, ',"prefix":"12593"', "").astype(object),
    }


def _data(draw: Draw, who: Column) -> Filled:
    n = len(who)
    cell, city = draw.where(who)
    return who, {
        "kbytes": (draw.rng.lognormal(4.8, 1.7, n)).astype(np.int64).clip(1, 200_000),
        "seconds": draw.rng.integers(2, 900, n),
        "apn": _pick(draw.rng, APNS, n),
        "app": _pick(draw.rng, APPS, n),
        "cell": CELLS.names[cell],
        "city": _CODES[city],
    }


def _charge(draw: Draw, who: Column) -> Filled:
    """Information fees; a few cards are burnt within one hour of the day, by the minute."""
    n = len(who)
    burners = max(1, draw.people.n // FRAUD_EVERY)
    hour = draw.minute // 60
    slot = draw.rng.integers(0, 1 << 30, n) % max(1, burners // 24)
    burner = (hour + 24 * slot) * FRAUD_EVERY % draw.people.n
    burnt = draw.rng.random(n) < 0.02
    fee = np.array([100, 200, 300, 500, 800], dtype=np.int64)[draw.rng.integers(0, 5, n)]
    return np.where(burnt, burner, who), {
        "amount_fen": np.where(burnt, draw.rng.integers(1_500, 3_000, n), fee),
        "sp": _pick(draw.rng, PROVIDERS, n),
        "service": _pick(draw.rng, CHARGED, n),
    }


def _handset(draw: Draw, who: Column) -> Filled:
    """Sightings of a handset on attach; subscribers that have just changed theirs are seen more often."""
    n = len(who)
    changers = np.flatnonzero(draw.people.change_at >= 0)
    if len(changers):
        changers = changers[np.argsort(draw.people.change_at[changers], kind="stable")]
        already = np.searchsorted(draw.people.change_at[changers], draw.minute, side="right")
        recent = (already > 0) & (draw.rng.random(n) < 0.05)
        chosen = changers[draw.rng.integers(0, 1 << 30, n) % np.maximum(already, 1)]
        who = np.where(recent, chosen, who)
    handset = draw.people.handset_at(who, draw.minute)
    cell, _ = draw.where(who)
    return who, {
        "imei_tac": _TACS[handset],
        "model": _MODELS[handset],
        "gprs": _GPRS[handset],
        "mms": _MMS[handset],
        "cell": CELLS.names[cell],
    }


def _recharge(draw: Draw, who: Column) -> Filled:
    n = len(who)
    return who, {
        "amount_fen": np.array([3_000, 5_000, 10_000, 20_000, 30_000])[draw.rng.integers(0, 5, n)],
        "paid_at": _pick(draw.rng, PAID_AT, n),
    }


def _complaint(draw: Draw, who: Column) -> Filled:
    n = len(who)
    return who, {"grade": _pick(draw.rng, ("A", "B", "C", "D"), n), "about": _pick(draw.rng, COMPLAINTS, n)}


def _visit(draw: Draw, who: Column) -> Filled:
    n = len(who)
    terminal = _pick(draw.rng, HALLS, n)
    visit = np.array([f"{hall}-{at:04d}-{person}" for hall, at, person in zip(terminal, draw.minute, who, strict=True)])
    return who, {"terminal": terminal, "visit": visit.astype(object)}


FILL: dict[str, Callable[[Draw, Column], Filled]] = {
    "move": _move,
    "call": _call,
    "data": _data,
    "charge": _charge,
    "handset": _handset,
    "recharge": _recharge,
    "complaint": _complaint,
    "visit": _visit,
}


def local_text(time_ms: int) -> str:
    """Write a time in the operator's zone, for people."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(ZONE).isoformat(timespec="seconds")
