"""Rules with `after` in the engine: deadlines come by the wall clock and by the events', through kills and restarts."""

import time
from functools import partial

from engine.flow.steps import STEP_MS
from tests.engine.conftest import Make
from tests.engine.engines import Engine, wait_for
from tests.engine.world import BASE_MS, joined, line

TURN_MS = 300_000
BOOK = """
campaign = "care"
[book]
zone = "Asia/Shanghai"
max_age = "366d"
shelf_life = "7d"
[events.mms]
fields = { message = "string!" }
[events.fetch]
fields = { message = "string!" }
[events.use]
[channels.sms]
[[rule]]
id = "not-fetched"
after = "mms"
within = "125m"
unless = "fetch"
key = "message"
channels = ["sms"]
text.sms = "{message} waits since {armed:%H:%M}"
[[rule]]
id = "silent"
after = "use"
for = "2s"
channels = ["sms"]
text.sms = "silent"
"""
WHO = 8613800000000


def mms(who: int, at_ms: int, message: str, kind: str = "mms") -> bytes:
    return line(type=kind, msisdn=WHO + who, time=at_ms, message=message)


def use(who: int, at_ms: int) -> bytes:
    return line(type="use", msisdn=WHO + who, time=at_ms)


def feed(turns: int) -> list[bytes]:
    """Each turn a message for somebody; the even ones are fetched ten turns later, subscriber 5's too late."""
    lines = []
    for n in range(turns):
        at_ms = BASE_MS + n * TURN_MS
        lines.append((at_ms, mms(n % 7, at_ms, f"m{n}")))
        if n % 2 == 0:
            late_ms = 26 * TURN_MS if n % 7 == 5 else 10 * TURN_MS
            lines.append((at_ms + late_ms, mms(n % 7, at_ms + late_ms, f"m{n}", "fetch")))
    return [text for _, text in sorted(lines)]


def test_deadlines_fire_at_their_times_on_the_events_clock_and_a_kill_changes_nothing(make: Make) -> None:
    lines = feed(100)
    whole, killed = make(BOOK, "events", name="whole"), make(BOOK, "events", name="killed")
    whole.put("day.ndjson", joined(lines))
    whole.drain()
    # A deadline waits 10 s for late events; what it decides goes at the end of its step.
    expected = {
        (WHO + n % 7, BASE_MS + (n + 25) * TURN_MS + STEP_MS, f"m{n} waits since {8 + n // 12:02}:{n % 12 * 5:02}")
        for n in range(79)  # the last lines are few and far ahead: they do not move the clock
        if n % 2 or n % 7 == 5
    }
    assert told(whole) == expected
    third = len(lines) // 3
    parts = [lines[:third], lines[third : 2 * third], lines[2 * third :]]
    for number, part in enumerate(parts):
        killed.put(f"{number}.ndjson", joined(part))
        killed.start()
        before = len(killed.spooled())
        wait_for(partial(has_more, killed, before), "a text of this part")
        killed.kill()
    killed.drain()
    assert told(killed) == expected
    assert len(killed.spooled()) == len(whole.spooled()) == len(expected)


def has_more(engine: Engine, before: int) -> bool:
    return len(engine.spooled()) > before


def told(engine: Engine) -> set[tuple[int, int, str]]:
    """Who was told what, and when."""
    return {(one["to"], one["at_ms"], one["text"]) for one in engine.spooled()}


def test_on_the_events_clock_a_deadline_fires_though_no_more_events_come(make: Make) -> None:
    engine = make(BOOK, "events", '[data]\ndirectory = "data"\nclock = "events"\nlateness_s = 0\n')
    engine.put("day.ndjson", joined(use(who, BASE_MS) for who in (1, 2, 3)))
    engine.start()
    wait_for(lambda: len(engine.spooled()) == 3, "three texts")
    assert {(one["to"], one["text"]) for one in engine.spooled()} == {(WHO + who, "silent") for who in (1, 2, 3)}


def test_by_the_wall_clock_a_deadline_fires_though_the_feed_is_silent_and_a_kill_came_between(make: Make) -> None:
    engine = make(BOOK, "wall", '[data]\ndirectory = "data"\nclock = "wall"\nlateness_s = 0\n')
    engine.start()
    now_ms = time.time_ns() // 1_000_000
    engine.post("/events", joined([use(1, now_ms), use(2, now_ms + 5_000)]))
    wait_for(lambda: len(engine.spooled()) == 1, "the first text")
    engine.kill()
    engine.start()
    wait_for(lambda: len(engine.spooled()) == 2, "the second text")
    texts = [(one["to"], one["text"]) for one in engine.spooled()]
    assert texts == [(WHO + 1, "silent"), (WHO + 2, "silent")]
    assert time.time_ns() // 1_000_000 >= now_ms + 7_000
