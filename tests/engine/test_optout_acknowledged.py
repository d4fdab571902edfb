"""The promise of an opt-out, judged by the message centre: nothing commercial comes after it was acknowledged."""

import asyncio

import pytest

from tests.engine.conftest import Make
from tests.engine.engines import wait_for
from tests.engine.slow_centre import SlowCentre
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
[[rule]]
id = "notice"
on = "call"
when = "seconds == 7"
class = "service"
channels = ["sms"]
text.sms = "your bill"
"""
SMSC = """
[gateways.smsc]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "o"
password = {{ env = "SMSC_PASSWORD" }}
window = {window}
links = {links}
[dispatch]
queue_max = 100
[channels.sms]
gateway = "smsc"
rate_per_s = 10000.0
"""
TIRED = 8613800000999


def day(others: int, texts: int) -> bytes:
    """Calls of many, and between them those of one subscriber; most of it lies beyond the queue's hundred."""
    every = others // texts
    who = [TIRED if n % every == 0 else 8613800000000 + n for n in range(others)]
    return joined(call(subscriber, BASE_MS + n, seconds=60) for n, subscriber in enumerate(who, 1))


@pytest.mark.parametrize(("window", "links"), [(1, 1), (4, 2)])
async def test_nothing_commercial_comes_after_the_acknowledgement_of_an_opt_out(
    make: Make, window: int, links: int
) -> None:
    centre = SlowCentre(TIRED, answer_s=0.03 * window * links)
    await centre.start()
    engine = make(BOOK, "events", SMSC.format(port=centre.port, window=window, links=links))
    engine.env = {"SMSC_PASSWORD": "secret"}
    engine.put("day.ndjson", day(300, 10))
    await asyncio.to_thread(engine.start)
    await asyncio.to_thread(wait_for, lambda: len(centre.submits) >= 288 + 2, "the texts of the others")
    await asyncio.sleep(0.5)
    ((acknowledged_s, status),) = centre.acknowledged
    later = centre.after(acknowledged_s)
    assert status == 0
    assert TIRED not in later
    assert len(later) > 100, "the others' texts go on"
    assert len({to for _, to in centre.submits}) == 291
    story = await asyncio.to_thread(engine.command, "why", str(TIRED))
    assert story.out.count("refunded: OPTED_OUT") == 10 - [to for _, to in centre.submits].count(TIRED)
    await asyncio.to_thread(engine.stop)
    await centre.stop()
