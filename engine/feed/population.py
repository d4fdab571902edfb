"""The subscribers of a generated operator, one column per trait.

A trait is drawn once from the seed: where somebody lives and works, whether they travel today and when, which handset
they carry and when they change it. `where` answers in which cell each subscriber is at a time of day. Numbers are
spread over the prefixes of 2008, so that neighbours in the table are not neighbours in number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.feed.places import (
    BRAND_WEIGHTS,
    CELLS,
    CITIES,
    FAIR_CELLS,
    HANDSETS,
    HANDSETS_PLAIN,
    HOME_CITIES,
    SERVICE_SHARES,
    SURNAMES,
)

Column = NDArray[np.int64]

SUBSCRIBERS_MAX = 50_000_000
PREFIXES = np.array([134, 135, 136, 137, 138, 139, 150, 158, 159], dtype=np.int64)
TAIL_STEP, TAIL_START, TAIL_COUNT = 7_654_321, 20_081_104, 100_000_000

WORK_FROM_MIN, WORK_TO_MIN = 510, 1080
TRIP_SHARE, TRIP_ABROAD_SHARE = 0.06, 0.5
FAIR_SHARE = 0.03
CHANGE_SHARE = 0.003
FRAUD_EVERY = 2_000


def numbers(index: Column) -> Column:
    """Return the E.164 numbers of subscribers by their index: every index its own number."""
    tail = (index // len(PREFIXES) * TAIL_STEP + TAIL_START) % TAIL_COUNT
    return 86_000_0000_0000 + PREFIXES[index % len(PREFIXES)] * TAIL_COUNT + tail


@dataclass(frozen=True)
class Population:
    """Traits by subscriber index; times are minutes of the day, -1 where the thing does not happen."""

    number: Column
    surname: NDArray[np.int8]
    form: NDArray[np.int8]
    brand: NDArray[np.int8]
    services: NDArray[np.int16]
    package_mb: NDArray[np.int16]
    tenure_months: NDArray[np.int16]
    city: NDArray[np.int8]
    home_cell: NDArray[np.int32]
    work_cell: NDArray[np.int32]
    trip_city: NDArray[np.int8]
    trip_from: NDArray[np.int16]
    trip_to: NDArray[np.int16]
    fair_from: NDArray[np.int16]
    handset: NDArray[np.int8]
    handset_next: NDArray[np.int8]
    change_at: NDArray[np.int16]

    @property
    def n(self) -> int:
        """How many subscribers there are."""
        return len(self.number)

    def where(self, who: Column, minute: Column, rng: np.random.Generator) -> tuple[Column, Column]:
        """Return the cell and the city of each subscriber in `who` at its minute of the day."""
        travelling = (self.trip_from[who] >= 0) & (minute >= self.trip_from[who]) & (minute < self.trip_to[who])
        city = np.where(travelling, self.trip_city[who], self.city[who]).astype(np.int64)
        working = (minute >= WORK_FROM_MIN) & (minute < WORK_TO_MIN)
        cell = np.where(working, self.work_cell[who], self.home_cell[who]).astype(np.int64)
        roamed = CELLS.starts[city] + (who * 31 + minute // 120) % CELLS.counts[city]
        drifted = CELLS.starts[city] + rng.integers(0, 1 << 30, len(who)) % CELLS.counts[city]
        cell = np.where(travelling, roamed, cell)
        cell = np.where(rng.random(len(who)) < 0.12, drifted, cell)
        from_min = self.fair_from[who]
        at_fair = (from_min >= 0) & (minute >= from_min) & (minute < from_min + 180) & ~travelling
        return np.where(at_fair, who % FAIR_CELLS, cell), city

    def handset_at(self, who: Column, minute: Column) -> Column:
        """Return the index of the handset each subscriber carries at its minute of the day."""
        changed = (self.change_at[who] >= 0) & (minute >= self.change_at[who])
        return np.where(changed, self.handset_next[who], self.handset[who]).astype(np.int64)


def make_population(subscribers: int, seed: int) -> Population:
    """Return the population of a seed; `subscribers` must lie in 1..SUBSCRIBERS_MAX."""
    if not 1 <= subscribers <= SUBSCRIBERS_MAX:
        raise ValueError(f"subscribers={subscribers} must be in 1..{SUBSCRIBERS_MAX}")
    rng = np.random.default_rng([seed, 1])
    n = subscribers
    weights = np.array([city.weight for city in CITIES], dtype=np.float64)
    city = rng.choice(len(CITIES), n, p=weights / weights.sum())
    trip_city, trip_from, trip_to = _trips(rng, city)
    services = np.zeros(n, dtype=np.int16)
    for bit, share in enumerate(SERVICE_SHARES):
        services |= (rng.random(n) < share).astype(np.int16) << np.int16(bit)
    fair = (rng.random(n) < FAIR_SHARE) & (city == 0)
    changes = rng.random(n) < CHANGE_SHARE
    return Population(
        number=numbers(np.arange(n, dtype=np.int64)),
        surname=rng.integers(0, len(SURNAMES), n, dtype=np.int8),
        form=rng.integers(0, 2, n, dtype=np.int8),
        brand=rng.choice(len(BRAND_WEIGHTS), n, p=BRAND_WEIGHTS).astype(np.int8),
        services=services,
        package_mb=np.array([0, 10, 30, 100], dtype=np.int16)[rng.choice(4, n, p=(0.55, 0.25, 0.15, 0.05))],
        tenure_months=rng.integers(1, 120, n, dtype=np.int16),
        city=city.astype(np.int8),
        home_cell=(CELLS.starts[city] + rng.integers(0, 1 << 30, n) % CELLS.counts[city]).astype(np.int32),
        work_cell=(CELLS.starts[city] + rng.integers(0, 1 << 30, n) % CELLS.counts[city]).astype(np.int32),
        trip_city=trip_city,
        trip_from=trip_from,
        trip_to=trip_to,
        fair_from=np.where(fair, rng.integers(540, 900, n), -1).astype(np.int16),
        handset=rng.integers(0, len(HANDSETS), n, dtype=np.int8),
        handset_next=rng.integers(HANDSETS_PLAIN, len(HANDSETS), n, dtype=np.int8),
        change_at=np.where(changes, rng.integers(480, 1320, n), -1).astype(np.int16),
    )


def _trips(rng: np.random.Generator, city: Column) -> tuple[NDArray[np.int8], NDArray[np.int16], NDArray[np.int16]]:
    """Draw today's trips: half of them within the province, half beyond; nobody travels to where they live."""
    n = len(city)
    goes = rng.random(n) < TRIP_SHARE
    within = (city + rng.integers(1, HOME_CITIES, n)) % HOME_CITIES
    beyond = rng.integers(HOME_CITIES, len(CITIES), n)
    target = np.where(rng.random(n) < TRIP_ABROAD_SHARE, beyond, within)
    leaves = rng.integers(360, 900, n)
    returns = leaves + rng.integers(120, 720, n)
    return (
        np.where(goes, target, -1).astype(np.int8),
        np.where(goes, leaves, -1).astype(np.int16),
        np.where(goes, returns, -1).astype(np.int16),
    )
