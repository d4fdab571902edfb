"""The dispatcher at work: loop, disk, doors and log together."""

import asyncio
import copy
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.contract import Message, MobileOriginated, Outcome, Receipt, ReceiptState, State
from connectors.gateways.smpp import Config, Gateway
from connectors.gateways.smpp.simulator import Simulator, SimulatorConfig
from engine.dispatch import Action, ChannelPolicy, Policy, Report, SwitchScope
from state.decisions import OutcomeState
from state.disk import DiskError
from tests.engine.dispatch.standins import NOW_MS, POLICY, Log, ScriptedGateway, World, decided, running, until
from tests.fakes.disk import SimulatedDisk


async def test_a_decision_is_sent_and_the_log_is_told() -> None:
    async with running() as world:
        world.dispatcher.offer([decided(1)], {"0": 1})
        await until(lambda: world.dispatcher.idle)
        (message,) = world.gateway.sent
        assert (message.destination, message.source_address, message.shelf_life_ms) == (8613800000001, "10086", 600_000)
        assert world.log.said == [Report("0-1-0-7", 8613800000001, OutcomeState.COMMITTED, "one", "")]


async def test_an_attempt_is_on_disk_before_the_gateway_sees_it() -> None:
    survived = []
    disk = SimulatedDisk()

    def look(message: Message) -> Outcome:
        twin = copy.deepcopy(disk)
        twin.crash(random.Random(1))
        survived.append(any(message.decision_id.encode() in one for one in contents(twin)))
        return Outcome(State.ACCEPTED)

    async with running(disk=disk, gateways={"one": ScriptedGateway(script=look)}) as world:
        for number in range(1, 20):
            world.dispatcher.offer([decided(number)])
            await asyncio.sleep(0)
        await until(lambda: world.dispatcher.idle)
    assert survived == [True] * 19


def contents(disk: SimulatedDisk) -> list[bytes]:
    files = [disk.open(Path("/outbox") / name, writable=False) for name in disk.names(Path("/outbox"))]
    return [file.read(0, file.size()) for file in files]


async def test_a_refused_send_is_tried_again_and_given_up_after_its_tries() -> None:
    calls = []

    def refuse(message: Message) -> Outcome:
        calls.append(message)
        return Outcome(State.RETRY, "0x14")

    moment = [NOW_MS]
    async with running(gateways={"one": ScriptedGateway(script=refuse)}, clock=lambda: moment[0]) as world:
        world.dispatcher.offer([decided(1)])
        async with asyncio.timeout(5):
            while not world.log.said:
                moment[0] += 5
                await asyncio.sleep(0.002)
        assert len(calls) == 5
        assert world.log.said == [Report("0-1-0-7", 8613800000001, OutcomeState.REFUNDED, "one", "0x14")]


async def test_a_down_gateway_is_passed_over_for_the_next_of_the_route() -> None:
    gateways = {"one": ScriptedGateway("one"), "two": ScriptedGateway("two")}
    gateways["one"].up = False
    async with running(policy=Policy({"sms": ChannelPolicy(("one", "two"))}), gateways=gateways) as world:
        world.dispatcher.offer([decided(1)])
        await until(lambda: gateways["two"].sent)
        assert gateways["one"].sent == []


async def test_a_gateway_that_raises_leaves_an_unknown_outcome() -> None:
    def fail(message: Message) -> None:
        raise RuntimeError("bug")

    async with running(gateways={"one": ScriptedGateway(script=fail)}) as world:
        world.dispatcher.offer([decided(1)])
        await until(lambda: world.log.said)
        assert world.log.said[0][2:] == (OutcomeState.UNKNOWN, "one", "RuntimeError")


async def test_after_a_crash_an_open_attempt_is_unknown_and_never_repeated() -> None:
    disk = SimulatedDisk()
    stuck = ScriptedGateway(script=lambda message: asyncio.sleep(60))
    world = World(disk=disk, gateways={"one": stuck})
    await world.dispatcher.start()
    world.dispatcher.offer([decided(1), decided(2, subscriber=8613800000001)], {"0": 2})
    await until(lambda: stuck.sent)
    assert world.dispatcher._loop_task is not None
    world.dispatcher._loop_task.cancel()
    await world.dispatcher._flights.cancel()
    disk.crash(random.Random(1))

    async with running(disk=disk) as after:
        assert after.dispatcher.cursors == {"0": 2}
        after.dispatcher.offer([decided(1), decided(2, subscriber=8613800000001)], {"0": 2})
        await until(lambda: len(after.log.said) == 2)
        assert sorted(after.log.states()) == [
            ("0-1-0-7", OutcomeState.UNKNOWN),
            ("0-2-0-7", OutcomeState.COMMITTED),
        ]
        assert [message.decision_id for message in after.gateway.sent] == ["0-2-0-7"]


