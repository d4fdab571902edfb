"""Intervals that may be looked at every day.

The full count, 1,000 worlds of each kind: `python -m tests.engine.evidence.worlds` (16 s of processor).
"""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evidence.interval import interval, log_e, nearest
from engine.evidence.units import Lift
from tests.engine.evidence.worlds import ALPHA, excludes_zero, share_found, world

shares = st.floats(0.01, 0.99)


@given(shares, shares, st.integers(0, 4), st.integers(0, 4), st.floats(-0.9, 0.9), st.floats(0.02, 0.98))
def test_no_hypothesis_expects_more_than_one_of_its_e_value(
    q1: float, q0: float, n1: int, n0: int, delta: float, place: float
) -> None:
    first, last = max(0.0, -delta), min(1.0, 1.0 - delta)
    p0 = first + (last - first) * place
    p1 = p0 + delta
    one = np.array([1.0])
    r0 = float(nearest(q1 * one, q0 * one, n1 * one, n0 * one, delta * one)[0])
    r1 = r0 + delta
    expected = 0.0
    for outcome in product((0, 1), repeat=n1 + n0):
        likely, value = 1.0, 1.0
        for number, y in enumerate(outcome):
            p, q, r = (p1, q1, r1) if number < n1 else (p0, q0, r0)
            likely *= p if y else 1 - p
            value *= (q if y else 1 - q) / (r if y else 1 - r)
        expected += likely * value

    assert expected <= 1 + 1e-6


def test_of_1000_worlds_without_an_effect_at_most_one_in_twenty_ever_excludes_zero_in_60_looks() -> None:
    rng = np.random.default_rng(20081104)

    wrong = sum(excludes_zero(world(rng, a_day=300, held_out=0.05, share=0.04, lift=0.0)) for _ in range(1_000))

    assert wrong <= 1_000 * ALPHA


def test_the_interval_excludes_zero_where_the_e_value_of_zero_reached_its_limit() -> None:
    rng = np.random.default_rng(7)
    for lift in (0.0, 0.02, -0.03):
        blocks = world(rng, a_day=400, held_out=0.2, share=0.1, lift=lift)
        for looks in (1, 10, 60):
            found = interval(blocks[:looks])
            assert found.sure == excludes_zero(blocks[:looks])
            assert found.low <= found.high
        assert interval(blocks).high - interval(blocks).low < interval(blocks[:10]).high - interval(blocks[:10]).low


def test_an_effect_is_found_and_the_interval_holds_it() -> None:
    rng = np.random.default_rng(3)
    for lift, power in ((0.01, 0.1), (0.02, 0.9), (0.05, 1.0)):
        found, held = share_found(rng, lift, worlds=12)
        assert found >= power
        assert held > 0.8


@pytest.mark.parametrize("blocks", [np.zeros((0, 4)), np.array([[5.0, 1, 0, 0]]), np.array([[0.0, 0, 9, 9]])])
def test_of_one_arm_alone_nothing_is_known(blocks: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> None:
    assert (interval(blocks).low, interval(blocks).high) == (-1.0, 1.0)


def test_contacts_that_hurt_are_said_to_hurt() -> None:
    blocks = np.array([[1_000.0, 50, 1_000, 200]] * 5)

    lift = Lift("stays", "rule r", 5_000, 250, 5_000, 1_000, 5, interval(blocks))

    assert lift.verdict == "HURTS"
    assert lift.interval.low < -0.15 < lift.interval.high < 0


def test_days_on_which_nobody_is_held_out_say_nothing_of_a_difference() -> None:
    blocks = np.array([[100.0, 10, 0, 0]] * 30)

    assert np.allclose(log_e(blocks, np.array([-0.05, 0.0, 0.05])), 0, atol=1e-6)
