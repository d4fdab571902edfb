"""Additive increase, multiplicative decrease."""

from connectors.gateways.pace import Pace, PaceLimits


def send(pace: Pace, now: float, count: int) -> None:
    for _ in range(count):
        pace.sent(now)


def test_nothing_is_held_back_before_the_first_refusal() -> None:
    pace = Pace(PaceLimits())
    send(pace, 10.0, 5000)
    assert pace.room(10.0) > 1000


def test_a_refusal_pauses_and_halves_the_rate() -> None:
    pace = Pace(PaceLimits())
    send(pace, 10.2, 100)
    assert pace.throttled(10.3) == 1001
    assert pace.rate_per_s == 50
    assert pace.room(11.2) == 0
    assert pace.room(11.31) >= 1


def test_refusals_of_the_same_burst_count_once() -> None:
    pace = Pace(PaceLimits())
    send(pace, 10.2, 100)
    pace.throttled(10.3)
    pace.throttled(10.4)
    assert pace.rate_per_s == 50


def test_the_pause_doubles_while_refusals_follow_and_starts_anew_after_peace() -> None:
    pace = Pace(PaceLimits(pause_ms_max=3000))
    send(pace, 10.0, 100)
    assert pace.throttled(10.0) == 1001
    assert pace.throttled(11.5) == 2001
    assert pace.throttled(14.0) == 3001
    assert pace.throttled(30.0) == 1001


def test_the_rate_grows_step_by_step_and_the_limit_is_lifted_where_the_trouble_began() -> None:
    pace = Pace(PaceLimits(step_per_s=10))
    send(pace, 10.0, 100)
    pace.throttled(10.0)
    pace.room(13.0)
    assert pace.rate_per_s == 70
    pace.room(16.1)
    assert pace.unlimited


def test_a_limited_pace_gives_out_no_more_than_its_rate() -> None:
    pace = Pace(PaceLimits(step_per_s=0))
    send(pace, 10.0, 100)
    pace.throttled(10.0)
    given = 0
    for tick in range(1000):
        now = 11.0 + tick / 100
        for _ in range(pace.room(now)):
            pace.sent(now)
            given += 1
    assert 480 <= given <= 510
