"""SMPP PDUs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import State
from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Address, Bind, CodecError, Framer, Pdu, Short, StreamError

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
    for unpack in (codec.unpack_short, codec.unpack_data, codec.unpack_bind, codec.unpack_id):
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


@given(st.lists(PDUS, max_size=4))
def test_pdus_before_a_broken_one_in_the_same_segment_are_not_lost(pdus: list[Pdu]) -> None:
    with pytest.raises(StreamError) as fault:
        Framer().feed(b"".join(codec.encode(*pdu) for pdu in pdus) + bytes(16))
    assert fault.value.pdus == pdus


@pytest.mark.parametrize(
    ("body", "message_id"), [(b"", ""), (b"12\0", "12"), (b"12", "12"), (b"12\0\0", "12"), (b"\0", "")]
)
def test_the_id_of_an_answer_is_read_with_and_without_its_nul(body: bytes, message_id: str) -> None:
    assert codec.unpack_id(body) == message_id


def test_a_parameter_that_is_cut_short_is_left_out_unless_we_read_it() -> None:
    body = codec.pack_short(Short(Address(1, 1, "86138"), Address(0, 1, "10086"), payload=b"TD"))
    assert codec.unpack_short(body + b"\x14\x00\x00\x09abc").payload == b"TD"
    with pytest.raises(CodecError, match="optional parameter 0x0424 has 3 octets, must have 9"):
        codec.unpack_short(body + b"\x04\x24\x00\x09abc")


def test_a_data_sm_has_its_text_in_message_payload() -> None:
    head = b"\0\x01\x01" + b"8613800000001\0" + b"\0\x01" + b"10086\0" + bytes((0x40, 1, 8))
    got = codec.unpack_data(head + codec.pack_tlvs({codec.TLV_MESSAGE_PAYLOAD: b"hello"}))
    assert (got.source, got.destination) == (Address(1, 1, "8613800000001"), Address(0, 1, "10086"))
    assert (got.esm_class, got.registered, got.coding, got.content) == (0x40, 1, 8, b"hello")


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
