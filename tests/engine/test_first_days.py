"""The shipped book tells nobody on its first day that a call is the first, and after its week those whose first it is.

A share of `python -m tests.engine.first_days`, which takes 100,000 customers.
"""

from tests.engine.first_days import LEARNING_DAYS, live

CUSTOMERS = 5_000
REACH_MAX = 0.02


def test_first_rules_reach_nobody_while_they_learn_and_then_exactly_those_whose_first_it_is() -> None:
    days = live(CUSTOMERS, 10)

    assert [len(day.asked) for day in days[:LEARNING_DAYS]] == [0] * LEARNING_DAYS
    assert len(days[0].truth) > CUSTOMERS * REACH_MAX, "without learning, so many were told on the first day"
    after = days[LEARNING_DAYS]
    assert after.asked == after.truth
    assert after.truth
    assert after.reached <= after.truth
    assert after.share(CUSTOMERS) < REACH_MAX
