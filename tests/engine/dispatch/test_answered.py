"""The decision that a reply most likely answers: the latest that reached its subscriber from that number, if lately."""

import random

from connectors.contract import MobileOriginated
from engine.dispatch.model import Decided
from engine.dispatch.policy import ChannelPolicy, Policy
from engine.dispatch.reached import ANSWERED_DAYS, Reached
from tests.engine.dispatch.standins import NOW_MS, ScriptedGateway, World, decided, running, until
from tests.fakes.disk import SimulatedDisk

WHO = 8613800000001
DAY_MS = 86_400_000
POLICY = Policy(
    {
        "sms": ChannelPolicy(("one",), "10086"),
        "care": ChannelPolicy(("one",), "10087"),
        "mail": ChannelPolicy(("two",)),
        "alert": ChannelPolicy(("one",), "10086", alert=True),
    }
)


def reply(
    number: str = "10086", text: str = "how much is it?", at_ms: int = NOW_MS + 1, who: int = WHO
) -> MobileOriginated:
    return MobileOriginated("one", who, number, text, at_ms)


def to_who(number: int, channel: str) -> Decided:
    return decided(number, subscriber=WHO, channel=channel)


async def test_a_reply_answers_the_latest_text_from_the_number_it_was_sent_to() -> None:
    async with running(policy=POLICY, gateways={"one": ScriptedGateway(), "two": ScriptedGateway()}) as world:
        for number, channel in enumerate(["sms", "care", "sms", "mail", "alert"], 1):
            world.dispatcher.offer([to_who(number, channel)])
            await until(lambda: world.dispatcher.idle)
        for to in ("10086", "10087", "12593"):
            await world.gateway.reply(reply(to))
        await world.gateway.reply(reply(who=WHO + 1))
        await world.gateway.reply(reply(at_ms=NOW_MS + ANSWERED_DAYS * DAY_MS))
        assert world.log.answers == ["0-3-0-7", "0-2-0-7", "0-3-0-7", "", ""]


async def test_what_reached_nobody_is_answered_by_nobody_and_a_restart_still_knows_what_did() -> None:
    disk = SimulatedDisk()
    world = World(policy=POLICY, disk=disk, gateways={"one": ScriptedGateway(), "two": ScriptedGateway()})
    await world.dispatcher.start()
    world.dispatcher.offer([to_who(1, "sms"), decided(2, subscriber=WHO, fault="NO_VALUE name")])
    await until(lambda: len(world.log.said) == 2 and not world.outbox.dirty)
    await world.dispatcher.abandon()
    disk.crash(random.Random(1))
    async with running(policy=POLICY, disk=disk) as after:
        await after.gateway.reply(reply())
        assert after.log.answers == ["0-1-0-7"]


def test_the_oldest_contacts_are_forgotten_for_new_ones() -> None:
    reached = Reached(kept_max=3)
    for number in range(5):
        reached.note(number % 4, "sms", f"d{number}", NOW_MS + number)
    assert [reached.answered(who, ["sms"], NOW_MS) for who in range(4)] == ["d4", "", "d2", "d3"]


def test_an_outcome_that_comes_late_is_not_the_latest_contact() -> None:
    reached = Reached()
    reached.note(WHO, "sms", "new", NOW_MS)
    reached.note(WHO, "sms", "old", NOW_MS - DAY_MS)
    assert reached.answered(WHO, ["sms"], NOW_MS) == "new"
