"""kill -9, twenty times under load: nothing lost, nothing doubled, no cap broken, and the same decisions as without."""

import random
import signal
import time
from typing import Any

import pytest

from state.decisions import OutcomeState
from tests.engine.conftest import Make
from tests.engine.engines import Engine
from tests.faults import counting
from tests.faults.offering import (
    FILE_SUBSCRIBERS,
    FIRST,
    FIRST_BY_HTTP,
    HTTP_SUBSCRIBERS,
    Caller,
    Files,
    Lines,
)

KILLS = 20
SMALL = """
[data]
directory = "data"
clock = "events"
[log]
segment_bytes = 1048576
[state]
memory_subscribers = 1000
recovery_target_s = 0.05
[limits]
batch_events_max = 256
"""
"""Settings that make everything happen often: new segments, sweeps, sleeping subscribers, small frames."""


@pytest.mark.slow
def test_twenty_kills_under_load_lose_nothing_and_double_nothing(make: Make, seed: int) -> None:
    chance = random.Random(seed)
    engine = make(more=SMALL)
    files = Files(engine, Lines(seed, FIRST, FILE_SUBSCRIBERS, broken=0.01), per_file=1_500, pause_s=0.25)
    caller = Caller(engine, Lines(seed + 1, FIRST_BY_HTTP, HTTP_SUBSCRIBERS, broken=0.0), per_body=100, seed=seed)
    files.start()
    caller.start()
    for kill in range(KILLS):
        engine.start(ready=kill % 4 > 0)
        time.sleep(chance.uniform(0.0, 0.6))
        it_ran_until_it_is_killed(engine)
    engine.start()
    files.finish()
    caller.finish()
    it_ran_until_it_is_killed(engine)
    engine.drain()

    records = engine.records()
    everything_is_there_once(engine, files, caller, records)
    other = make(name="undisturbed", more=SMALL)
    the_decisions_are_those_of_an_undisturbed_run(engine, records, other)


def it_ran_until_it_is_killed(engine: Engine) -> None:
    engine.kill()
    assert engine.process is not None
    assert engine.process.wait() == -signal.SIGKILL, engine.process.err


def everything_is_there_once(engine: Engine, files: Files, caller: Caller, records: list[dict[str, Any]]) -> None:
    data = engine.data
    expected, broken = counting.rows_of_lines(files.offered)
    offered, _ = counting.rows_of_lines(caller.offered)
    places = counting.letters(data, "inbox")
    ids = [one["id"] for one in records]

    assert len(files.offered) > 20_000
    assert caller.answers > KILLS
    assert counting.rows_of_log(data, deduped=False) == expected
    assert counting.rows_of_log(data, deduped=True) == offered
    assert (len(places), len(set(places))) == (broken, broken)
    for _, reached in counting.journal_positions(data):
        assert reached == sorted(set(reached))
    assert len(ids) == len(set(ids))
    assert counting.breaches(records, counting.contacts(data)) == []
    each_decision_has_one_end(engine, [one["id"] for one in records if one["gate"] is None])


def each_decision_has_one_end(engine: Engine, decided: list[str]) -> None:
    """What was committed stands in the spool once; what was on its way when a kill came is unknown, and not resent."""
    sent = counting.messages(engine)
    heard = counting.outcomes(engine.data)

    assert heard.keys() == set(decided)
    assert {len(states) for states in heard.values()} == {1}
    committed = {one for one, states in heard.items() if states == {OutcomeState.COMMITTED}}
    unknown = {one for one, states in heard.items() if states == {OutcomeState.UNKNOWN}}
    assert committed | unknown == set(decided)
    assert set(sent.values()) == {1}
    assert committed <= sent.keys() <= committed | unknown
    assert len(unknown) < len(committed) // 10


def the_decisions_are_those_of_an_undisturbed_run(engine: Engine, records: list[dict[str, Any]], other: Engine) -> None:
    for path in sorted(engine.inbox.iterdir()):
        other.put(path.name, path.read_bytes())
    other.drain()

    disturbed = counting.what_was_decided(records, FIRST_BY_HTTP)
    undisturbed = counting.what_was_decided(other.records(), FIRST_BY_HTTP)

    assert sum(undisturbed.values()) > 1_000
    assert disturbed == undisturbed