async def test_an_unknown_service_message_is_sent_again_when_so_configured() -> None:
    answers = [Outcome(State.UNKNOWN, "TIMEOUT"), Outcome(State.ACCEPTED)]
    gateway = ScriptedGateway(script=lambda message: answers.pop(0))
    moment = [NOW_MS]
    policy = replace(POLICY, resend_unknown_service=True)
    async with running(policy=policy, gateways={"one": gateway}, clock=lambda: moment[0]) as world:
        world.dispatcher.offer([decided(1, klass="service")])
        await until(lambda: len(gateway.sent) == 1)
        moment[0] += 1000
        await until(lambda: world.log.states() == [("0-1-0-7", OutcomeState.COMMITTED)])


async def test_receipts_reach_the_log_once_also_before_their_response_and_after_a_restart() -> None:
    disk = SimulatedDisk()
    async with running(disk=disk) as world:
        await world.gateway.receipt(Receipt("one", "id 0-1-0-7", ReceiptState.DELIVERED, "", NOW_MS))
        world.dispatcher.offer([decided(1), decided(2)])
        await until(lambda: len(world.log.said) == 3)
        assert ("0-1-0-7", OutcomeState.DELIVERED) in world.log.states()
    async with running(disk=disk) as world:
        for _ in range(2):
            await world.gateway.receipt(Receipt("one", "id 0-2-0-7", ReceiptState.UNDELIVERED, "11", NOW_MS))
        await until(lambda: world.log.said)
        await asyncio.sleep(0.05)
        assert world.log.said == [Report("0-2-0-7", 8613800000002, OutcomeState.UNDELIVERED, "one", "11")]


async def test_a_kill_stops_twenty_thousand_queued_sends_within_a_second_and_refunds_them() -> None:
    async with running(gateways={"one": ScriptedGateway()}) as world:
        world.gateway.free = 0
        world.dispatcher.offer(decided(number) for number in range(1, 20_001))
        await until(lambda: not world.outbox.dirty)
        begun = time.monotonic()
        await world.dispatcher.switch(SwitchScope.CAMPAIGN, "care", Action.KILL)
        world.gateway.free = 1000
        await until(lambda: len(world.log.said) == 20_000)
        assert time.monotonic() - begun < 3.0  # a second on a free machine; this one may be shared
        assert world.gateway.sent == []
        assert {report[2:] for report in world.log.said} == {(OutcomeState.REFUNDED, "", "KILLED")}


async def test_what_a_crash_would_need_of_the_journal_is_known() -> None:
    async with running() as world:
        world.gateway.free = 0
        world.dispatcher.offer([decided(1), decided(2)], {"0": 2, "1": 5})
        assert world.dispatcher.durable_cursors == {}
        assert world.dispatcher.cursors == {"0": 2, "1": 5}
        await until(lambda: world.dispatcher.durable_cursors == {"0": 2, "1": 5})
        assert world.dispatcher.queued(SwitchScope.CAMPAIGN, "care") == 2
        assert world.dispatcher.queued(SwitchScope.RULE, "b") == 0


async def test_pause_holds_sends_until_resume_also_over_a_restart() -> None:
    disk = SimulatedDisk()
    async with running(disk=disk) as world:
        await world.dispatcher.switch(SwitchScope.RULE, "a", Action.PAUSE)
        world.dispatcher.offer([decided(1)])
        await until(lambda: world.dispatcher.idle)
        assert world.gateway.sent == []
    async with running(disk=disk) as world:
        await until(lambda: world.dispatcher.idle)
        assert world.gateway.sent == []
        await world.dispatcher.switch(SwitchScope.RULE, "a", Action.RESUME)
        await until(lambda: world.gateway.sent)


async def test_an_opt_out_reaches_the_list_and_takes_back_what_waits() -> None:
    async with running() as world:
        world.gateway.free = 0
        world.dispatcher.offer([decided(1), decided(2)])
        await world.gateway.reply(MobileOriginated("one", 8613800000001, "10086", "ｔｄ", NOW_MS))
        await world.gateway.reply(MobileOriginated("one", 8613800000002, "10086", "thanks", NOW_MS))
        await until(lambda: world.log.said)
        assert world.log.members == [(8613800000001, "optout", True)]
        assert world.log.said == [Report("0-1-0-7", 8613800000001, OutcomeState.REFUNDED, "", "OPTED_OUT")]


async def test_an_opt_in_takes_the_subscriber_off_the_list() -> None:
    async with running() as world:
        await world.gateway.reply(MobileOriginated("one", 8613800000001, "10086", "start", NOW_MS))
        assert world.log.members == [(8613800000001, "optout", False)]
        assert world.dispatcher.status()["total_opt_ins"] == 1


