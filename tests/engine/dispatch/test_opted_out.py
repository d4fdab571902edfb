"""After an acknowledged opt-out nothing commercial goes that was decided before, wherever it waited."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from connectors.contract import Message, MobileOriginated, Outcome, State
from engine.dispatch import ChannelPolicy, Decided
from engine.dispatch.opted_out import PENDING, OptedOut, OptOut
from engine.dispatch.optout import OptOutWords
from state.decisions import OutcomeState
from tests.engine.dispatch.standins import NOW_MS, POLICY, Log, ScriptedGateway, World, decided, running, until
from tests.fakes.disk import SimulatedDisk

SUBSCRIBER = 8613800000099


def of_one(number: int, **changes: Any) -> Decided:
    return decided(number, subscriber=SUBSCRIBER, **changes)


def reply(text: str = "TD", to_address: str = "10086") -> MobileOriginated:
    return MobileOriginated("one", SUBSCRIBER, to_address, text, NOW_MS)


def refunds(log: Log) -> dict[str, str]:
    return {said.decision_id: said.error for said in log.said if said.state is OutcomeState.REFUNDED}


async def test_what_waits_in_the_queue_and_what_is_read_later_from_before_ends_as_a_refund() -> None:
    async with running() as world:
        world.gateway.free = 0
        world.dispatcher.offer([of_one(1), of_one(2, klass="service")], {"0": 1})
        await world.gateway.reply(reply())
        world.dispatcher.offer([of_one(3), of_one(50), of_one(51), of_one(52, klass="service")], {"0": 2})
        world.gateway.free = 1000
        await until(lambda: world.dispatcher.idle)
        assert [message.decision_id for message in world.gateway.sent] == ["0-2-0-7", "0-51-0-7", "0-52-0-7"]
        assert refunds(world.log) == dict.fromkeys(["0-1-0-7", "0-3-0-7", "0-50-0-7"], "OPTED_OUT")


async def test_a_reply_is_acknowledged_only_when_what_is_on_its_way_was_answered() -> None:
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def slowly(_: Message) -> Outcome:
        return await answer

    async with running(gateways={"one": ScriptedGateway(script=slowly)}) as world:
        world.dispatcher.offer([of_one(1)], {"0": 1})
        await until(lambda: world.gateway.sent)
        heard = asyncio.create_task(world.gateway.reply(reply()))
        await asyncio.sleep(0.05)
        assert not heard.done()
        answer.set_result(Outcome(State.RETRY, "0x58"))
        await heard
        await until(lambda: world.dispatcher.idle)
        assert len(world.gateway.sent) == 1
        assert refunds(world.log) == {"0-1-0-7": "OPTED_OUT"}


async def test_an_opt_out_that_the_log_does_not_take_is_not_acknowledged_and_sends_nothing_meanwhile() -> None:
    async with running() as world:
        world.log.away = True
        with pytest.raises(OSError, match="log away"):
            await world.gateway.reply(reply())
        world.dispatcher.offer([of_one(1), of_one(60)], {"0": 1})
        await until(lambda: world.dispatcher.status()["total_refunded"] == 2)
        assert world.gateway.sent == []
        world.log.away = False


async def test_an_acknowledged_opt_out_holds_over_a_crash_for_what_is_read_after_it() -> None:
    disk = SimulatedDisk()
    world = World(disk=disk)
    await world.dispatcher.start()
    await world.gateway.reply(reply())
    await world.dispatcher.abandon()
    disk.crash(random.Random(1))
    async with running(disk=disk) as after:
        after.dispatcher.offer([of_one(1), of_one(51)], {"0": 1})
        await until(lambda: after.dispatcher.idle)
        assert [message.decision_id for message in after.gateway.sent] == ["0-51-0-7"]


async def test_an_opt_out_of_one_service_leaves_the_others() -> None:
    words = OptOutWords(services=["12593"])
    async with running(policy=replace(POLICY, optout=words)) as world:
        world.gateway.free = 0
        sends = [of_one(1, offer="12593"), of_one(2, offer="other"), of_one(3, campaign="12593")]
        world.dispatcher.offer(sends, {"0": 1})
        await world.gateway.reply(reply("TD 12593"))
        world.gateway.free = 1000
        await until(lambda: world.dispatcher.idle)
        assert world.log.members == [(SUBSCRIBER, "optout.12593", True)]
        assert set(refunds(world.log)) == {"0-1-0-7", "0-3-0-7"}


CONFIRMING = replace(
    POLICY,
    channels={
        "other": ChannelPolicy(("two",)),
        "first": ChannelPolicy(("one",), source_address="1"),
        "sms": ChannelPolicy(("one",), source_address="10086"),
    },
    optout_confirmation="You get no more offers.",
)


@pytest.mark.parametrize(("to_address", "sender"), [("10086", "10086"), ("555", "1")])
async def test_one_confirmation_goes_by_the_number_that_was_replied_to(to_address: str, sender: str) -> None:
    async with running(policy=CONFIRMING) as world:
        await world.gateway.reply(reply("TD", to_address))
        await world.gateway.reply(reply("TD", to_address))
        await until(lambda: world.dispatcher.idle and world.gateway.sent)
        (message,) = world.gateway.sent
        assert (message.destination, message.text, message.klass, message.source_address) == (
            SUBSCRIBER,
            "You get no more offers.",
            "service",
            sender,
        )


async def test_no_confirmation_goes_where_no_text_is_set() -> None:
    async with running() as world:
        await world.gateway.reply(reply())
        await until(lambda: world.dispatcher.idle)
        assert world.gateway.sent == []


async def test_a_confirmation_survives_a_crash_and_disturbs_no_decision_that_is_read_later() -> None:
    disk = SimulatedDisk()
    world = World(disk=disk, policy=CONFIRMING)
    world.gateway.free = 0
    await world.dispatcher.start()
    await world.gateway.reply(reply())
    await world.dispatcher.abandon()
    disk.crash(random.Random(1))
    async with running(disk=disk, policy=CONFIRMING) as after:
        after.dispatcher.offer([decided(1)], {"0": 1})
        await until(lambda: len(after.gateway.sent) == 2)
        assert {message.destination for message in after.gateway.sent} == {SUBSCRIBER, 8613800000001}


async def test_a_reply_that_is_no_opt_out_is_kept_as_an_event_or_counted() -> None:
    async with running() as world:
        await world.gateway.reply(reply("how much is it?"))
        world.log.keeps_replies = False
        await world.gateway.reply(reply("thanks"))
        status = world.dispatcher.status()
        assert [one.text for one in world.log.replies] == ["how much is it?", "thanks"]
        assert (status["total_replies"], status["total_replies_not_kept"]) == (2, 1)


def test_opt_outs_are_forgotten_when_nothing_from_before_can_come() -> None:
    opted = OptedOut()
    assert opted.add(OptOut(1, "", 0, 10))
    assert not opted.add(OptOut(1, "", 0, 12)), "the second one is no news"
    assert not opted.add(OptOut(2, "", 1, PENDING)), "it does not stand in the log yet"
    assert opted.add(OptOut(2, "", 1, 5))
    opted.prune(lambda one: one.position < 10)
    assert opted.plain() == [OptOut(1, "", 0, 12)]
