"""What a message centre brings: receipts, replies in every coding and in parts, and what cannot be read."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import MobileOriginated, Receipt, ReceiptState
from connectors.gateways.smpp import codec, deliveries
from connectors.gateways.smpp.codec import Address, Short
from connectors.gateways.smpp.config import SmppConfig
from connectors.gateways.smpp.deliveries import Deliveries, masked
from connectors.gateways.text import parts_of

NOW_MS = 1_225_760_400_000
SUBSCRIBER = "8613800000001"


class Inbox:
    """Deliveries of one gateway, and what came of them."""

    def __init__(self, **settings: Any) -> None:
        self.receipts: list[Receipt] = []
        self.replies: list[MobileOriginated] = []
        self.faults = 0
        base = {"kind": "smpp", "host": "h", "system_id": "x", "password": {"env": "P"}}
        config = SmppConfig.model_validate(base | settings)
        self.deliveries = Deliveries("smsc", config, lambda: NOW_MS, self._receipt, self._reply)

    async def _receipt(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)

    async def _reply(self, reply: MobileOriginated) -> None:
        if self.faults:
            self.faults -= 1
            raise OSError("disk full")
        self.replies.append(reply)

    async def take(self, short: Short) -> int:
        return await self.deliveries.take(codec.DELIVER_SM, codec.pack_short(short))

    async def take_all(self, *shorts: Short) -> list[int]:
        return list(await asyncio.gather(*map(self.take, shorts)))

    @property
    def texts(self) -> list[str]:
        return [reply.text for reply in self.replies]

    @property
    def unread(self) -> int:
        return self.deliveries.counts["unread"]


def reply(octets: bytes, coding: int = 0, source: str = SUBSCRIBER, **changes: Any) -> Short:
    return Short(Address(1, 1, source), Address(0, 1, "10086"), coding=coding, payload=octets, **changes)


def in_header(parts: Sequence[bytes], coding: int, reference: int = 7, wide: bool = False) -> list[Short]:
    head = bytes((6, 8, 4, 1, reference)) if wide else bytes((5, 0, 3, reference))
    total = len(parts)
    return [reply(head + bytes((total, number)) + part, coding, esm_class=0x40) for number, part in enumerate(parts, 1)]


def in_parameters(parts: Sequence[bytes], coding: int, reference: int = 7) -> list[Short]:
    return [
        reply(
            part,
            coding,
            tlvs={
                codec.TLV_SAR_REFERENCE: reference.to_bytes(2, "big"),
                codec.TLV_SAR_TOTAL: bytes((len(parts),)),
                codec.TLV_SAR_NUMBER: bytes((number,)),
            },
        )
        for number, part in enumerate(parts, 1)
    ]


@pytest.mark.parametrize(
    ("octets", "coding", "text"),
    [
        (b"TD", 0, "TD"),
        (b"TD", 0x11, "TD"),
        (b"TD", 0xF0, "TD"),
        (b"TD", 0xF5, "TD"),
        (b"TD", 4, "TD"),
        ("退订".encode("utf-16-be"), 8, "退订"),
        ("退订".encode("utf-16-be"), 0x18, "退订"),
        ("退订".encode("utf-16-be"), 0xE0, "退订"),
        ("退订".encode("gbk"), 15, "退订"),
        ("é".encode("latin-1"), 3, "é"),
    ],
)
async def test_a_reply_is_read_in_its_coding(octets: bytes, coding: int, text: str) -> None:
    inbox = Inbox()
    assert await inbox.take(reply(octets, coding)) == codec.OK
    assert inbox.replies == [MobileOriginated("smsc", 8613800000001, "10086", text, NOW_MS, False)]
    assert inbox.unread == 0


async def test_a_centre_that_numbers_its_codings_otherwise_is_read_by_its_settings() -> None:
    inbox = Inbox(charsets={"0": "gbk", "0x04": "gsm7_packed", "25": "utf-8"})
    for octets, coding in (("退订".encode("gbk"), 0), (b"T\x22", 4), ("退订".encode(), 25)):
        assert await inbox.take(reply(octets, coding)) == codec.OK
    assert inbox.texts == ["退订", "TD", "退订"]


def test_a_charset_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match="charset='klingon' must be gsm7, gsm7_packed, ucs2, octets or one of Python's"
    ):
        Inbox(charsets={"0": "klingon"})


async def test_a_text_in_message_payload_or_data_sm_is_read_as_any_other() -> None:
    inbox = Inbox()
    payload = {codec.TLV_MESSAGE_PAYLOAD: "退订".encode("utf-16-be")}
    assert await inbox.take(reply(b"", 8, tlvs=payload)) == codec.OK
    data = b"\0\x01\x01" + SUBSCRIBER.encode() + b"\0\0\x01" + b"10086\0" + bytes((0, 0, 8)) + codec.pack_tlvs(payload)
    assert await inbox.deliveries.take(codec.DATA_SM, data) == codec.OK
    assert inbox.texts == ["退订", "退订"]


LONG = "不要再发了，" * 20 + "退订"


@pytest.mark.parametrize("way", ["header", "wide header", "parameters"])
async def test_a_long_reply_comes_whole_whatever_the_order_of_its_parts(way: str) -> None:
    inbox = Inbox()
    octets = LONG.encode("utf-16-be")
    parts = [octets[at : at + 133] for at in range(0, len(octets), 133)]  # ends inside characters
    shorts = in_parameters(parts, 8) if way == "parameters" else in_header(parts, 8, wide=way == "wide header")
    statuses = await asyncio.gather(*(inbox.take(short) for short in reversed(shorts)))
    assert statuses == [codec.OK] * len(parts)
    assert inbox.texts == [LONG]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300), st.randoms(use_true_random=False))
def test_any_text_that_we_could_send_is_read_when_it_comes(text: str, order: Any) -> None:
    async def run() -> list[str]:
        inbox = Inbox()
        parts = list(parts_of(text, 9))
        coding = {"gsm7": 0, "ucs2": 8}[parts[0].alphabet.value]
        shorts = [reply(part.payload, coding, esm_class=0x40 if part.header else 0) for part in parts]
        order.shuffle(shorts)
        await asyncio.gather(*(inbox.take(short) for short in shorts))
        return inbox.texts

    assert asyncio.run(run()) == [text.removeprefix("\ufeff")]


async def test_parts_are_answered_when_the_whole_is_safe_and_come_again_when_it_is_not() -> None:
    inbox = Inbox()
    first, second = in_header([b"TD ", b"please"], 0)
    inbox.faults = 1
    assert await inbox.take_all(first, second) == [codec.DELIVER_REFUSED_FOR_NOW] * 2
    assert await inbox.take_all(first, second) == [codec.OK] * 2
    assert inbox.texts == ["TD please"]


async def test_a_centre_that_sends_a_part_only_after_the_answer_to_the_one_before_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries, "_HOLD_S", 0.01)
    inbox = Inbox()
    first, second = in_header([b"TD ", b"please"], 0)
    assert await inbox.take(first) == codec.OK
    assert inbox.texts == []
    assert await inbox.take(second) == codec.OK
    assert inbox.texts == ["TD please"]


async def test_a_reply_whose_parts_do_not_all_come_is_taken_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deliveries, "_HOLD_S", 0.01)
    inbox = Inbox(parts_wait_ms=0)
    await inbox.take(in_header(["退订".encode("utf-16-be"), b"\0a"], 8)[0])
    await inbox.deliveries.flush()
    assert inbox.texts == ["退订"]
    assert inbox.unread == 1
    assert "a text without all its parts" in caplog.text


async def test_parts_of_several_subscribers_with_one_reference_are_not_mixed() -> None:
    inbox = Inbox()
    mine, other = (
        in_header([b"a", b"b"], 0),
        [short._replace(source=Address(1, 1, "8613800000002")) for short in in_header([b"c", b"d"], 0)],
    )
    await asyncio.gather(*(inbox.take(short) for short in (mine[0], other[1], other[0], mine[1])))
    assert sorted(inbox.texts) == ["ab", "cd"]


@pytest.mark.parametrize(
    ("short", "why"),
    [
        (reply(b"\x01\x02\xff", 4), "a text in no known coding"),
        (reply(b"TD", 0x20), "a text in no known coding"),
        (reply(b"TD", source="86138000000011234567"), "a text from no subscriber"),
        (reply(b"TD", source="BANK"), "a text from no subscriber"),
        (reply(b"TD", source=""), "a text from no subscriber"),
        (reply(b"stat:DELIVRD", esm_class=4), "a receipt without an id"),
        (reply(b"id:1 stat:GONE", esm_class=4), "a receipt with an unknown state"),
    ],
)
async def test_what_cannot_be_read_is_acknowledged_counted_and_kept_with_the_number_masked(
    short: Short, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Inbox()
    with caplog.at_level(logging.WARNING):
        assert await inbox.take(short) == codec.OK
    assert (inbox.unread, inbox.replies, inbox.receipts) == (1, [], [])
    assert why in caplog.text
    assert short.content.hex() in caplog.text
    assert SUBSCRIBER not in caplog.text


async def test_what_is_readable_of_a_text_is_given_on_and_all_of_it_kept(caplog: pytest.LogCaptureFixture) -> None:
    inbox = Inbox()
    assert await inbox.take(reply(b"TD\xff")) == codec.OK
    assert (inbox.texts, inbox.unread) == (["TD\ufffd"], 1)
    assert "data_coding 0x00, octets 5444ff" in caplog.text


async def test_a_body_that_is_no_delivery_is_refused_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    inbox = Inbox()
    assert await inbox.deliveries.take(codec.DELIVER_SM, b"\0\x01") == codec.INVALID_LENGTH
    assert inbox.unread == 1
    assert "octets 0001" in caplog.text


async def test_a_reply_that_cannot_be_stored_is_not_acknowledged() -> None:
    inbox = Inbox()
    inbox.faults = 1
    assert await inbox.take(reply(b"TD")) == codec.DELIVER_REFUSED_FOR_NOW
    assert inbox.deliveries.fault == "storing a delivery: disk full"


async def test_a_receipt_says_which_numbers_are_in_it_and_what_its_id_may_mean() -> None:
    inbox = Inbox()
    await inbox.take(reply(b"id:0000001001 stat:DELIVRD", esm_class=4))
    assert inbox.receipts == [
        Receipt(
            "smsc",
            "1001",
            ReceiptState.DELIVERED,
            "",
            NOW_MS,
            (8613800000001, 10086),
            ("0000001001", "3e9", "4097"),
        )
    ]


async def test_a_receipt_from_an_address_of_20_digits_is_taken() -> None:
    inbox = Inbox()
    assert await inbox.take(reply(b"id:7 stat:DELIVRD", esm_class=4, source="86138000000011234567")) == codec.OK
    assert [receipt.gateway_message_id for receipt in inbox.receipts] == ["7"]


async def test_an_intermediate_notification_is_no_end() -> None:
    inbox = Inbox()
    assert await inbox.take(reply(b"id:7 stat:ENROUTE", esm_class=0x20)) == codec.OK
    assert (inbox.receipts, inbox.replies, inbox.deliveries.counts["intermediate"]) == ([], [], 1)


@pytest.mark.parametrize(
    ("address", "shown"), [("8613800000001", "861********01"), ("10086", "10086"), ("+8613", "+8613"), ("", "")]
)
def test_an_address_is_masked_where_it_could_be_a_subscriber(address: str, shown: str) -> None:
    assert masked(address) == shown


@given(st.binary(max_size=120), st.sampled_from([codec.DELIVER_SM, codec.DATA_SM]))
def test_any_body_is_answered(body: bytes, command: int) -> None:
    status = asyncio.run(Inbox().deliveries.take(command, body))
    assert status in (codec.OK, codec.INVALID_LENGTH)


@pytest.mark.parametrize(("ton", "is_national"), [(0, None), (1, False), (2, True), (5, None)])
async def test_the_type_of_the_senders_number_is_given_on(ton: int, is_national: bool | None) -> None:
    inbox = Inbox()
    await inbox.take(Short(Address(ton, 1, "13800000001"), Address(0, 1, "10086"), payload=b"TD"))
    (one,) = inbox.replies
    assert (one.subscriber, one.is_national) == (13800000001, is_national)
