"""The SMPP gateway against a centre that a test plays PDU by PDU: wrong, late and broken answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectors.contract import Message, MobileOriginated, Outcome, Receipt, ReceiptState, State
from connectors.gateways.smpp import Config, Gateway, codec
from connectors.gateways.smpp.codec import Address, Framer, Pdu, Short

NOW_MS = 1_225_760_400_000
DECISION = "0-1-2-3"


class Centre:
    """One connection, answered by the test; binds are answered at once."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[Pdu] = asyncio.Queue()
        self.receipts: list[Receipt] = []
        self.replies: list[MobileOriginated] = []
        self.stored = asyncio.Event()
        self.may_store = asyncio.Event()
        self.may_store.set()
        self.closed = asyncio.Event()

    async def receipt(self, receipt: Receipt) -> None:
        await self.may_store.wait()
        self.receipts.append(receipt)
        self.stored.set()

    async def reply(self, reply: MobileOriginated) -> None:
        await self.may_store.wait()
        self.replies.append(reply)
        self.stored.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.closed.clear()
        framer = Framer()
        while data := await reader.read(65_536):
            for pdu in framer.feed(data):
                if pdu.command == codec.BIND_TRANSCEIVER:
                    self.answer(pdu, body=b"centre\0")
                else:
                    self.came.put_nowait(pdu)
        self.closed.set()
        writer.close()

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def answer(self, pdu: Pdu, status: int = codec.OK, body: bytes = b"", command: int | None = None) -> None:
        self.write(codec.encode(command or pdu.command | codec.RESPONSE, status, pdu.sequence, body))

    async def next(self, command: int) -> Pdu:
        async with asyncio.timeout(5):
            while (pdu := await self.came.get()).command != command:
                pass
        return pdu


@asynccontextmanager
async def playing(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> AsyncIterator[tuple[Gateway, Centre]]:
    monkeypatch.setenv("SMPP_TEST_PASSWORD", "secret")
    centre = Centre()
    server = await asyncio.start_server(centre.serve, "127.0.0.1", 0)
    settings = {
        "kind": "smpp",
        "host": "127.0.0.1",
        "port": server.sockets[0].getsockname()[1],
        "system_id": "opportune",
        "password": {"env": "SMPP_TEST_PASSWORD"},
        "reconnect_ms_min": 20,
        "response_ms_max": 150,
        "throttle_ms_min": 20,
        "throttle_ms_max": 40,
        "stop_ms_max": 200,
    }
    gateway = Gateway("smsc", Config.model_validate(settings | changes), lambda: NOW_MS, seed=1)
    await gateway.start(centre.receipt, centre.reply)
    try:
        async with asyncio.timeout(5):
            while not gateway.up:  # noqa: ASYNC110 - the link comes up by itself
                await asyncio.sleep(0.005)
        yield gateway, centre
    finally:
        await gateway.stop()
        server.close()


def text(words: str = "hello", **changes: Any) -> Message:
    return Message(DECISION, 8613800000001, words, **changes)


def delivery(payload: bytes, esm_class: int = 0) -> bytes:
    return codec.pack_short(
        Short(Address(1, 1, "8613800000001"), Address(0, 1, "10086"), esm_class=esm_class, payload=payload)
    )


@pytest.mark.parametrize("command", [codec.ENQUIRE_LINK, codec.DELIVER_SM, codec.UNBIND, codec.BIND_TRANSCEIVER])
async def test_an_answer_to_another_request_with_the_same_number_is_no_acceptance(
    monkeypatch: pytest.MonkeyPatch, command: int
) -> None:
    async with playing(monkeypatch) as (gateway, centre):
        sent = asyncio.create_task(gateway.send(text()))
        submit = await centre.next(codec.SUBMIT_SM)
        centre.answer(submit, body=b"7\0", command=command | codec.RESPONSE)
        await asyncio.sleep(0.02)
        assert not sent.done()
        centre.answer(submit, codec.THROTTLED)
        assert (await sent).code == "0x58"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(codec.OK, Outcome(State.UNKNOWN, "NACK")), (codec.INVALID_COMMAND, Outcome(State.PERMANENT, "0x03"))],
)
async def test_a_nack_is_no_acceptance(monkeypatch: pytest.MonkeyPatch, status: int, outcome: Outcome) -> None:
    async with playing(monkeypatch) as (gateway, centre):
        sent = asyncio.create_task(gateway.send(text()))
        centre.answer(await centre.next(codec.SUBMIT_SM), status, command=codec.GENERIC_NACK)
        assert await sent == outcome


@pytest.mark.parametrize(
    ("status", "state", "ids"), [(codec.OK, ReceiptState.ACCEPTED, ("7",)), (0x0B, ReceiptState.REFUSED, ())]
)
async def test_an_answer_after_the_time_limit_settles_the_text(
    monkeypatch: pytest.MonkeyPatch, status: int, state: ReceiptState, ids: tuple[str, ...]
) -> None:
    async with playing(monkeypatch) as (gateway, centre):
        sent = asyncio.create_task(gateway.send(text()))
        submit = await centre.next(codec.SUBMIT_SM)
        assert await sent == Outcome(State.UNKNOWN, "TIMEOUT")
        centre.answer(await centre.next(codec.ENQUIRE_LINK))  # slow, but it lives
        centre.answer(submit, status, b"7\0" if status == codec.OK else b"")
        async with asyncio.timeout(5):
            await centre.stored.wait()
        (late,) = centre.receipts
        assert (late.decision_id, late.state, late.part_ids, late.at_ms) == (DECISION, state, ids, NOW_MS)
        assert gateway.status()["late_answers"] == 1


