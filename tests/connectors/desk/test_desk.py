"""What a desk promises, over each keeper of panels."""

import asyncio
import contextlib

import pytest

from connectors.desk.desk import BehindError, Desk, NotDurableError
from connectors.desk.model import Card, CardState, Cause, Customer, Panel, Placing, Reply, Ruling, Visit
from connectors.desk.queue import Change, Queue
from tests.connectors.desk.world import ANNA, BERT, HandClock, Log, card, desk_over


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def made(queue: Queue, clock: HandClock) -> tuple[Desk, Log]:
    return desk_over(queue, clock)


async def test_a_visit_is_told_to_the_log_before_it_is_confirmed(made: tuple[Desk, Log]) -> None:
    desk, log = made
    visit = await desk.open_visit("t1", ANNA, "v1")
    assert (visit.open, log.stood()) == (True, ["v1 open"])
    closed = await desk.close_visit("v1")
    assert closed is not None
    assert (closed.cause, log.stood()) == (Cause.DONE, ["v1 open", "v1 done"])
    assert (await desk.queue.read("t1")).owed == ()


async def test_the_same_visit_twice_is_one_visit(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.open_visit("t1", ANNA, "v1")
    await desk.close_visit("v1")
    again = await desk.open_visit("t1", ANNA, "v1")
    assert not again.open
    assert log.stood() == ["v1 open", "v1 done"]


async def test_the_next_customer_closes_the_visit_and_its_cards_expire_in_their_time(
    made: tuple[Desk, Log], clock: HandClock
) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    assert await desk.offer(ANNA, card("d1")) is Placing.SHOWN
    await desk.open_visit("t1", BERT, "v2")
    assert log.stood() == ["v1 open", "v1 next", "v2 open"]
    assert (log.told(), (await desk.queue.read("t1")).live) == ([], ())
    assert await desk.offer(ANNA, card("d2")) is Placing.NO_VISIT
    clock.now += 300_000
    await desk.sweep()
    assert log.told() == ["d1 expired"]
    assert await desk.queue.find("subscriber", ANNA) == ""


@pytest.mark.parametrize("counter", ["t1", "t2"])
@pytest.mark.parametrize("between", [False, True])
async def test_unanswered_cards_come_again_where_the_customer_of_a_closed_visit_comes_back(
    made: tuple[Desk, Log], counter: str, between: bool
) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    for name in ("d1", "d2", "d3"):
        await desk.offer(ANNA, card(name, reason=name))
    await desk.answer("d2", Reply.DECLINE)
    await desk.close_visit("v1")
    assert (await desk.answer("d1", Reply.ACCEPT))[0] is Ruling.LATE
    if between:
        await desk.open_visit("t1", BERT, "v2")
        assert (await desk.queue.read("t1")).live == ()
    await desk.open_visit(counter, ANNA, "v3")
    panel = await desk.queue.read(counter)
    assert {one.decision_id: one.slot for one in panel.live} == {"d1": 1, "d3": 3}
    assert await desk.offer(ANNA, card("d9", reason="d1")) is Placing.DOUBLE, "one customer, one set of cards"
    assert await desk.offer(ANNA, card("d8", reason="new")) is Placing.SHOWN
    assert (await desk.answer("d1", Reply.ACCEPT))[0] is Ruling.RECORDED
    assert log.told() == ["d2 decline", "d1 accept"]


async def test_at_two_counters_a_customer_has_one_set_of_cards(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.offer(ANNA, card("d1"))
    await desk.open_visit("t2", ANNA, "v2")
    assert await desk.offer(ANNA, card("d2")) is Placing.DOUBLE
    panels = [await desk.queue.read(name) for name in ("t1", "t2")]
    assert [[one.decision_id for one in (*panel.live, *panel.left)] for panel in panels] == [[], ["d1"]]
    assert log.told() == []


async def test_cards_that_were_left_are_taken_back_with_their_rule(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.offer(ANNA, card("d1", rule="r"))
    await desk.close_visit("v1")
    assert await desk.withdraw("rule", "r") == ("d1",)
    assert log.told() == ["d1 withdrawn"]


async def test_a_subscriber_at_a_second_counter_takes_the_cards_along(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.offer(ANNA, card("d1"))
    await desk.open_visit("t2", ANNA, "v2")
    left, here = await desk.queue.read("t1"), await desk.queue.read("t2")
    assert left.visit is not None
    assert (left.visit.cause, left.cards) == (Cause.MOVED, ())
    assert [one.decision_id for one in here.live] == ["d1"]
    assert log.told() == []
    assert (await desk.answer("d1", Reply.ACCEPT))[0] is Ruling.RECORDED
    assert log.stood() == ["v1 open", "v1 moved", "v2 open"]


async def test_a_card_goes_only_where_its_own_subscriber_stands(made: tuple[Desk, Log]) -> None:
    desk, _ = made
    assert await desk.offer(ANNA, card("d1")) is Placing.NO_VISIT
    await desk.open_visit("t1", BERT, "v1")
    assert await desk.offer("t1", card("d1", ANNA)) is Placing.NO_VISIT
    assert await desk.offer("t1", card("d2", BERT)) is Placing.SHOWN
    assert desk.status()["offer_no_visit"] == 2


async def test_at_most_three_cards_and_none_displaces_a_live_one(made: tuple[Desk, Log]) -> None:
    desk, _ = made
    await desk.open_visit("t1", ANNA, "v1")
    placings = [await desk.offer(ANNA, card(f"d{number}", priority=number)) for number in range(4)]
    assert placings == [Placing.SHOWN] * 3 + [Placing.FULL]
    await desk.answer("d1", Reply.LATER)
    assert await desk.offer(ANNA, card("d4")) is Placing.SHOWN
    panel = await desk.queue.read("t1")
    assert {one.decision_id: one.slot for one in panel.live} == {"d0": 1, "d2": 3, "d4": 2}


async def test_the_same_card_again_changes_nothing(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    assert [await desk.offer(ANNA, card("d1")) for _ in range(2)] == [Placing.SHOWN, Placing.SHOWN]
    await desk.answer("d1", Reply.ACCEPT)
    assert await desk.offer(ANNA, card("d1")) is Placing.ENDED
    await desk.close_visit("v1")
    assert await desk.offer(ANNA, card("d1")) is Placing.ENDED
    assert log.told() == ["d1 accept"]


async def test_an_answer_counts_once_and_a_different_one_is_late(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.offer(ANNA, card("d1"))
    rulings = [
        (await desk.answer("d1", reply, note))[0]
        for reply, note in [(Reply.DECLINE, "left"), (Reply.DECLINE, "left"), (Reply.ACCEPT, "")]
    ]
    assert rulings == [Ruling.RECORDED, Ruling.REPEATED, Ruling.LATE]
    assert log.told() == ["d1 decline"]
    assert (await desk.answer("nobody", Reply.ACCEPT))[0] is Ruling.UNKNOWN


async def test_many_hands_on_one_card_give_one_answer(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.offer(ANNA, card("d1"))
    replies = [Reply.ACCEPT, Reply.DECLINE] * 5
    rulings = [ruling for ruling, _ in await asyncio.gather(*(desk.answer("d1", reply) for reply in replies))]
    assert rulings.count(Ruling.RECORDED) == 1
    assert (rulings.count(Ruling.REPEATED), rulings.count(Ruling.LATE)) == (4, 5)
    assert len(log.answers) == 1


async def test_an_answer_after_the_visit_is_late_and_shows_how_the_card_ended(
    made: tuple[Desk, Log], clock: HandClock
) -> None:
    desk, _ = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.offer(ANNA, card("d1"))
    await desk.open_visit("t1", BERT, "v2")
    clock.now += 300_000
    await desk.sweep()
    ruling, ended = await desk.answer("d1", Reply.ACCEPT)
    assert ruling is Ruling.LATE
    assert ended is not None
    assert ended.state is CardState.EXPIRED


async def test_time_ends_cards_and_visits(made: tuple[Desk, Log], clock: HandClock) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.offer(ANNA, card("d1", expires_ms=clock.now + 10_000))
    await desk.offer(ANNA, card("d2"))
    assert await desk.offer(ANNA, card("d3", expires_ms=clock.now)) is Placing.EXPIRED
    await desk.sweep()
    assert log.told() == []
    clock.now += 10_000
    assert (await desk.answer("d1", Reply.ACCEPT))[0] is Ruling.LATE
    assert log.told() == ["d1 expired"]
    clock.now += 290_000
    await desk.sweep()
    assert log.told() == ["d1 expired", "d2 expired"]
    assert log.stood() == ["v1 open", "v1 idle"]


async def test_a_kept_visit_is_not_idle(made: tuple[Desk, Log], clock: HandClock) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    clock.now += 299_999
    assert await desk.keep_visit("v1")
    clock.now += 299_999
    await desk.sweep()
    assert log.stood() == ["v1 open"]
    clock.now += 1
    await desk.sweep()
    assert log.stood() == ["v1 open", "v1 idle"]
    assert not await desk.keep_visit("v1")


async def test_what_the_log_refused_is_told_later_and_nothing_is_confirmed_before(
    made: tuple[Desk, Log], clock: HandClock
) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.offer(ANNA, card("d1"))
    await desk.offer(ANNA, card("d2"))
    log.refuses = True
    for _ in range(2):
        with pytest.raises(NotDurableError):
            await desk.answer("d1", Reply.ACCEPT)
    log.refuses = False
    assert (await desk.answer("d1", Reply.ACCEPT))[0] is Ruling.REPEATED
    assert log.told() == ["d1 accept"]
    log.refuses = True
    with pytest.raises(NotDurableError):
        await desk.answer("d2", Reply.LATER)
    log.refuses = False
    clock.now += 2_000
    await desk.sweep()
    assert log.told() == ["d1 accept", "d2 later"]
    assert (await desk.queue.read("t1")).owed == ()


async def test_another_process_tells_what_a_dead_one_owed(queue: Queue, clock: HandClock) -> None:
    first, log = desk_over(queue, clock)
    await first.open_visit("t1", ANNA, "v1")
    await first.offer(ANNA, card("d1"))
    log.refuses = True
    with pytest.raises(NotDurableError):
        await first.answer("d1", Reply.ACCEPT)
    second, its_log = desk_over(queue, clock)
    clock.now += 2_000
    await second.sweep()
    assert its_log.told() == ["d1 accept"]


async def test_who_answers_a_card_has_seen_it_also_where_the_page_could_not_say_so(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    for number, reply in enumerate(Reply):
        await desk.offer(ANNA, card(f"d{number}"))
        await desk.answer(f"d{number}", reply)
    assert [answer.shown for _, answer in log.answers] == [True] * len(Reply), "no cap gets its place back"


async def test_an_answer_said_again_is_the_same_answer_also_when_the_next_customer_stands_there(
    made: tuple[Desk, Log],
) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.offer(ANNA, card("d1"))
    assert (await desk.answer("d1", Reply.ACCEPT))[0] is Ruling.RECORDED
    await desk.open_visit("t1", BERT, "v2")
    assert (await desk.answer("d1", Reply.ACCEPT))[0] is Ruling.REPEATED
    assert (await desk.answer("d1", Reply.DECLINE))[0] is Ruling.LATE
    assert log.told() == ["d1 accept"]


async def test_a_terminal_that_owes_too_much_takes_nothing_new(made: tuple[Desk, Log]) -> None:
    desk, log = made
    log.refuses = True
    for number in range(128):
        with contextlib.suppress(NotDurableError):
            await desk.open_visit("t1", ANNA + number % 2, f"v{number}")
    with pytest.raises(BehindError, match=r"terminal t1: owed=257 notes to the log must be <= 256"):
        await desk.open_visit("t1", ANNA, "v128")
    log.refuses = False
    assert await desk.close_visit("v0") is None
    assert (await desk.queue.read("t1")).owed == ()
    assert len(log.visits) == 255


async def test_withdrawn_cards_leave_by_rule_campaign_or_decision(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    await desk.open_visit("t2", BERT, "v2")
    await desk.offer(ANNA, card("d1", rule="a", campaign="x"))
    await desk.offer(ANNA, card("d2", rule="b", campaign="x"))
    await desk.offer(BERT, card("d3", BERT, rule="a", campaign="y"))
    assert sorted(await desk.withdraw("rule", "a")) == ["d1", "d3"]
    assert await desk.withdraw("campaign", "x") == ("d2",)
    assert await desk.withdraw("decision_id", "d2") == ()
    assert sorted(log.told()) == ["d1 withdrawn", "d2 withdrawn", "d3 withdrawn"]


async def test_a_watcher_sees_the_panel_now_and_after_every_change(made: tuple[Desk, Log]) -> None:
    desk, _ = made
    async with contextlib.aclosing(desk.watch("t1")) as panels:
        first = await asyncio.wait_for(anext(panels), 5)
        assert first is not None
        assert first.visit is None
        await desk.open_visit("t1", ANNA, "v1")
        await desk.offer(ANNA, card("d1"))
        seen: Panel | None = first
        while seen is None or not seen.live:
            seen = await asyncio.wait_for(anext(panels), 5)
        await desk.drawn("t1", frozenset({"d1"}))
        while seen is None or not seen.cards[0].shown_ms:
            seen = await asyncio.wait_for(anext(panels), 5)
        await desk.close_visit("v1")
        while seen is None or seen.open_visit:
            seen = await asyncio.wait_for(anext(panels), 5)
        assert seen.left[0].answer.shown


async def test_many_watchers_share_and_leave(made: tuple[Desk, Log]) -> None:
    desk, _ = made

    async def until_open(terminal: str) -> None:
        async with contextlib.aclosing(desk.watch(terminal)) as panels:
            async for panel in panels:
                if panel is not None and panel.open_visit:
                    return

    watchers = [asyncio.create_task(until_open(f"t{number % 5}")) for number in range(10)]
    await asyncio.sleep(0.05)
    for number in range(5):
        await desk.open_visit(f"t{number}", ANNA + number, f"v{number}")
    await asyncio.wait_for(asyncio.gather(*watchers), 10)


async def test_what_is_known_of_the_customer_comes_by_either_way(made: tuple[Desk, Log]) -> None:
    desk, log = made
    log.customer = Customer(brand="神州行", handset="诺基亚 N95")
    await desk.open_visit("t1", ANNA, "v1", Customer(tenure="在网 2 年"))
    panel = await desk.queue.read("t1")
    assert panel.visit is not None
    assert panel.visit.customer == Customer(brand="神州行", tenure="在网 2 年", handset="诺基亚 N95")


async def test_a_visit_the_log_holds_is_opened_unless_something_as_new_stands_there(made: tuple[Desk, Log]) -> None:
    desk, log = made
    await desk.open_visit("t1", ANNA, "v1")
    now = desk.clock()
    assert not await desk.restore("t1", ANNA, "v1", now - 1_000)
    assert not await desk.restore("t2", ANNA, "v0", now - 1_000)
    assert not await desk.restore("t1", BERT, "v0", now - 1_000)
    assert await desk.restore("t1", BERT, "v2", now + 1_000)
    await desk.close_visit("v2")
    assert not await desk.restore("t1", BERT, "v2", now - 1_000)
    assert log.stood() == ["v1 open", "v1 next", "v2 done"]


async def test_a_stale_write_changes_nothing(queue: Queue) -> None:
    before = await queue.read("t1")
    visit = Visit(id="v1", terminal="t1", subscriber=ANNA, opened_ms=1)
    after = before.model_copy(update={"version": 1, "visit": visit, "cards": (card("d1"),)})
    assert not await queue.write(Change(((before, after),), {ANNA: "t9"}))
    assert await queue.write(Change(((before, after),), {ANNA: ""}))
    assert not await queue.write(Change(((before, after),), {ANNA: "t1"}))
    assert await queue.read("t1") == after
    assert [await queue.find("subscriber", ANNA), await queue.find("visit", "v1")] == ["t1", "t1"]
    kept = await queue.card("d1")
    assert isinstance(kept, Card)
    assert kept == card("d1")


async def test_what_is_due_is_taken_by_one_process_at_a_time(queue: Queue, clock: HandClock) -> None:
    desk, _ = desk_over(queue, clock)
    for number in range(5):
        await desk.open_visit(f"t{number}", ANNA + number, f"v{number}")
    assert await queue.due(clock.now, 10) == []
    later = clock.now + 300_000
    taken = [await queue.due(later, 3) for _ in range(3)]
    assert sorted(name for names in taken for name in names) == [f"t{number}" for number in range(5)]
    assert sorted(await queue.due(later + 2_000, 10)) == [f"t{number}" for number in range(5)]
