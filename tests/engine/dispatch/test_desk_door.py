"""The desk as dispatch meets it: what becomes of a card when the keeper of the panels is away."""

import asyncio

from connectors.contract import State
from connectors.desk.desk import Desk
from connectors.desk.model import Reply
from connectors.desk.queue import Change, MemoryQueue, QueueLostError
from engine.dispatch.doors import DeskDoor
from engine.dispatch.model import Decided
from tests.connectors.desk.world import ANNA, Log, desk_over


class Leaky(MemoryQueue):
    """A queue whose answers can be lost, before or after the change was made."""

    def __init__(self) -> None:
        super().__init__(300_000, 2_000)
        self.away = False
        self.deaf = 0

    @property
    def within_reach(self) -> bool:
        return not self.away

    async def find(self, kind: object, key: int | str) -> str:
        if self.away:
            raise QueueLostError("away")
        return await super().find(kind, key)  # type: ignore[arg-type]  # the caller's word is one of the three

    async def write(self, change: Change) -> bool:
        done = await super().write(change)
        if self.deaf:
            self.deaf -= 1
            raise QueueLostError("no answer", doubtful=True)
        return done


def decided(decision_id: str = "0-100-0-7", append_ms: int = 0, shelf_life_ms: int = 0) -> Decided:
    return Decided(
        decision_id, ANNA, "r", "c", "desk", "o", "text", "commercial", append_ms, shelf_life_ms, 1, {"title": "T"}
    )


def opened() -> tuple[Leaky, Desk, Log, DeskDoor]:
    queue = Leaky()
    desk, log = desk_over(queue)
    return queue, desk, log, DeskDoor(desk)


async def test_a_card_waits_while_the_desk_is_out_of_reach() -> None:
    queue, desk, _, door = opened()
    await desk.open_visit("t1", ANNA, "v1")
    queue.away = True
    assert not door.up
    assert (await door.send(decided(), desk.clock())).state is State.LINK_DOWN
    queue.away = False
    assert (await door.send(decided(), desk.clock())).state is State.ACCEPTED


async def test_an_offer_whose_answer_was_lost_is_settled_by_asking_again() -> None:
    queue, desk, log, door = opened()
    await desk.open_visit("t1", ANNA, "v1")
    queue.deaf = 1
    offering = asyncio.create_task(door.send(decided(), desk.clock()))
    await asyncio.sleep(0.05)
    assert (await desk.answer("0-100-0-7", Reply.ACCEPT))[1] is not None
    await desk.close_visit("v1")
    assert (await offering).state is State.ACCEPTED
    assert log.told() == ["0-100-0-7 accept"]


async def test_a_card_for_nobody_is_refused_for_good_with_the_reason() -> None:
    _, desk, _, door = opened()
    outcome = await door.send(decided(), desk.clock())
    assert (outcome.state, outcome.code) == (State.PERMANENT, "NO_VISIT")