async def test_a_late_answer_to_one_part_settles_the_text_with_the_ids_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(monkeypatch) as (gateway, centre):
        sent = asyncio.create_task(gateway.send(text("尊" * 100)))
        first, second = await centre.next(codec.SUBMIT_SM), await centre.next(codec.SUBMIT_SM)
        await asyncio.sleep(0.05)
        centre.answer(first, body=b"1\0")
        assert (await sent).state is State.UNKNOWN
        centre.answer(second, body=b"2\0")
        async with asyncio.timeout(5):
            await centre.stored.wait()
        assert [(late.decision_id, late.part_ids) for late in centre.receipts] == [(DECISION, ("1", "2"))]


async def test_pdus_before_a_broken_one_in_the_same_segment_are_stored_and_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with playing(monkeypatch) as (gateway, centre):
        sent = asyncio.create_task(gateway.send(text()))
        submit = await centre.next(codec.SUBMIT_SM)
        answer = codec.encode(codec.SUBMIT_SM | codec.RESPONSE, codec.OK, submit.sequence, b"7\0")
        reply = codec.encode(codec.DELIVER_SM, codec.OK, 5, delivery(b"TD"))
        centre.write(answer + reply + b"\0\0\0\x01 broken from here on")
        assert (await sent).state is State.ACCEPTED
        assert (await centre.next(codec.DELIVER_SM | codec.RESPONSE)).status == codec.OK
        assert [reply.text for reply in centre.replies] == ["TD"]
        await centre.closed.wait()


async def test_a_data_sm_is_stored_and_answered_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(monkeypatch) as (_, centre):
        head = b"\0\x01\x01" + b"8613800000001\0" + b"\0\x01" + b"10086\0" + bytes((4, 0, 0))
        parameters = {codec.TLV_RECEIPTED_ID: b"7\0", codec.TLV_MESSAGE_STATE: b"\x02"}
        centre.write(codec.encode(codec.DATA_SM, codec.OK, 5, head + codec.pack_tlvs(parameters)))
        answer = await centre.next(codec.DATA_SM | codec.RESPONSE)
        assert (answer.status, answer.sequence) == (codec.OK, 5)
        assert [(one.gateway_message_id, one.state) for one in centre.receipts] == [("7", ReceiptState.DELIVERED)]


@pytest.mark.parametrize("command", [codec.ALERT_NOTIFICATION, codec.OUTBIND])
async def test_what_has_no_answer_gets_none(monkeypatch: pytest.MonkeyPatch, command: int) -> None:
    async with playing(monkeypatch) as (_, centre):
        centre.write(codec.encode(command, codec.OK, 5, b"\0\x01\x018613800000001\0\0\x01\x0110086\0"))
        centre.write(codec.encode(codec.ENQUIRE_LINK, codec.OK, 6))
        async with asyncio.timeout(5):
            assert (await centre.came.get()).command == codec.ENQUIRE_LINK | codec.RESPONSE


async def test_an_unbind_by_the_centre_waits_for_the_answers_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(monkeypatch, response_ms_max=2_000) as (gateway, centre):
        sent = asyncio.create_task(gateway.send(text()))
        submit = await centre.next(codec.SUBMIT_SM)
        centre.may_store.clear()
        centre.write(codec.encode(codec.DELIVER_SM, codec.OK, 5, delivery(b"TD")))
        centre.write(codec.encode(codec.UNBIND, codec.OK, 6))
        await asyncio.sleep(0.05)
        assert not gateway.up
        centre.answer(submit, body=b"7\0")
        assert (await sent).state is State.ACCEPTED
        centre.may_store.set()
        assert (await centre.next(codec.DELIVER_SM | codec.RESPONSE)).status == codec.OK
        assert (await centre.next(codec.UNBIND | codec.RESPONSE)).sequence == 6


async def test_our_unbind_waits_for_answers_of_both_sides_and_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(monkeypatch, response_ms_max=2_000, stop_ms_max=2_000) as (gateway, centre):
        sent = asyncio.create_task(gateway.send(text()))
        submit = await centre.next(codec.SUBMIT_SM)
        centre.may_store.clear()
        centre.write(codec.encode(codec.DELIVER_SM, codec.OK, 5, delivery(b"TD")))
        await asyncio.sleep(0.02)
        stopping = asyncio.create_task(gateway.stop())
        await asyncio.sleep(0.02)
        centre.answer(submit, body=b"7\0")
        centre.may_store.set()
        assert (await centre.next(codec.DELIVER_SM | codec.RESPONSE)).status == codec.OK
        unbind = await centre.next(codec.UNBIND)
        assert not stopping.done()
        centre.answer(unbind)
        await stopping
        assert (await sent).state is State.ACCEPTED


async def test_an_empty_text_is_refused_before_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(monkeypatch) as (gateway, centre):
        for words in ("", " \r\n"):
            assert await gateway.send(text(words)) == Outcome(State.PERMANENT, "EMPTY_TEXT")
        assert centre.came.empty()


async def test_a_part_that_is_throttled_is_offered_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(monkeypatch, response_ms_max=2_000) as (gateway, centre):
        sent = asyncio.create_task(gateway.send(text("尊" * 100)))
        centre.answer(await centre.next(codec.SUBMIT_SM), body=b"1\0")
        for _ in range(8):
            centre.answer(await centre.next(codec.SUBMIT_SM), codec.THROTTLED)
        centre.answer(await centre.next(codec.SUBMIT_SM), body=b"2\0")
        assert await sent == Outcome(State.ACCEPTED, "", ("1", "2"))


async def test_a_bind_that_is_nacked_is_no_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Centre,
        "answer",
        lambda self, pdu, *_, **__: self.write(codec.encode(codec.GENERIC_NACK, codec.OK, pdu.sequence)),
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), playing(monkeypatch):
            pass
