"""Our SMPP gateway against two message centres that we did not write: Cloudhopper's and jSMPP's.

`install.sh` fetches and compiles them. Without them these tests fail in CI and are skipped elsewhere, saying so.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.contract import Message, ReceiptState, State
from connectors.gateways.smpp import Config, Gateway
from connectors.gateways.text import Alphabet, text_of
from tests.parts.smsc.centre import Centre

CENTRES = ["CloudhopperCentre", "JsmppCentre"]


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for belongs to another process
            await asyncio.sleep(0.01)


@pytest.fixture(params=CENTRES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def running(
    monkeypatch: pytest.MonkeyPatch, name: str, *behaviour: object, wait: bool = True, **changes: Any
) -> AsyncIterator[tuple[Gateway, Centre, list[Any]]]:
    monkeypatch.setenv("SMSC_TEST_PASSWORD", "secret")
    monkeypatch.setenv("SMSC_WRONG_PASSWORD", "stranger")
    centre = Centre(name, *behaviour)
    await asyncio.to_thread(centre.start)
    settings = {
        "kind": "smpp",
        "host": "127.0.0.1",
        "port": centre.port,
        "system_id": "tester",
        "password": {"env": "SMSC_TEST_PASSWORD"},
        "source_address": "10086",
        "reconnect_ms_min": 20,
        "throttle_ms_min": 100,
        "throttle_ms_max": 400,
    }
    gateway = Gateway("smsc", Config.model_validate(settings | changes), lambda: 1_225_760_400_000)
    receipts = []

    async def keep(said: Any) -> None:
        receipts.append(said)

    await gateway.start(keep, keep)
    try:
        if wait:
            await until(lambda: gateway.status()["links_up"] == gateway.status()["links"])
        yield gateway, centre, receipts
    finally:
        await gateway.stop()
        await asyncio.to_thread(centre.stop)


def message(destination: int = 8613800000001, words: str = "hello", **changes: Any) -> Message:
    return Message("0-1-2-3", destination, words, **changes)


async def test_texts_are_accepted_and_receipts_name_them(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async with running(monkeypatch, name) as (gateway, centre, receipts):
        outcomes = [await gateway.send(message(8613800000001)), await gateway.send(message(9980000001))]
        await until(lambda: len(receipts) == 2 and sum("receipt acked" in line for line in centre.lines) == 2)
        assert [outcome.state for outcome in outcomes] == [State.ACCEPTED] * 2
        assert {r.gateway_message_id: r.state for r in receipts} == {
            outcomes[0].gateway_message_id: ReceiptState.DELIVERED,
            outcomes[1].gateway_message_id: ReceiptState.UNDELIVERED,
        }


async def test_a_long_chinese_text_arrives_whole_from_its_parts(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    words = "尊敬的客户，您正在拨打长途，加拨12593更优惠。" * 6 + "😀"
    async with running(monkeypatch, name) as (gateway, centre, receipts):
        outcome = await gateway.send(message(words=words, shelf_life_ms=3_600_000))
        await until(lambda: len(receipts) == 3)
        assert {r.gateway_message_id for r in receipts} == set(outcome.gateway_message_ids)
        parts = {}
        for source, destination, esm, coding, registered, validity, octets in centre.submits:
            fields = (source, destination, esm, coding, registered, validity)
            assert fields == ("10086", "8613800000001", "40", "08", "01", "000000010000000R")
            payload = bytes.fromhex(octets)
            total, number = payload[4:6]
            parts[number] = text_of(payload, Alphabet.UCS2, header=True)
        assert "".join(parts[number] for number in range(1, total + 1)) == words


async def test_a_refusal_is_classed_by_its_status(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async with running(monkeypatch, name) as (gateway, _, _):
        states = {"61": State.PERMANENT, "65": State.PERMANENT, "08": State.RETRY, "14": State.RETRY}
        for status, state in states.items():
            assert (await gateway.send(message(int(f"999{status}")))).state is state


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [({"system_id": "stranger"}, "0x0f"), ({"password": {"env": "SMSC_WRONG_PASSWORD"}}, "0x0e")],
)
async def test_a_wrong_login_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: dict[str, Any], fault: str
) -> None:
    async with running(monkeypatch, name, wait=False, **wrong) as (gateway, _, _):
        await until(lambda: gateway.status()["last_fault"] == f"bind refused with {fault}")


@pytest.mark.parametrize(("name", "behaviour"), [("CloudhopperCentre", (40, 4, 100)), ("JsmppCentre", (1, 5, 10, 100))])
async def test_a_throttling_centre_gets_every_text_once_at_its_own_pace(
    monkeypatch: pytest.MonkeyPatch, name: str, behaviour: tuple[int, ...]
) -> None:
    async with running(monkeypatch, name, *behaviour, window=40) as (gateway, _, _):
        refused, left = 0, 80
        async with asyncio.timeout(30):
            while left:
                sends = [gateway.send(message(wanted_receipt=False)) for _ in range(min(left, gateway.room()))]
                outcomes = await asyncio.gather(*sends)
                assert {outcome.state for outcome in outcomes} <= {State.ACCEPTED, State.RETRY}
                accepted = sum(outcome.state is State.ACCEPTED for outcome in outcomes)
                refused, left = refused + len(outcomes) - accepted, left - accepted
                await asyncio.sleep(0.02)
        assert 0 < refused < 200
        assert int(gateway.status()["throttled"]) > 0


async def test_links_are_kept_alive_by_enquiries_and_come_back_after_the_centre_does(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with running(monkeypatch, name, links=2, enquire_ms=100, response_ms_max=1500) as (gateway, centre, _):
        await asyncio.sleep(0.5)
        assert (gateway.status()["links_up"], gateway.status()["reconnects"]) == (2, 0)
        await asyncio.to_thread(centre.stop)
        await until(lambda: not gateway.up)
        assert (await gateway.send(message())).state is State.LINK_DOWN
        centre.lines.clear()
        await asyncio.to_thread(centre.start)
        await until(lambda: gateway.status()["links_up"] == 2)
        assert (await gateway.send(message())).state is State.ACCEPTED


async def test_two_hundred_texts_over_a_window_are_each_answered_and_receipted(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with running(monkeypatch, name, links=2, window=20) as (gateway, _, receipts):
        outcomes = await asyncio.gather(*(gateway.send(message(8613800000000 + i)) for i in range(1, 201)))
        ids = [outcome.gateway_message_id for outcome in outcomes]
        assert len(set(ids)) == 200
        await until(lambda: len(receipts) == 200)
        assert {r.gateway_message_id for r in receipts} == set(ids)
