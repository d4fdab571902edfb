"""The subscriber's own quiet hours: a text waits for their end within its life, over midnight and changes of clocks."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dispatch.model import Send
from engine.dispatch.policy import DESK, ChannelPolicy, Policy
from engine.dispatch.quiet import minute_of, quiet_until_ms
from engine.runtimes.rehearsal import run_scenarios
from engine.runtimes.sending import make_policy
from engine.settings.config import Config
from rules.diagnostics import BookErrors
from rules.load import load_text
from rules.model import Quiet
from tests.engine.dispatch.standins import World, decided, running, until

SHANGHAI = "Asia/Shanghai"
QUIET = Quiet("quiet_from", "quiet_to", SHANGHAI)
HOUR_MS = 3_600_000
BOOK = """
[book]
zone = "UTC"
quiet = { from = "quiet_from", to = "quiet_to", zone = "Asia/Shanghai" }
[attributes]
quiet_from = "string"
quiet_to = "string"
[channels.sms]
[channels.alert]
[channels.desk]
[events.use]
[[rule]]
id = "r"
on = "use"
channels = ["sms"]
shelf_life = "12h"
text.sms = "t"
"""


def ms(text: str, zone: str = SHANGHAI) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def quiet(start: object, end: object) -> dict[str, object]:
    return {"quiet_from": start, "quiet_to": end}


@pytest.mark.parametrize(
    ("hours", "now", "ends"),
    [
        (("22:00", "07:00"), "2026-03-02 23:30", "2026-03-03 07:00"),
        (("22:00", "07:00"), "2026-03-03 06:59:59", "2026-03-03 07:00"),
        (("22:00", "07:00"), "2026-03-03 07:00", "2026-03-03 07:00"),
        (("22:00", "07:00"), "2026-03-02 21:59:59", "2026-03-02 21:59:59"),
        ((13 * 60, 14 * 60 + 30), "2026-03-02 13:00", "2026-03-02 14:30"),
        (("22:00", "24:00"), "2026-03-02 22:00", "2026-03-03 00:00"),
        ((0, 480), "2026-03-02 00:00", "2026-03-02 08:00"),
    ],
)
def test_quiet_hours_end_at_their_minute_also_over_midnight(hours: tuple[Any, Any], now: str, ends: str) -> None:
    assert quiet_until_ms(QUIET, quiet(*hours), ms(now)) == ms(ends)


@pytest.mark.parametrize(
    "hours", [("22:00", None), (None, None), ("22:00", "22:00"), ("25:00", "7"), (-1, 3), ("", "")]
)
def test_without_both_hours_or_with_none_that_is_an_hour_nobody_is_left_in_peace(hours: tuple[Any, Any]) -> None:
    assert quiet_until_ms(QUIET, quiet(*hours), ms("2026-03-02 23:30")) == ms("2026-03-02 23:30")


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 366 * 24 * 60))
def test_quiet_hours_last_25_hours_at_the_most_and_end_at_their_minute(start: int, end: int, minute: int) -> None:
    """Berlin puts its clocks forward and back in a year."""
    berlin = Quiet("quiet_from", "quiet_to", "Europe/Berlin")
    now_ms = ms("2026-01-01 00:00", "Europe/Berlin") + minute * 60_000
    ends_ms = quiet_until_ms(berlin, quiet(start, end), now_ms)
    local = datetime.fromtimestamp(ends_ms / 1000, ZoneInfo("Europe/Berlin"))
    assert now_ms <= ends_ms <= now_ms + 25 * HOUR_MS
    is_gap = (local.month, local.hour) == (3, 3)  # 02:30 is 03:30 on the day when clocks are put forward
    assert ends_ms == now_ms or is_gap or local.hour * 60 + local.minute == end


def test_an_hour_is_minutes_of_the_day_or_a_text() -> None:
    assert [minute_of(one) for one in (0, 1440, "7:05", " 23:59 ", "24:00", True, 1441, "7:60", "07:00:00")] == [
        0, 0, 425, 1439, 0, None, None, None, None,
    ]  # fmt: skip


POLICY = Policy({"sms": ChannelPolicy(("one",)), "alert": ChannelPolicy(("one",), alert=True)}, quiet=QUIET)
NIGHT_MS, MORNING_MS = ms("2026-03-02 23:30"), ms("2026-03-03 07:00")


def waiting(number: int, **changes: Any) -> Any:
    facts = changes.pop("facts", quiet("22:00", "07:00"))
    return decided(number, append_ms=NIGHT_MS, shelf_life_ms=12 * HOUR_MS, facts=facts, **changes)


async def test_a_text_waits_for_the_end_and_costs_no_try_while_others_go() -> None:
    clock = [NIGHT_MS]
    async with running(policy=POLICY, clock=lambda: clock[0]) as world:
        alert = waiting(3, channel="alert")
        world.dispatcher.offer([waiting(1), waiting(2, facts={}), alert, waiting(4, subscriber=8613800000001)])
        await until(lambda: len(world.gateway.sent) == 2)
        clock[0] = MORNING_MS - 1
        for _ in range(5):
            world.dispatcher.core.take(clock[0])
        assert {message.decision_id for message in world.gateway.sent} == {"0-2-0-7", "0-3-0-7"}
        assert [send.tries for send in world.dispatcher.core.sends.values()] == [0, 0]
        clock[0] = MORNING_MS
        await until(lambda: len(world.gateway.sent) == 4)
        assert [one.decision_id for one in world.gateway.sent[2:]] == ["0-1-0-7", "0-4-0-7"], "in their order"


async def test_a_text_whose_life_ends_in_the_quiet_hours_is_refunded() -> None:
    clock = [NIGHT_MS]
    async with running(policy=POLICY, clock=lambda: clock[0]) as world:
        world.dispatcher.offer([waiting(1)._replace(shelf_life_ms=HOUR_MS)])
        clock[0] = NIGHT_MS + HOUR_MS
        await until(lambda: world.log.said)
        assert [one.error for one in world.log.said] == ["EXPIRED"]
        assert world.gateway.sent == []


async def test_after_a_restart_a_text_still_waits() -> None:
    clock = [NIGHT_MS]
    world = World(policy=POLICY, clock=lambda: clock[0])
    await world.dispatcher.start()
    world.dispatcher.offer([waiting(1)], {"0": 1})
    await until(lambda: not world.outbox.dirty)
    await world.dispatcher.stop(1.0)
    clock[0] += HOUR_MS
    async with running(policy=POLICY, disk=world.disk, clock=lambda: clock[0]) as after:
        taken: list[Send] = after.dispatcher.core.take(clock[0])
        assert (taken, after.gateway.sent) == ([], [])
        clock[0] = MORNING_MS
        await until(lambda: after.gateway.sent)


def test_a_card_waits_for_nobody() -> None:
    policy = Policy({"desk": ChannelPolicy((DESK,))}, quiet=QUIET)
    assert policy.quiet_until_ms(waiting(1, channel="desk"), NIGHT_MS) == NIGHT_MS


def scenario(events: str, expect: str, start: str = "22:00") -> str:
    given_ = f'given = {{ quiet_from = "{start}", quiet_to = "07:00" }}'
    return f'[[test]]\nname = "t"\n{given_}\nevents = [{events}]\nexpect = [{expect}]\n'


AT = "at = 2026-03-02T23:30:00+08:00"


@pytest.mark.parametrize(
    ("start", "sent", "is_right"),
    [
        ("22:00", "2026-03-03T07:00:00+08:00", True),
        ("22:00", "2026-03-02T23:30:00+08:00", False),
        ("23:31", "2026-03-02T23:30:00+08:00", True),
        ("no hour", "2026-03-02T23:30:00+08:00", True),
    ],
)
def test_a_test_of_a_book_promises_when_a_text_goes(start: str, sent: str, is_right: bool) -> None:
    wanted = f'{{ {AT}, rule = "r", channel = "sms", sent = {sent} }}'
    book = load_text({"book.toml": BOOK + scenario(f"{{ {AT}, use = {{}} }}", wanted, start)})
    faults = [fault for result in run_scenarios(book) for fault in result.faults]
    assert (faults == []) is is_right, faults


def test_what_would_end_in_the_quiet_hours_is_refunded_in_a_test_as_live() -> None:
    book = BOOK.replace('shelf_life = "12h"', 'shelf_life = "1h"\ncap = "1 per day"')
    events = f'{{ {AT}, use = {{}} }}, {{ at = "+8h", use = {{}} }}'
    wanted = f'{{ {AT}, rule = "r", channel = "sms" }}, {{ at = "+8h", rule = "r", channel = "sms", sent = "+8h" }}'
    (result,) = run_scenarios(load_text({"book.toml": book + scenario(events, wanted)}))
    assert result.faults == ()


def test_both_runtimes_send_by_the_quiet_hours_of_the_active_book() -> None:
    book = load_text({"book.toml": BOOK})
    assert make_policy(Config(), book).quiet == QUIET
    assert {fact.name for fact in book.by_id["r"].facts} == {"quiet_from", "quiet_to"}
    plain = load_text({"book.toml": "\n".join(line for line in BOOK.splitlines() if not line.startswith("quiet ="))})
    assert make_policy(Config(), plain).quiet is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('from = "quiet_form", to = "quiet_to"', ["unknown attribute `quiet_form` (did you mean `quiet_from`?)"]),
        ('from = "services", to = "quiet_to"', ["attribute `services` must be an"]),
        ('from = "quiet_from"', ["`to` is missing"]),
        (
            'from = "quiet_from", to = "quiet_to", zone = "Asia/Shangai"',
            ['zone="Asia/Shangai" is not in the'],
        ),
        ('from = "quiet_from", until = "quiet_to"', ["`to` is missing", "unknown key `until`"]),
        ('from = 3, to = "quiet_to"', ["`from` must be a text, not a whole number"]),
    ],
)
def test_wrong_quiet_hours_are_told_where_they_stand(wrong: str, said: list[str]) -> None:
    head = BOOK.replace('from = "quiet_from", to = "quiet_to", zone = "Asia/Shanghai"', wrong)
    head = head.replace("[attributes]", '[attributes]\nservices = { set = ["a"] }')
    with pytest.raises(BookErrors) as caught:
        load_text({"book.toml": head})
    found = [fault.summary for fault in caught.value.diagnostics]
    assert len(found) == len(said)
    for line, words in zip(found, said, strict=True):
        assert words in line
        assert line.startswith("book.toml:4:")
