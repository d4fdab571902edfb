"""SMPP PDUs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import ReceiptState, State
from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Address, Bind, CodecError, Framer, Pdu, Short

LATIN = st.characters(min_codepoint=1, max_codepoint=255)
ADDRESSES = st.builds(Address, st.integers(0, 255), st.integers(0, 255), st.text(LATIN, max_size=20))
SHORTS = st.builds(
    Short,
    ADDRESSES,
    ADDRESSES,
    esm_class=st.integers(0, 255),
    priority=st.integers(0, 3),
    validity=st.sampled_from(["", "000000001000000R"]),
    registered=st.integers(0, 255),
    coding=st.integers(0, 255),
    payload=st.binary(max_size=254),
    tlvs=st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=40), max_size=3),
    service_type=st.text(LATIN, max_size=5),
)
PDUS = st.builds(Pdu, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1), st.binary())


@given(SHORTS)
def test_a_message_comes_back_as_it_was_packed(short: Short) -> None:
    assert codec.unpack_short(codec.pack_short(short)) == short


def test_a_payload_over_254_octets_travels_as_message_payload() -> None:
    short = Short(Address(0, 1, "10086"), Address(1, 1, "8613800000001"), payload=b"x" * 255)
    got = codec.unpack_short(codec.pack_short(short))
    assert (got.payload, got.content) == (b"", b"x" * 255)


@given(st.binary(max_size=120))
def test_any_body_is_read_or_refused_as_a_codec_error(body: bytes) -> None:
    for unpack in (codec.unpack_short, codec.unpack_bind, codec.unpack_id):
        try:
            unpack(body)
        except CodecError:
            continue


@given(st.lists(PDUS, max_size=5), st.integers(1, 40))
def test_pdus_come_out_of_a_stream_however_it_is_cut(pdus: list[Pdu], size: int) -> None:
    stream = b"".join(codec.encode(*pdu) for pdu in pdus)
    framer = Framer()
    assert [pdu for at in range(0, len(stream), size) for pdu in framer.feed(stream[at : at + size])] == pdus


@pytest.mark.parametrize("length", [0, 15, 70_001, 2**32 - 1])
def test_an_impossible_length_is_refused_with_its_bound(length: int) -> None:
    with pytest.raises(CodecError, match=f"command_length={length} must be >= 16 and <= 70000"):
        Framer().feed(length.to_bytes(4, "big") + bytes(12))


def test_a_bind_comes_back_as_it_was_packed() -> None:
    bind = Bind("opportune", "secret", "care")
    assert codec.unpack_bind(codec.pack_bind(bind)) == bind


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "000000000001000R"),
        (600_000, "000000001000000R"),
        (86_400_000 * 3 + 3_661_000, "000003010101000R"),
        (86_400_000 * 400, "000030000000000R"),
    ],
)
def test_a_shelf_life_becomes_a_relative_validity_period(ms: int, text: str) -> None:
    assert codec.relative_time(ms) == text


def receipt(text: str = "", **tlvs: Any) -> Short:
    tags = {"id": codec.TLV_RECEIPTED_ID, "state": codec.TLV_MESSAGE_STATE}
    return Short(
        Address(1, 1, "86138"),
        Address(0, 1, "10086"),
        esm_class=codec.ESM_RECEIPT,
        payload=text.encode("latin-1"),
        tlvs={tags[name]: value for name, value in tlvs.items()},
    )


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        (
            receipt("id:IIII sub:001 dlvrd:001 submit date:0811 done date:0811 stat:DELIVRD err:000 text:x"),
            ("IIII", ReceiptState.DELIVERED, "000"),
        ),
        (receipt("ID:7 STAT:undeliv ERR:11"), ("7", ReceiptState.UNDELIVERED, "11")),
        (receipt("id:other stat:UNDELIV", id=b"7\0", state=b"\x02"), ("7", ReceiptState.DELIVERED, "")),
        (receipt("id:7 stat:ACCEPTD"), ("7", None, "")),
        (receipt("id:7 stat:ENROUTE", state=b"\x01"), ("7", None, "")),
        (receipt("id:7 stat:EXPIRED"), ("7", ReceiptState.EXPIRED, "")),
        (receipt(id=b"7", state=b"\x08"), ("7", ReceiptState.REJECTED, "")),
    ],
)
def test_a_receipt_is_read_from_parameters_first_and_from_text_else(
    short: Short, expected: tuple[str, ReceiptState | None, str]
) -> None:
    assert codec.receipt_of(short) == expected


def test_a_receipt_that_names_no_message_is_none() -> None:
    assert codec.receipt_of(receipt("stat:DELIVRD")) is None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0, State.ACCEPTED),
        (0x58, State.RETRY),
        (0x14, State.RETRY),
        (0x08, State.RETRY),
        (0x64, State.RETRY),
        (0x0A, State.PERMANENT),
        (0x0B, State.PERMANENT),
        (0x66, State.PERMANENT),
        (0x0445, State.RETRY),
    ],
)
def test_a_status_says_whether_sending_again_is_safe(status: int, state: State) -> None:
    assert codec.outcome_state(status) is state
