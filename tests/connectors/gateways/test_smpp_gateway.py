"""The SMPP gateway against our simulated message centre."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.contract import GatewayError, Message, MobileOriginated, Outcome, Receipt, ReceiptState, State
from connectors.gateways.smpp import Config, Gateway
from connectors.gateways.smpp.simulator import Simulator, SimulatorConfig
from connectors.gateways.smpp.submits import join

NOW_MS = 1_225_760_400_000


class Desk:
    """Keeps what the gateway brings."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.replies: list[MobileOriginated] = []
        self.fault: Exception | None = None
        self.came = asyncio.Event()

    async def receipt(self, receipt: Receipt) -> None:
        if self.fault:
            raise self.fault
        self.receipts.append(receipt)
        self.came.set()

    async def reply(self, reply: MobileOriginated) -> None:
        self.replies.append(reply)
        self.came.set()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.receipts) + len(self.replies) < count:
                self.came.clear()
                await self.came.wait()


def config(port: int, **changes: Any) -> Config:
    settings = {
        "kind": "smpp",
        "host": "127.0.0.1",
        "port": port,
        "system_id": "opportune",
        "password": {"env": "SMPP_TEST_PASSWORD"},
        "source_address": "10086",
        "reconnect_ms_min": 20,
        "reconnect_ms_max": 100,
        "throttle_ms_min": 50,
        "throttle_ms_max": 200,
        "response_ms_max": 400,
    }
    return Config.model_validate(settings | changes)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for belongs to the other side
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(
    monkeypatch: pytest.MonkeyPatch, smsc: SimulatorConfig | None = None, **changes: Any
) -> AsyncIterator[tuple[Gateway, Simulator, Desk]]:
    monkeypatch.setenv("SMPP_TEST_PASSWORD", "secret")
    simulator = Simulator(smsc or SimulatorConfig(receipt_ms=1))
    await simulator.start()
    gateway = Gateway("smsc", config(simulator.port, **changes), lambda: NOW_MS, seed=1)
    desk = Desk()
    await gateway.start(desk.receipt, desk.reply)
    await until(lambda: gateway.status()["links_up"] == gateway.status()["links"])
    try:
        yield gateway, simulator, desk
    finally:
        await gateway.stop()
        await simulator.stop()


def text(destination: int = 8613800000001, words: str = "hello", **changes: Any) -> Message:
    return Message("0-1-2-3", destination, words, **changes)


async def test_a_text_is_accepted_and_its_receipt_has_the_same_id(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as (gateway, simulator, desk):
        outcome = await gateway.send(text(shelf_life_ms=600_000))
        await desk.wait(1)
        assert outcome.state is State.ACCEPTED
        assert [(r.gateway, r.gateway_message_id, r.state, r.at_ms) for r in desk.receipts] == [
            ("smsc", outcome.gateway_message_id, ReceiptState.DELIVERED, NOW_MS)
        ]
        _, short = simulator.counts.last[-1]
        assert (short.source.digits, short.validity, short.payload) == ("10086", "000000001000000R", b"hello")
        await until(lambda: simulator.counts.receipts_acked == 1)


async def test_a_long_text_goes_out_in_parts_and_comes_back_as_one_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as (gateway, simulator, desk):
        outcome = await gateway.send(text(words="尊" * 140))
        await desk.wait(3)
        assert {r.gateway_message_id for r in desk.receipts} == set(outcome.gateway_message_ids)
        assert [short.esm_class for _, short in simulator.counts.last] == [0x40] * 3


async def test_a_text_of_too_many_parts_is_refused_for_good_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch, parts_max=2) as (gateway, simulator, _):
        assert (await gateway.send(text(words="尊" * 140))).state is State.PERMANENT
        assert simulator.counts.submits == 0


@pytest.mark.parametrize(("status", "state"), [("61", State.PERMANENT), ("08", State.RETRY), ("45", State.REROUTE)])
async def test_a_refusal_says_whether_to_try_again(monkeypatch: pytest.MonkeyPatch, status: str, state: State) -> None:
    async with running(monkeypatch, errors={"0x45": "reroute"}) as (gateway, _, _):
        assert await gateway.send(text(int("999" + status))) == Outcome(state, f"0x{status}")


async def test_a_submit_without_an_answer_has_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch, response_ms_max=150) as (gateway, _, _):
        answered = asyncio.create_task(gateway.send(text(8613800000001)))
        outcome = await gateway.send(text(9960000001))
        assert (outcome.state, outcome.code) == (State.UNKNOWN, "TIMEOUT")
        assert (await answered).state is State.ACCEPTED


async def test_a_connection_cut_after_the_write_has_an_unknown_outcome_and_the_link_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(monkeypatch) as (gateway, simulator, _):
        assert (await gateway.send(text(9950000001))).state is State.UNKNOWN
        await until(lambda: simulator.counts.binds == 2 and gateway.up)
        assert (await gateway.send(text())).state is State.ACCEPTED


async def test_a_receipt_before_the_response_and_a_doubled_one_both_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as (gateway, _, desk):
        outcome = await gateway.send(text(9970000001))
        await desk.wait(2)
        assert [r.gateway_message_id for r in desk.receipts] == [outcome.gateway_message_id] * 2


async def test_without_a_link_nothing_is_written_and_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as (gateway, simulator, _):
        await simulator.stop()
        await until(lambda: not gateway.up)
        assert (await gateway.send(text())).state is State.LINK_DOWN
        assert gateway.room() == 0


