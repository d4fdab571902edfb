"""Receipts as message centres write them, and their ids compared with those of answers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import ReceiptState
from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Address, Short
from connectors.gateways.smpp.receipts import IdRule, ReceiptIds, is_receipt, receipt_of

DELIVERED, UNDELIVERED = ReceiptState.DELIVERED, ReceiptState.UNDELIVERED
TAGS = {"id": codec.TLV_RECEIPTED_ID, "state": codec.TLV_MESSAGE_STATE, "network": codec.TLV_NETWORK_ERROR}


def receipt(
    text: str | bytes = "", esm_class: int = codec.ESM_RECEIPT, coding: int = 0, payload: bytes = b"", **tlvs: Any
) -> Short:
    parameters = {TAGS[name]: value for name, value in tlvs.items()}
    if payload:
        parameters[codec.TLV_MESSAGE_PAYLOAD] = payload
    return Short(
        Address(1, 1, "86138"),
        Address(0, 1, "10086"),
        esm_class=esm_class,
        coding=coding,
        payload=text.encode("latin-1") if isinstance(text, str) else text,
        tlvs=parameters,
    )


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        (
            receipt("id:IIII sub:001 dlvrd:001 submit date:0811 done date:0811 stat:DELIVRD err:000 text:x"),
            ("IIII", DELIVERED, "000"),
        ),
        (receipt("ID:7 STAT:undeliv ERR:11"), ("7", UNDELIVERED, "11")),
        (receipt("id:other stat:UNDELIV", id=b"7\0", state=b"\x02"), ("7", DELIVERED, "")),
        (receipt("id:7 stat:ACCEPTD"), ("7", None, "")),
        (receipt("id:7 stat:ENROUTE", state=b"\x01"), ("7", None, "")),
        (receipt("id:7 stat:EXPIRED"), ("7", ReceiptState.EXPIRED, "")),
        (receipt(id=b"7", state=b"\x08"), ("7", ReceiptState.REJECTED, "")),
        (receipt("id:7 stat:DELIVERED"), ("7", DELIVERED, "")),
        (receipt("id:7 stat:UNDELIVERABLE"), ("7", UNDELIVERED, "")),
        (receipt("id:7 stat:REJECTED err:9"), ("7", ReceiptState.REJECTED, "9")),
        (receipt("id: 7 stat: DELIVRD"), ("7", DELIVERED, "")),
        (receipt("id=7;stat=DELIVRD;err=0"), ("7", DELIVERED, "0")),
        (receipt("id:7 stat:2"), ("7", DELIVERED, "")),
        (receipt("id:7 stat:MK:0012"), ("7", UNDELIVERED, "MK:0012")),
        (receipt("id:7 stat:FAILED"), ("7", UNDELIVERED, "")),
        (receipt("id:x stat:DELIVRD", id=b"7\0"), ("7", DELIVERED, "")),
        (receipt("stat:DELIVRD err:000", id=b"7\0"), ("7", DELIVERED, "000")),
        (receipt("id:7 stat:UNDELIV", network=b"\x03\x00\x0b"), ("7", UNDELIVERED, "011")),
        (receipt("id:7 stat:DELIVRD", state=b"\xff"), ("7", DELIVERED, "")),
        (receipt("id:7 stat:DELIVRD".encode("utf-16-be"), coding=8), ("7", DELIVERED, "")),
        (receipt("\ufeffid:7 stat:DELIVRD".encode("utf-16-be"), coding=8), ("7", DELIVERED, "")),
        (receipt("id:7 stat:DELIVRD".encode("utf-16-le"), coding=8), ("7", DELIVERED, "")),
        (receipt(payload=b"id:7 stat:DELIVRD"), ("7", DELIVERED, "")),
        (receipt(b"\x05\x00\x03\x01\x01\x01id:7 stat:DELIVRD", esm_class=0x44), ("7", DELIVERED, "")),
        (receipt("id:7 stat:DELIVRD err:000 text:id:9 stat:UNDELIV"), ("7", DELIVERED, "000")),
    ],
)
def test_a_receipt_is_read_from_parameters_first_and_from_text_else(
    short: Short, expected: tuple[str, ReceiptState | None, str]
) -> None:
    fields = receipt_of(short)
    assert fields is not None
    assert (fields.message_id, fields.state, fields.code, fields.known) == (*expected, True)
    assert is_receipt(short)


def test_a_receipt_that_names_no_message_is_none() -> None:
    assert receipt_of(receipt("stat:DELIVRD")) is None


def test_a_state_that_we_do_not_know_is_told_apart_from_one_on_the_way() -> None:
    fields = receipt_of(receipt("id:7 stat:GONE"))
    assert fields is not None
    assert (fields.state, fields.known) == (None, False)


@pytest.mark.parametrize("esm_class", [0x00, 0x01, 0x03, 0x40])
def test_a_receipt_without_its_esm_class_is_known_by_an_id_and_a_state(esm_class: int) -> None:
    assert is_receipt(receipt("id:7 sub:001 stat:DELIVRD", esm_class=esm_class))
    assert is_receipt(receipt(esm_class=esm_class, id=b"7\0", state=b"\x02"))


@pytest.mark.parametrize("text", ["TD", "", "id:7", "stat:DELIVRD", "my id: 7, stat: bad", "IDEAL stat"])
def test_a_reply_is_not_taken_for_a_receipt(text: str) -> None:
    assert not is_receipt(receipt(text, esm_class=0))


@pytest.mark.parametrize("esm_class", [0x08, 0x10, 0x18, 0x20])
def test_other_kinds_of_deliveries_are_no_receipts(esm_class: int) -> None:
    assert not is_receipt(receipt("id:7 stat:DELIVRD", esm_class=esm_class))


@given(st.binary(max_size=80), st.binary(max_size=9), st.integers(0, 255), st.integers(0, 255))
def test_any_octets_are_read_without_a_fault(text: bytes, message_id: bytes, esm_class: int, state: int) -> None:
    short = receipt(text, esm_class=esm_class, id=message_id, state=bytes((state,)))
    is_receipt(short)
    receipt_of(short)


@pytest.mark.parametrize(
    ("rule", "answered", "receipted"),
    [
        ("auto", "1001", "1001"),
        ("auto", "1001", "0000001001"),
        ("auto", "0000001001", "1001"),
        ("auto", "ab3f", "AB3F"),
        ("auto", "Ab3f", "Ab3f"),
        ("auto", "812FC747000003F8", "9308878062554711032"),
        ("auto", "9308878062554711032", "812FC747000003F8"),
        ("auto", "0", "000"),
        ("auto", "id-7_x", "ID-7_x"),
        ("same", "00ff", "00ff"),
        ("hex_then_decimal", "00ff", "255"),
        ("hex_then_decimal", "10", "0016"),
        ("decimal_then_hex", "255", "FF"),
        ("decimal_then_hex", "255", "00ff"),
    ],
)
def test_an_id_is_the_same_in_answers_and_receipts_however_the_centre_writes_it(
    rule: IdRule, answered: str, receipted: str
) -> None:
    ids = ReceiptIds(text=rule, parameter=rule)
    assert ids.kept(answered) in ids.possible(receipted, in_parameter=False)


def test_an_id_that_is_written_alike_comes_before_one_that_is_converted() -> None:
    assert ReceiptIds().possible("16", in_parameter=False) == ("16", "10", "22")


def test_same_means_to_the_letter() -> None:
    ids = ReceiptIds("same", "same")
    assert ids.kept("00Ff") == "00Ff"
    assert ids.possible("00ff", in_parameter=False) == ("00ff",)


def test_text_and_parameter_have_rules_of_their_own() -> None:
    ids = ReceiptIds(text="hex_then_decimal", parameter="same")
    assert ids.possible("255", in_parameter=False) == ids.possible("00FF", in_parameter=True) == (ids.kept("00ff"),)


@given(st.integers(0, 2**128), st.integers(0, 20))
def test_any_number_is_found_again_in_either_base(number: int, zeros: int) -> None:
    ids = ReceiptIds()
    assert ids.kept(f"{number:x}") in ids.possible("0" * zeros + str(number), in_parameter=True)
    assert ids.kept(str(number)) in ids.possible("0" * zeros + f"{number:X}", in_parameter=True)