async def test_outcomes_are_told_when_the_log_is_back_also_after_a_restart() -> None:
    disk, log = SimulatedDisk(), Log()
    log.away = True
    async with running(disk=disk, log=log) as world:
        world.dispatcher.offer([decided(1)])
        await until(lambda: "log away" in world.dispatcher.fault)
    log.away = False
    async with running(disk=disk, log=log):
        await until(lambda: log.states() == [("0-1-0-7", OutcomeState.COMMITTED)])


async def test_a_full_disk_holds_sends_back_and_goes_on_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dispatch.commits._DISK_RETRY_S", 0.01)
    disk = SimulatedDisk()
    async with running(disk=disk) as world:
        disk.capacity_bytes = 0
        world.dispatcher.offer([decided(1)])
        await until(lambda: world.dispatcher.fault)
        assert world.gateway.sent == []
        disk.capacity_bytes = None
        await until(lambda: world.gateway.sent)
        assert world.dispatcher.fault == ""


async def test_whoever_waits_for_a_commit_that_fails_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost() -> None:
        raise DiskError("the outbox has another owner")

    async with running() as world:
        monkeypatch.setattr(world.outbox, "commit", lost)
        async with asyncio.timeout(5):
            with pytest.raises(DiskError, match="another owner"):
                await world.dispatcher.switch(SwitchScope.RULE, "a", Action.PAUSE)


async def test_a_fault_that_nobody_foresaw_ends_dispatch_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as world:
        monkeypatch.setattr(world.dispatcher.core, "take", lambda now_ms: {}[now_ms])
        world.dispatcher.offer([decided(1)])
        await until(lambda: world.dispatcher.failure)
        assert isinstance(world.dispatcher.failure, KeyError)


async def test_a_full_queue_has_no_room_and_an_empty_one_has() -> None:
    async with running(policy=replace(POLICY, queue_max=3)) as world:
        world.gateway.free = 0
        world.dispatcher.offer([decided(1), decided(2), decided(3)])
        assert world.dispatcher.room() == 0
        world.gateway.free = 10
        await until(lambda: world.dispatcher.room() == 3)


async def test_a_rate_is_kept() -> None:
    policy = Policy({"sms": ChannelPolicy(("one",))}, gateway_rates={"one": 100.0})
    async with running(policy=policy, clock=lambda: time.time_ns() // 1_000_000) as world:
        now = time.time_ns() // 1_000_000
        world.dispatcher.offer([decided(number, append_ms=now) for number in range(1, 100)])
        await asyncio.sleep(0.3)
        assert 25 <= len(world.gateway.sent) <= 60


async def test_a_quota_counts_the_parts_of_long_texts_also_over_a_restart() -> None:
    policy = Policy({"sms": replace(POLICY.channels["sms"], quota_per_day=5)})
    long, disk = "x" * 200, SimulatedDisk()
    async with running(policy=policy, disk=disk) as world:
        world.dispatcher.offer([decided(1, text=long), decided(2, text=long), decided(3, text="x" * 1000)])
        await until(lambda: len(world.log.said) == 3)
        assert world.log.states()[0] == ("0-3-0-7", OutcomeState.REFUNDED), "more parts than a day has places"
    async with running(policy=policy, disk=disk) as world:
        world.dispatcher.offer([decided(4), decided(5)])
        await until(lambda: world.gateway.sent)
        await asyncio.sleep(0.1)
        assert [message.decision_id for message in world.gateway.sent] == ["0-4-0-7"]


@pytest.mark.parametrize("links", [2])
async def test_a_thousand_texts_go_over_smpp_once_each_and_every_receipt_reaches_the_log(
    monkeypatch: pytest.MonkeyPatch, links: int, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISPATCH_TEST_PASSWORD", "secret")
    simulator = Simulator(SimulatorConfig(receipt_ms=1))
    await simulator.start()
    config = Config.model_validate(
        {
            "kind": "smpp",
            "host": "127.0.0.1",
            "port": simulator.port,
            "system_id": "opportune",
            "password": {"env": "DISPATCH_TEST_PASSWORD"},
            "links": links,
            "window": 50,
        }
    )
    gateway = Gateway("one", config, lambda: NOW_MS)
    async with running(gateways={"one": gateway}) as world:
        world.dispatcher.offer([decided(number) for number in range(1, 1001)])
        await until(lambda: len(world.log.said) == 2000, 20)
        states = world.log.states()
        for state in (OutcomeState.COMMITTED, OutcomeState.DELIVERED):
            assert len({identity for identity, said in states if said is state}) == 1000
    assert (simulator.counts.accepted, simulator.counts.receipts_acked) == (1000, 1000)
    await simulator.stop()
