"""Dispatch of a cluster on a real Kafka, to a message centre that we did not write; counted there and in the log.

The judge reads the topics by itself: what was decided, what the log was told, and in which partition that stands.
"""

import asyncio
import json
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from aiokafka import TopicPartition

from rules.load import load_text
from state import decisions
from state.decisions import Outcome, OutcomeState, decision_id
from state.frame import Frame, FrameKind, decode
from state.hashing import partition_of
from state.schema import OUTCOME, Schema
from tests.parts.kafka.rig import records
from tests.parts.kafka.workers import PARTITIONS, Cluster, Worker, cluster_on
from tests.parts.smsc.centre import Centre, channel_settings, gateway_settings

pytestmark = [pytest.mark.parts, pytest.mark.slow]

ZONE = "UTC" if 6 <= datetime.now(UTC).hour < 18 else "Asia/Shanghai"
"""One in which no midnight comes soon: quotas are those of a day."""
BOOK = {
    "book.toml": f"""
campaign = "care"
[book]
zone = "{ZONE}"
max_age = "30000d"
[channels.sms]
kind = "sms"
[channels.slow]
kind = "sms"
[channels.few]
kind = "sms"
[offers.one]
title = "one"
[events.call]
fields = {{ kind = "string!", seconds = "int!" }}
"""
    + "".join(
        f"""
[[rule]]
id = "on-{name}"
on = "call"
when = "kind == '{name}'"
offer = "one"
channels = ["{name}"]
reason = "called"
text.{name} = "You called {{kind}}"
"""
        for name in ("sms", "slow", "few")
    )
}
QUOTA, RATE, SMS_RATE, WINDOW = 37, 40, 300, 50
ENDS = {OutcomeState.COMMITTED, OutcomeState.REFUNDED, OutcomeState.UNKNOWN}
IN_DOUBT_MAX = WINDOW + SMS_RATE // 10
"""What one dispatcher that stops leaves UNKNOWN at most: a window of texts without an answer, and, answered but not yet
committed as answered, what its rate lets go at once: a tenth of a second's."""
_subscribers = count(8_613_800_000_000)


