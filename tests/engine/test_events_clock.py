"""On the events' own clock a run that was ended with texts waiting goes on where it stood, and ends."""

import signal

import pytest

from state.decisions import parse_decision_id
from state.hashing import stable_id
from tests.engine.conftest import Make
from tests.engine.engines import Engine, wait_for
from tests.engine.world import BASE_MS, call, joined

BOOK = """
campaign = "care"
[book]
zone = "Asia/Shanghai"
max_age = "366d"
shelf_life = "7d"
[events.call]
fields = { kind = "string!", seconds = "int" }
[channels.sms]
[channels.alert]
[[rule]]
id = "hello"
on = "call"
channels = ["sms"]
text.sms = "hello"
"""
SLOW = """
[gateways.spool]
kind = "spool"
folder = "spool"
rate_per_s = 1000.0
[channels.sms]
gateway = "spool"
rate_per_s = 100.0
"""
TEXTS = 1_000


def made(make: Make, name: str) -> Engine:
    """An engine with texts to send: the first half is due at one time, the rest an hour later."""
    engine = make(BOOK, "events", SLOW, name)
    half = TEXTS // 2
    engine.put(
        "day.ndjson",
        joined(call(8613800000000 + n, BASE_MS + (n > half) * 3_600_000 + n) for n in range(1, TEXTS + 1)),
    )
    return engine


def sent(engine: Engine) -> list[tuple[int, int]]:
    return sorted((one["at_ms"], one["to"]) for one in engine.spooled())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_texts_that_waited_for_their_rate_go_in_the_next_run_at_the_times_of_an_undisturbed_one(
    make: Make, number: signal.Signals
) -> None:
    engine, other = made(make, "disturbed"), made(make, "undisturbed")
    engine.start("--drain", ready=False)
    wait_for(lambda: len(engine.spooled()) > 20, "the first texts")
    assert engine.process is not None
    engine.process.signal(number)
    assert engine.process.wait(20) == (0 if number == signal.SIGTERM else -number)

    engine.start("--drain", ready=False)
    assert engine.process.wait(40) == 0, engine.process.err
    other.drain()
    assert len({to for _, to in sent(other)}) == len(sent(other)) == TEXTS
    assert sent(engine) == sent(other)


ANSWERING = """
[features.told]
count = "outcome"
[[rule]]
id = "heard"
on = "outcome"
when = "told == 1"
channels = ["alert"]
"""


def test_what_is_decided_on_an_outcome_goes_at_the_moment_of_that_outcome_before_any_later_row_is_folded(
    make: Make,
) -> None:
    engine = make(BOOK + ANSWERING, "events")
    engine.put("day.ndjson", joined(call(8613800000000 + n, BASE_MS + n * 60_000) for n in range(20)))
    engine.drain()

    times: dict[int, list[int]] = {}
    for one in engine.spooled():
        times.setdefault(parse_decision_id(one["id"])[3], []).append(one["at_ms"])
    texts, alerts = (sorted(times[stable_id(rule)]) for rule in ("hello", "heard"))
    assert len(set(texts)) > 10
    assert alerts == texts
