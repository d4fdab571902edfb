"""On 1,000,000 events of the shipped book the decider says what the interpreter says: every record, every value."""

import gc
from collections.abc import Iterator

import pytest

from tests.oracle.day import Day
from tests.oracle.gates import Gate

WORLDS = 4
EVENTS = 250_000
SUBSCRIBERS = 12_000
FED = 240_000
"""Events of the generated day; with profiles and doubled events a world has more than EVENTS."""


@pytest.fixture
def _seldom_collected() -> Iterator[None]:
    """A world is millions of small objects that all stay: looking for garbage among them is a sixth of the time."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.usefixtures("_seldom_collected")
@pytest.mark.parametrize("number", range(WORLDS))
def test_decider_and_interpreter_agree_on_an_operators_day(number: int, seed: int) -> None:
    day = Day(seed * 1000 + number, FED, SUBSCRIBERS)

    day.run()

    assert day.events >= EVENTS
    gates = {Gate(record.gate) for record in day.world.records}
    assert gates >= {Gate.NONE, Gate.PAUSED, Gate.STALE, Gate.ELIGIBILITY, Gate.LIST, Gate.HOLDOUT, Gate.CAP}
    assert gates >= {Gate.OUTRANKED, Gate.NO_VISIT, Gate.CHANNEL_PAUSED}
