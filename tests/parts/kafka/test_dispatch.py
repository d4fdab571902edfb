"""Dispatch of a cluster on a real Kafka, to a message centre that we did not write; counted there and in the log.

The judge reads the topics by itself: what was decided, what the log was told, and in which partition that stands.
"""

import asyncio
import signal
import time
from collections import Counter, defaultdict
from itertools import count

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from rules.load import load_text
from state import decisions
from state.decisions import Outcome, OutcomeState, decision_id
from state.frame import FrameKind, decode
from state.hashing import partition_of
from state.schema import OUTCOME
from tests.parts.kafka.broker import Broker
from tests.parts.kafka.workers import PARTITIONS, Cluster
from tests.parts.smsc.centre import Centre

pytestmark = [pytest.mark.parts, pytest.mark.slow]

BOOK = {
    "book.toml": """
campaign = "care"
[book]
zone = "Asia/Shanghai"
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
fields = { kind = "string!", seconds = "int!" }
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
QUOTA, RATE = 37, 40
MORE = """
[gateways.smsc]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "tester"
password = {{ env = "SMSC_TEST_PASSWORD" }}
window = 50
rate_per_s = 10000.0
reconnect_ms_min = 20
reconnect_ms_max = 500
[channels.sms]
gateway = "smsc"
source_address = "10086"
rate_per_s = 300.0
[channels.slow]
gateway = "smsc"
source_address = "10087"
rate_per_s = {rate}
[channels.few]
gateway = "smsc"
source_address = "10088"
rate_per_s = 1000.0
quota_per_day = {quota}
"""
ENDS = {OutcomeState.COMMITTED, OutcomeState.REFUNDED, OutcomeState.UNKNOWN}
_subscribers = count(8_613_800_000_000)


class Rig:
    """A cluster with one worker that decides, a message centre, and the dispatchers that a test starts."""

    def __init__(self, folder, broker, centre):
        self.centre = centre
        more = MORE.format(port=centre.port, quota=QUOTA, rate=RATE)
        self.cluster = Cluster(folder, broker, BOOK, more=more)
        self.schema = load_text(BOOK).schema
        self.decider = self.cluster.worker("decider", "--agents", "intake,decide")
        self.wanted = 0

    def dispatcher(self, name):
        return self.cluster.worker(name, "--agents", "dispatch")

    def wait_until_sent(self, workers, seconds=40):
        """Wait until every partition of decisions has a dispatcher, and that many have some."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            owned = [len(self.figures(one)) for one in self.cluster.workers[1:]]
            if sum(owned) == PARTITIONS and sum(some > 0 for some in owned) == workers:
                return
            time.sleep(0.1)
        raise AssertionError(f"partitions sent by {workers} dispatchers after {seconds} s: {owned}")

    def figures(self, worker):
        return self.cluster.status(worker).get("dispatch", {}).get("partitions", {})

    def waiting(self):
        return sum(one["waiting"] for worker in self.cluster.workers[1:] for one in self.figures(worker).values())

    def call(self, kind, calls):
        """Let subscribers of their own make calls, each of which is decided once; return who."""
        who = [next(_subscribers) for _ in range(calls)]
        self.call_for(kind, who)
        return who

    def call_for(self, kind, who):
        """Let these subscribers make a call each."""
        line = '{{"type":"call","time":"2025-11-03T08:00:00+08:00","msisdn":{},"id":"{}","kind":"{}","seconds":60}}'
        self.cluster.produce([line.format(one, one, kind).encode() for one in who])

    def submits(self, source=""):
        """Return who got how many submits."""
        return Counter(int(one[1]) for one in self.centre.submits if source in ("", one[0]))

    def judge(self):
        """Return what the topics say now: decisions by id, and their outcomes as the log has them."""
        return asyncio.run(_read(self.cluster.broker.bootstrap, self.schema))

    def judge_until(self, done, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            decided, told = self.judge()
            self.cluster.supervise()
            if done(decided, told):
                return decided, told
            assert time.monotonic() < deadline, (len(decided), Counter(state for one in told.values() for state in one))
            time.sleep(0.5)


async def _read(bootstrap, schema):
    places = [TopicPartition(f"opportune.{name}", p) for name in ("decisions", "log") for p in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    decided, told, texts = {}, defaultdict(Counter), schema
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                for record in records:
                    if place.topic.endswith("decisions"):
                        _take_decisions(decided, place.partition, record.value)
                    else:
                        _take_outcomes(told, place.partition, decode(record.value, lambda _: texts))
    finally:
        await consumer.stop()
    return decided, told


def _take_decisions(decided, partition, value):
    batch = decisions.decode(value[8:])
    for index in (batch.outcome == Outcome.DECIDED).nonzero()[0].tolist():
        name = decision_id(partition, batch.position, int(batch.row[index]), int(batch.rule[index]))
        decided[name] = int(batch.subscriber[index])


def _take_outcomes(told, partition, frame):
    if frame.kind != FrameKind.EVENTS or frame.batch is None:
        return
    batch = frame.batch
    for row in (batch.type == OUTCOME).nonzero()[0].tolist():
        home, position, number, rule, state = batch.cells[:5, row].tolist()
        assert partition_of(int(batch.subscriber[row]), PARTITIONS) == partition == home
        told[decision_id(home, position, number, rule)][OutcomeState(state)] += 1


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dispatch")
    patch = pytest.MonkeyPatch()
    patch.setenv("SMSC_TEST_PASSWORD", "secret")
    broker, centre = Broker(folder / "kafka"), Centre("CloudhopperCentre", 1_000_000, 50, 300, 1)
    broker.start()
    made = None
    try:
        centre.start()
        made = Rig(folder / "cluster", broker, centre)
        yield made
    finally:
        if made is not None:
            made.cluster.close()
        centre.stop()
        broker.kill()
        patch.undo()


def ended(told, ids):
    return all(ENDS & set(told.get(one, ())) for one in ids)


def of(decided, who):
    """Return the decisions of some subscribers."""
    who = set(who)
    return [name for name, subscriber in decided.items() if subscriber in who]


def test_dispatchers_that_die_under_load_send_each_text_once_and_account_for_all(rig):
    one, other = rig.dispatcher("one"), rig.dispatcher("other")
    rig.wait_until_sent(2)
    for step in range(12):
        rig.call("sms", 100)
        if step == 3:
            one.kill()
            rig.cluster.supervise()
        if step == 5:
            other.signal(signal.SIGSTOP)
        if step == 11:
            other.signal(signal.SIGCONT)
        time.sleep(0.6)

    decided, told = rig.judge_until(lambda decided, told: len(decided) == 1200 and ended(told, decided))

    sent = rig.submits()
    assert max(sent.values()) == 1, "no commercial text twice"
    ends = {name: set(states) & ENDS for name, states in told.items()}
    assert all(len(states) == 1 for states in ends.values()), "one end for each"
    for name, subscriber in decided.items():
        (end,) = ends[name]
        assert end is OutcomeState.UNKNOWN or (end is OutcomeState.COMMITTED and sent[subscriber] == 1)
    assert sum(states == {OutcomeState.UNKNOWN} for states in ends.values()) < 300
    assert one.starts > 1


def test_receipts_that_come_over_another_workers_link_reach_their_partitions(rig):
    rig.wait_until_sent(2)
    good, bad = rig.call("sms", 150), [998_000_000_000 + number for number in range(50)]
    rig.call_for("sms", bad)
    last = {OutcomeState.DELIVERED, OutcomeState.UNDELIVERED}

    decided, told = rig.judge_until(
        lambda decided, told: sum(bool(last & set(told.get(name, ()))) for name in of(decided, [*good, *bad])) == 200
    )

    assert all(OutcomeState.DELIVERED in told[name] for name in of(decided, good))
    assert all(OutcomeState.UNDELIVERED in told[name] for name in of(decided, bad))
    passed_on = [rig.cluster.status(one)["dispatch"].get("receipts_passed_on", 0) for one in rig.cluster.workers[1:]]
    assert min(passed_on) > 0, "each worker was told of messages that the other one sent"


def test_quotas_and_rates_hold_over_two_dispatchers_and_a_takeover(rig):
    rig.wait_until_sent(2)
    few = rig.call("few", 150)
    until(lambda: sum(rig.submits("10088").values()) == QUOTA)
    slow, since_s = rig.call("slow", 400), time.monotonic()
    time.sleep(3.0)
    sent, seconds = sum(rig.submits("10087").values()), time.monotonic() - since_s
    assert RATE < sent <= RATE * seconds + 2 * max(1, RATE / 10)

    rig.cluster.workers[1].kill()
    rig.cluster.supervise()
    few += rig.call("few", 150)
    rig.wait_until_sent(2)
    decided, _ = rig.judge_until(lambda decided, _: len(of(decided, few)) == 300)
    time.sleep(1.0)
    assert sum(rig.submits("10088").values()) <= QUOTA
    assert len(of(decided, slow)) == 400


def test_what_is_paused_or_killed_stops_within_a_second_everywhere_and_stays_so(rig):
    rig.wait_until_sent(2)
    slow = rig.call("slow", 400)
    until(lambda: rig.waiting() > 200)

    paused = rig.cluster.command("pause", "rule", "on-slow", "--data", "decider")
    assert paused.returncode == 0, paused.stderr
    time.sleep(1.0)
    before = rig.submits("10087")
    rig.cluster.workers[2].kill()
    rig.cluster.supervise()
    rig.wait_until_sent(2)
    time.sleep(1.0)
    assert rig.submits("10087") == before, "nothing goes after a pause, also from a dispatcher that started later"

    assert rig.cluster.command("kill", "campaign", "care", "--data", "one").returncode == 0
    time.sleep(1.0)
    assert rig.waiting() == 0
    decided, told = rig.judge_until(lambda decided, told: ended(told, of(decided, slow)))
    assert rig.submits("10087") == before
    assert all(OutcomeState.REFUNDED in told[name] for name in of(decided, set(slow) - set(before)))
    assert rig.cluster.command("resume", "campaign", "care", "--data", "one").returncode == 0
    assert [one.stop() for one in rig.cluster.workers] == [0, 0, 0], rig.cluster.workers[1].log


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