async def test_several_links_share_the_work_and_the_window_bounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    smsc = SimulatorConfig(work_ms=30, receipt_ms=1)
    async with running(monkeypatch, smsc, links=3, window=2) as (gateway, _, _):
        assert gateway.room() == 6
        sends = [asyncio.create_task(gateway.send(text())) for _ in range(20)]
        await asyncio.sleep(0.01)
        assert (gateway.status()["in_flight"], gateway.room()) == (6, 0)
        assert {(await send).state for send in sends} == {State.ACCEPTED}


async def test_throttling_halves_the_pace_and_every_text_gets_through_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(monkeypatch, SimulatorConfig(rate_per_s=40), window=50) as (gateway, simulator, _):
        left = 60
        async with asyncio.timeout(10):
            while left:
                sends = [gateway.send(text(wanted_receipt=False)) for _ in range(min(left, gateway.room()))]
                outcomes = await asyncio.gather(*sends)
                assert {o.state for o in outcomes} <= {State.ACCEPTED, State.RETRY}
                left -= sum(o.state is State.ACCEPTED for o in outcomes)
                await asyncio.sleep(0.02)
        assert simulator.counts.accepted == 60
        assert simulator.counts.throttled < 60


async def test_a_reply_from_a_subscriber_arrives_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as (_, simulator, desk):
        simulator.reply_from(8613800000001, "10086", "退订")
        await desk.wait(1)
        assert [(r.subscriber, r.to_address, r.text) for r in desk.replies] == [(8613800000001, "10086", "退订")]


async def test_a_receipt_that_cannot_be_stored_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as (gateway, simulator, desk):
        desk.fault = OSError("disk full")
        await gateway.send(text())
        await until(lambda: "disk full" in str(gateway.status()["last_fault"]))
        await asyncio.sleep(0.02)
        assert simulator.counts.receipts_acked == 0


async def test_an_idle_link_is_asked_whether_it_lives_and_a_silent_one_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(monkeypatch, enquire_ms=100, response_ms_max=100) as (gateway, simulator, _):
        await asyncio.sleep(0.4)
        assert (simulator.counts.binds, gateway.up) == (1, True)
        for session in simulator.sessions:
            monkeypatch.setattr(session, "data_received", lambda data: None)
        await until(lambda: simulator.counts.binds == 2)


@pytest.mark.parametrize(("field", "value", "fault"), [("system_id", "stranger", "0x0f"), ("password", "P2", "0x0e")])
async def test_a_refused_bind_shows_in_status_and_keeps_trying(
    monkeypatch: pytest.MonkeyPatch, field: str, value: str, fault: str
) -> None:
    monkeypatch.setenv("P2", "wrong")
    monkeypatch.setenv("SMPP_TEST_PASSWORD", "secret")
    simulator = Simulator(SimulatorConfig())
    await simulator.start()
    changed = {field: {"env": value} if field == "password" else value}
    gateway = Gateway("smsc", config(simulator.port, **changed), lambda: NOW_MS)
    await gateway.start(Desk().receipt, Desk().reply)
    await until(lambda: gateway.status()["last_fault"] == f"bind refused with {fault}")
    await until(lambda: int(gateway.status()["reconnects"]) >= 2)
    await gateway.stop()
    await simulator.stop()


async def test_a_missing_password_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMPP_TEST_PASSWORD", raising=False)
    gateway = Gateway("smsc", config(2775), lambda: NOW_MS)
    with pytest.raises(GatewayError, match="password: environment variable SMPP_TEST_PASSWORD is not set"):
        await gateway.start(Desk().receipt, Desk().reply)


async def test_stopping_waits_for_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch, SimulatorConfig(work_ms=50)) as (gateway, _, _):
        send = asyncio.create_task(gateway.send(text()))
        await asyncio.sleep(0.01)
        await gateway.stop()
        assert (await send).state is State.ACCEPTED


async def test_a_cancelled_send_leaves_the_window_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch, SimulatorConfig(work_ms=30), window=1) as (gateway, _, _):
        sends = [asyncio.create_task(gateway.send(text())) for _ in range(3)]
        await asyncio.sleep(0.01)
        sends[1].cancel()
        assert (await sends[2]).state is State.ACCEPTED


async def test_garbage_from_the_centre_closes_the_link_and_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as (gateway, simulator, _):
        transport = next(iter(simulator.sessions))._transport
        assert transport is not None
        transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await until(lambda: simulator.counts.binds == 2 and gateway.up)


def outcome(state: State, code: str = "", ids: tuple[str, ...] = ()) -> Outcome:
    return Outcome(state, code, ids)


def test_a_text_is_accepted_only_when_all_its_parts_are() -> None:
    parts = [outcome(State.ACCEPTED, ids=("1",)), outcome(State.ACCEPTED, ids=("2",))]
    assert join(parts) == outcome(State.ACCEPTED, ids=("1", "2"))


def test_a_text_that_was_taken_in_part_is_unknown() -> None:
    parts = [outcome(State.ACCEPTED, ids=("1",)), outcome(State.RETRY, "0x58")]
    assert join(parts) == outcome(State.UNKNOWN, "PARTS 0x58")


def test_of_several_refusals_the_gravest_counts() -> None:
    assert join([outcome(State.RETRY, "a"), outcome(State.PERMANENT, "b")]).code == "b"
    assert join([outcome(State.PERMANENT, "b"), outcome(State.UNKNOWN, "c")]).code == "c"
