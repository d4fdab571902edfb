"""What the fold takes back does not go, wherever it waits; outcomes carry the time of their contact."""

import asyncio
import random

from connectors.contract import Message, Outcome, State
from engine.dispatch.model import Withdrawn
from state.decisions import OutcomeState
from tests.engine.dispatch.standins import NOW_MS, ScriptedGateway, World, decided, running, until
from tests.fakes.disk import SimulatedDisk

REASON = "WITHDRAWN list do-not-disturb"


def back(number: int) -> Withdrawn:
    return Withdrawn(f"0-{number}-0-7", 8613800000000 + number, REASON)


async def test_a_decision_taken_back_ends_where_it_waits_and_when_it_is_read_later() -> None:
    async with running() as world:
        world.gateway.free = 0
        world.dispatcher.offer([decided(1), decided(2)], {"0": 1})
        world.dispatcher.withdraw([back(1), back(3)])
        world.dispatcher.offer([decided(3), decided(4)], {"0": 2})
        world.gateway.free = 1000
        await until(lambda: world.dispatcher.idle)
        assert [message.decision_id for message in world.gateway.sent] == ["0-2-0-7", "0-4-0-7"]
        assert [(one.decision_id, one.error) for one in world.log.said if one.state is OutcomeState.REFUNDED] == [
            ("0-1-0-7", REASON),
            ("0-3-0-7", REASON),
        ]
        assert world.dispatcher.core.withdrawn == {}


async def test_a_decision_taken_back_on_its_way_is_tried_no_more() -> None:
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def slowly(_: Message) -> Outcome:
        return await answer

    async with running(gateways={"one": ScriptedGateway(script=slowly)}) as world:
        world.dispatcher.offer([decided(1)], {"0": 1})
        await until(lambda: world.gateway.sent)
        world.dispatcher.withdraw([back(1)])
        answer.set_result(Outcome(State.RETRY, "0x58"))
        await until(lambda: world.dispatcher.idle)
        assert [one.error for one in world.log.said] == [REASON]
        assert len(world.gateway.sent) == 1


async def test_what_was_taken_back_after_it_ended_changes_nothing() -> None:
    async with running() as world:
        world.dispatcher.offer([decided(1)], {"0": 1})
        await until(lambda: world.dispatcher.idle)
        world.dispatcher.withdraw([back(1)])
        await until(lambda: world.dispatcher.idle)
        assert [one.state for one in world.log.said] == [OutcomeState.COMMITTED]
        assert world.dispatcher.core.withdrawn == {}


async def test_an_outcome_carries_when_it_was_accepted_or_tried_however_late_it_is_reported() -> None:
    disk, clock = SimulatedDisk(), [NOW_MS]
    answers = {"0-1-0-7": Outcome(State.ACCEPTED, "", ("m1",)), "0-2-0-7": Outcome(State.UNKNOWN, "CUT")}

    async def later(message: Message) -> Outcome:
        clock[0] += 1_000
        return answers.get(message.decision_id, Outcome(State.PERMANENT, "0x0b"))

    world = World(disk=disk, gateways={"one": ScriptedGateway(script=later)}, clock=lambda: clock[0])
    world.log.away = True
    await world.dispatcher.start()
    for number in (1, 2, 3):
        world.dispatcher.offer([decided(number)], {"0": number})
        await until(lambda: not world.dispatcher.core.sends)
    await until(lambda: not world.outbox.dirty)
    await world.dispatcher.abandon()
    disk.crash(random.Random(1))
    clock[0] += 3_600_000
    async with running(disk=disk, clock=lambda: clock[0]) as after:
        await until(lambda: len(after.log.contacts) == 3)
        assert after.log.contacts == {"0-1-0-7": NOW_MS + 1_000, "0-2-0-7": NOW_MS + 1_000, "0-3-0-7": None}


async def test_an_attempt_without_an_answer_counts_when_it_was_made_after_a_restart_too() -> None:
    disk, clock = SimulatedDisk(), [NOW_MS]

    async def never(_: Message) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    world = World(disk=disk, gateways={"one": ScriptedGateway(script=never)}, clock=lambda: clock[0])
    await world.dispatcher.start()
    world.dispatcher.offer([decided(1)], {"0": 1})
    await until(lambda: world.gateway.sent)
    await world.dispatcher.abandon()
    disk.crash(random.Random(1))
    clock[0] += 3_600_000
    async with running(disk=disk, clock=lambda: clock[0]) as after:
        await until(lambda: after.log.contacts)
        assert after.log.contacts == {"0-1-0-7": NOW_MS}