class Rig:
    """A cluster with one worker that decides and two that dispatch, and a message centre."""

    def __init__(self, cluster: Cluster, centre: Centre) -> None:
        self.cluster, self.centre = cluster, centre
        self.schema = load_text(BOOK).schema
        cluster.worker("decider", "--agents", "intake,decide")
        self.dispatchers = [cluster.worker(name, "--agents", "dispatch") for name in ("one", "other")]

    def wait_until_sent(self, seconds: float = 40) -> None:
        """Wait until every partition of decisions has a dispatcher, and both have some."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            owned = [len(self.figures(one)) for one in self.dispatchers]
            if sum(owned) == PARTITIONS and min(owned) > 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"partitions sent by both dispatchers after {seconds} s: {owned}")

    def figures(self, worker: Worker) -> dict[str, Any]:
        return dict(self.cluster.status(worker).get("dispatch", {}).get("partitions", {}))

    def waiting(self) -> int:
        return sum(one["waiting"] for worker in self.dispatchers for one in self.figures(worker).values())

    def call(self, kind: str, calls: int) -> list[int]:
        """Let subscribers of their own make calls, each of which is decided once; return who."""
        who = [next(_subscribers) for _ in range(calls)]
        self.call_for(kind, who)
        return who

    def call_for(self, kind: str, who: Iterable[int]) -> None:
        """Let these subscribers make a call each."""
        line = '{{"type":"call","time":"2025-11-03T08:00:00+08:00","msisdn":{},"id":"{}","kind":"{}","seconds":60}}'
        self.cluster.produce([line.format(one, one, kind).encode() for one in who])

    def submits(self, source: str = "") -> Counter[int]:
        """Return who got how many submits."""
        return Counter(int(one[1]) for one in self.centre.submits if source in ("", one[0]))

    def judge(self) -> tuple[dict[str, int], dict[str, Counter[OutcomeState]]]:
        """Return what the topics say now: decisions by id, and their outcomes as the log has them."""
        return asyncio.run(_read(self.cluster.broker.bootstrap, self.schema))

    def judge_until(
        self, done: Callable[[dict[str, int], dict[str, Counter[OutcomeState]]], bool], seconds: float = 60
    ) -> tuple[dict[str, int], dict[str, Counter[OutcomeState]]]:
        deadline = time.monotonic() + seconds
        while True:
            decided, told = self.judge()
            self.cluster.supervise()
            if done(decided, told):
                return decided, told
            assert time.monotonic() < deadline, (len(decided), Counter(state for one in told.values() for state in one))
            time.sleep(0.5)


async def _read(bootstrap: str, schema: Schema) -> tuple[dict[str, int], dict[str, Counter[OutcomeState]]]:
    places = [TopicPartition(f"opportune.{name}", p) for name in ("decisions", "log") for p in range(PARTITIONS)]
    decided: dict[str, int] = {}
    told: dict[str, Counter[OutcomeState]] = defaultdict(Counter)
    for record in await records(bootstrap, places):
        if record.topic.endswith("decisions"):
            _take_decisions(decided, record.partition, record.value)
        else:
            _take_outcomes(told, record.partition, decode(record.value, lambda _: schema))
    return decided, told


def _take_decisions(decided: dict[str, int], partition: int, value: bytes) -> None:
    batch = decisions.decode(value[8:])
    for index in (batch.outcome == Outcome.DECIDED).nonzero()[0].tolist():
        name = decision_id(partition, batch.position, int(batch.row[index]), int(batch.rule[index]))
        decided[name] = int(batch.subscriber[index])


def _take_outcomes(told: dict[str, Counter[OutcomeState]], partition: int, frame: Frame) -> None:
    if frame.kind != FrameKind.EVENTS or frame.batch is None:
        return
    batch = frame.batch
    for row in (batch.type == OUTCOME).nonzero()[0].tolist():
        home, position, number, rule, state = batch.cells[:5, row].tolist()
        assert partition_of(int(batch.subscriber[row]), PARTITIONS) == partition == home
        told[decision_id(home, position, number, rule)][OutcomeState(state)] += 1


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("dispatch")
    centre = Centre("CloudhopperCentre", 1_000_000, WINDOW, 300, 1)
    more = "".join((
        gateway_settings(centre.port, '{ env = "SMSC_TEST_PASSWORD" }', WINDOW),
        channel_settings("sms", "10086", SMS_RATE),
        channel_settings("slow", "10087", RATE),
        channel_settings("few", "10088", 1_000, QUOTA),
    ))  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, ExitStack() as closing:
        patch.setenv("SMSC_TEST_PASSWORD", "secret")
        centre.start()
        closing.callback(centre.stop)
        yield Rig(closing.enter_context(cluster_on(folder, BOOK, more=more)), centre)


@pytest.fixture
def rig(running: Rig) -> Rig:
    """The rig as every test finds it: all workers run, and both dispatchers have partitions."""
    running.cluster.supervise()
    running.wait_until_sent()
    return running


def ended(told: dict[str, Counter[OutcomeState]], ids: Iterable[str]) -> bool:
    return all(ENDS & set(told.get(one, ())) for one in ids)


def of(decided: dict[str, int], who: Iterable[int]) -> list[str]:
    """Return the decisions of some subscribers."""
    who = set(who)
    return [name for name, subscriber in decided.items() if subscriber in who]


def ends_of(told: dict[str, Counter[OutcomeState]], ids: Iterable[str]) -> dict[str, OutcomeState]:
    """Return how each decision ended. The log may be told of an end again, behind a crash, but never of another one."""
    kinds = {name: [state for state in told[name] if state in ENDS] for name in ids}
    assert {name: states for name, states in kinds.items() if len(states) != 1} == {}, (
        "exactly one kind of end for each"
    )
    return {name: state for name, (state,) in kinds.items()}


def test_dispatchers_that_die_under_load_send_each_text_once_and_account_for_all(rig: Rig) -> None:
    (one, other), who = rig.dispatchers, []
    starts = one.starts
    for step in range(12):
        who += rig.call("sms", 100)
        if step == 3:
            one.kill()
            rig.cluster.supervise()
        if step == 5:
            other.signal(signal.SIGSTOP)
        if step == 11:
            other.signal(signal.SIGCONT)
        time.sleep(0.6)

    decided, told = rig.judge_until(
        lambda decided, told: len(of(decided, who)) == 1200 and ended(told, of(decided, who))
    )

    sent = rig.submits()
    assert max(sent.values()) == 1, "no commercial text twice"
    assert told.keys() <= decided.keys(), "nothing is told of what nobody decided"
    ends = ends_of(told, of(decided, who))
    for name, end in ends.items():
        assert end is OutcomeState.UNKNOWN or (end is OutcomeState.COMMITTED and sent[decided[name]] == 1)
    in_doubt = Counter(ends.values())[OutcomeState.UNKNOWN]
    print(f"in doubt: {in_doubt} of {len(ends)}")
    assert in_doubt <= 2 * IN_DOUBT_MAX, "one was killed, one stood still until others had its partitions"
    assert one.starts > starts


def test_receipts_that_come_over_another_workers_link_reach_their_partitions(rig: Rig) -> None:
    good, bad = rig.call("sms", 150), [998_000_000_000 + number for number in range(50)]
    rig.call_for("sms", bad)
    last = {OutcomeState.DELIVERED, OutcomeState.UNDELIVERED}

    decided, told = rig.judge_until(
        lambda decided, told: sum(bool(last & set(told.get(name, ()))) for name in of(decided, [*good, *bad])) == 200
    )

    assert all(OutcomeState.DELIVERED in told[name] for name in of(decided, good))
    assert all(OutcomeState.UNDELIVERED in told[name] for name in of(decided, bad))
    passed_on = [rig.cluster.status(one)["dispatch"].get("receipts_passed_on", 0) for one in rig.dispatchers]
    assert min(passed_on) > 0, "each worker was told of messages that the other one sent"


def test_the_status_of_the_cluster_tells_who_sends_and_how_much_waits_exactly(rig: Rig) -> None:
    def asked() -> list[dict[str, Any]]:
        done = rig.cluster.command("status", "--cluster", "--once", "--format", "json")
        return list(json.loads(done.stdout)["sending"])

    until(lambda: all(one["waiting"] == 0 for one in asked()))
    before = asked()
    assert [one["partition"] for one in before] == list(range(PARTITIONS))
    assert {one["owner"].rpartition("/")[2] for one in before} == {"one", "other"}

    for worker in rig.dispatchers:
        worker.signal(signal.SIGSTOP)
    who = rig.call("sms", 40)
    rig.judge_until(lambda decided, _: len(of(decided, who)) == 40)
    after = asked()
    for worker in rig.dispatchers:
        worker.signal(signal.SIGCONT)

    assert [one["waiting"] for one in after] == [
        one["end"] - was["end"] for one, was in zip(after, before, strict=True)
    ]
    assert sum(one["waiting"] for one in after) > 0


def test_quotas_and_rates_hold_over_two_dispatchers_and_a_takeover(rig: Rig) -> None:
    few = rig.call("few", 150)
    until(lambda: rig.submits("10088").total() == QUOTA)
    before = rig.submits("10087").total()
    slow, since_s = rig.call("slow", 400), time.monotonic()
    time.sleep(3.0)
    sent, seconds = rig.submits("10087").total() - before, time.monotonic() - since_s
    assert RATE < sent <= RATE * seconds + 2 * max(1, RATE / 10)

    rig.dispatchers[0].kill()
    rig.cluster.supervise()
    few += rig.call("few", 150)
    rig.wait_until_sent()
    decided, _ = rig.judge_until(lambda decided, _: len(of(decided, few)) == 300)
    time.sleep(1.0)
    assert rig.submits("10088").total() <= QUOTA
    assert len(of(decided, slow)) == 400


def test_what_is_paused_or_killed_stops_within_a_second_everywhere_and_stays_so(rig: Rig) -> None:
    slow = rig.call("slow", 400)
    rig.judge_until(lambda decided, _: len(of(decided, slow)) == 400)
    assert rig.waiting() > 200

    paused = rig.cluster.command("pause", "rule", "on-slow", "--data", "decider")
    assert paused.returncode == 0, paused.stderr
    time.sleep(1.0)
    before = rig.submits("10087")
    rig.dispatchers[1].kill()
    rig.cluster.supervise()
    rig.wait_until_sent()
    time.sleep(1.0)
    assert rig.submits("10087") == before, "nothing goes after a pause, also from a dispatcher that started later"

    assert rig.cluster.command("kill", "campaign", "care", "--data", "one").returncode == 0
    time.sleep(1.0)
    assert rig.waiting() == 0
    decided, told = rig.judge_until(lambda decided, told: ended(told, of(decided, slow)))
    assert rig.submits("10087") == before
    assert all(OutcomeState.REFUNDED in told[name] for name in of(decided, set(slow) - set(before)))
    for what in (("campaign", "care"), ("rule", "on-slow")):
        assert rig.cluster.command("resume", *what, "--data", "one").returncode == 0
    assert [one.stop() for one in rig.cluster.workers] == [0, 0, 0], rig.dispatchers[0].log


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
