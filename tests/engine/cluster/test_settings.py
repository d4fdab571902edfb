"""Settings, topics and the watchdog of a cluster; no broker is needed here."""

import asyncio
import contextlib
import re
from typing import Any

import pytest

from connectors.kafka import BrokerError
from engine.commands.shared.error import CommandError
from engine.commands.worker import check_events_clock
from engine.runtimes.cluster.shared import watchdog as module
from engine.runtimes.cluster.shared.topics import topics_of
from engine.runtimes.cluster.shared.watchdog import SilentError, Watchdog
from engine.settings.config import Config
from engine.settings.reading import ConfigErrors, parse_config


def cluster(**words: Any) -> Config:
    return Config.model_validate({"data": {"partitions": 8}, "cluster": words})


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ('bootstrap = ["kafka"]', "bootstrap='kafka' must be host:port"),
        ('ca_file = "ca.pem"', "ca_file, certificate_file and key_file need tls=true"),
        ('tls = true\nca_file = "ca.pem"', "ca_file='ca.pem' must be an absolute path"),
        ('tls = true\nkey_file = "/key.pem"', "certificate_file and key_file belong together"),
        ('sasl = "PLAIN"\nuser = "me"', "sasl='PLAIN' needs user and password"),
        ('user = "me"', "user and password need sasl"),
        ('sasl = "PLAIN"\nuser = "me"\npassword = "secret"', "must say where the secret lies"),
        ('agents = ["send"]', "must be 'intake', 'decide' or 'dispatch'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told(lines: str, fault: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(f"[cluster]\n{lines}\n")

    assert fault in str(caught.value)


def test_topics_have_the_partitions_and_the_cleaning_they_need() -> None:
    topics = {topic.name: topic for topic in topics_of(cluster(prefix="x.", replicas=3))}

    assert {name: topic.partitions for name, topic in topics.items()} == {
        "x.log": 8, "x.decisions": 8, "x.pages": 8, "x.dead": 1, "x.control": 1,
        "x.outbox": 8, "x.receipts": 1,
    }  # fmt: skip
    compacted = {name for name, topic in topics.items() if topic.settings["cleanup.policy"] == "compact"}
    assert compacted == {"x.pages", "x.control"}
    assert {topic.settings["min.insync.replicas"] for topic in topics.values()} == {"2"}


def test_raw_topics_are_their_producers() -> None:
    config = Config.model_validate({"sources": {"kafka": [{"name": "a", "topic": "x"}, {"name": "b", "topic": "y"}]}})

    assert [(topic.name, topic.made) for topic in topics_of(config)][-2:] == [("x", False), ("y", False)]


def test_the_events_clock_has_a_topic_more() -> None:
    config = Config.model_validate({"data": {"partitions": 8, "clock": "events"}, "cluster": {"prefix": "x."}})

    (moments,) = [topic for topic in topics_of(config) if topic.name == "x.moments"]
    assert (moments.partitions, moments.settings["cleanup.policy"]) == (1, "delete")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            {"sources": {"kafka": [{"name": "a", "topic": "x", "blocks": True}]}},
            "'a': blocks=true must be",
        ),
        ({"desk": {"queue": "redis"}}, "desk.queue='redis' must not be where data.clock='events'"),
    ],
)
def test_what_cannot_be_had_on_the_events_clock_is_refused_by_name(words: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError, match=re.escape(said)):
        check_events_clock(Config.model_validate({"data": {"clock": "events"}, **words}))


def watchdog() -> Watchdog:
    return Watchdog(cluster(silent_s=5), "log", dict)


def test_a_partition_that_stands_still_behind_the_log_ends_the_worker() -> None:
    one = watchdog()
    one.judge({0: 11}, {0: 5}, 0.0)
    one.judge({0: 12}, {0: 5}, 5.0)

    with pytest.raises(SilentError, match="partition 0 stands at 5 for 6 s, 6 records wait"):
        one.judge({0: 12}, {0: 5}, 6.0)


def test_a_partition_that_is_held_may_stand_still() -> None:
    one = watchdog()
    for second in range(30):
        one.judge({0: 11}, {0: 5}, float(second), held=(0,))
    one.judge({0: 11}, {0: 5}, 34.0)

    with pytest.raises(SilentError, match="for 6 s"):
        one.judge({0: 11}, {0: 5}, 35.0)


def test_a_partition_that_moves_waits_for_nothing_or_is_new_is_well() -> None:
    one = watchdog()
    for second in range(30):
        one.judge({0: 100, 1: 8, 2: 50}, {0: second, 1: 7} | ({2: 3} if second == 29 else {}), float(second))

    assert one.lags == {0: 70, 1: 0, 2: 46}


class Ends:
    """The ends of a topic, as brokers say them that go away and come back."""

    def __init__(self, *answers: BrokerError | dict[int, int]) -> None:
        self.answers = list(answers)

    async def ends(self, _: object) -> dict[int, int]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def looked(
    monkeypatch: pytest.MonkeyPatch, taken: dict[int, int], *answers: BrokerError | dict[int, int]
) -> Watchdog:
    """Let a watchdog look until every answer was given."""
    monkeypatch.setattr(module, "POLL_S", 0.001)
    one = Watchdog(cluster(silent_s=5), "log", lambda: taken)
    tail: Any = Ends(*answers)
    one._tail = tail
    task = asyncio.create_task(one.run())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(task, 0.05)
    return one


async def test_brokers_that_do_not_answer_end_no_worker_and_are_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = BrokerError("no broker answers")
    one = await looked(monkeypatch, {0: 10, 1: 3}, away, away, {0: 11, 1: 9}, away, away)

    assert one.lags == {0: 0, 1: 5}, "what they said last"
    assert caplog.text.count("is not known until a broker answers") == 2
