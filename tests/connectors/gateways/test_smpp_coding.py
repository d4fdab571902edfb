"""Which charset a data_coding means, and texts read in each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateways.smpp.coding import GSM, GSM_PACKED, OCTETS, UCS2, UNREADABLE, charset_of, decode, unpacked
from connectors.gateways.text import parts_of

GSM_TEXTS = st.text(st.sampled_from("@£$¥èÇ\nØÅΔ_ΦÆß !\"#¤%&'()*+,-./09:;<=>?¡AZÄ§¿azüà^{}\\[~]|€"), max_size=40)


def packed(septets: bytes, fill_bits: int = 0) -> bytes:
    bits = sum(septet << 7 * at for at, septet in enumerate(septets)) << fill_bits
    return bits.to_bytes((7 * len(septets) + fill_bits + 7) // 8, "little")


@pytest.mark.parametrize(
    ("codings", "charset"),
    [
        ([0x00, 0x0B, 0x0C], GSM),
        ([0x01], "ascii"),
        ([0x02, 0x04], OCTETS),
        ([0x03], "latin-1"),
        ([0x06], "iso8859-5"),
        ([0x08], UCS2),
        ([0x0E], "euc_kr"),
        ([0x0F], "gbk"),
        (range(0x10, 0x14), GSM),
        (range(0x14, 0x18), OCTETS),
        (range(0x18, 0x1C), UCS2),
        (range(0x1C, 0x20), GSM),
        (range(0x20, 0x40), UNREADABLE),
        (range(0x40, 0x44), GSM),
        (range(0x44, 0x48), OCTETS),
        (range(0x48, 0x4C), UCS2),
        (range(0x50, 0x54), GSM),
        (range(0x58, 0x5C), UCS2),
        (range(0x60, 0x80), UNREADABLE),
        (range(0x80, 0xC0), GSM),
        (range(0xC0, 0xE0), GSM),
        (range(0xE0, 0xF0), UCS2),
        ([0xF0, 0xF1, 0xF2, 0xF3, 0xF8, 0xFB], GSM),
        ([0xF4, 0xF5, 0xF6, 0xF7, 0xFC, 0xFF], OCTETS),
    ],
)
def test_a_data_coding_means_what_the_standards_say(codings: list[int], charset: str) -> None:
    assert {charset_of(coding, GSM) for coding in codings} == {charset}


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        (b"TD", GSM, "TD"),
        (b"\x00\x1b\x65", GSM, "@€"),
        (b"TD", "ascii", "TD"),
        ("é".encode("latin-1"), "latin-1", "é"),
        ("退订".encode("utf-16-be"), UCS2, "退订"),
        ("\ufeff退订".encode("utf-16-be"), UCS2, "退订"),
        ("\ufeff退订".encode("utf-16-le"), UCS2, "退订"),
        ("😀".encode("utf-16-be"), UCS2, "😀"),
        ("退订".encode("gbk"), "gbk", "退订"),
        ("Стоп".encode("iso8859-5"), "iso8859-5", "Стоп"),
        (b"TD", OCTETS, "TD"),
        ("退订".encode(), OCTETS, "退订"),
        (packed(b"TD"), GSM_PACKED, "TD"),
        (b"", GSM, ""),
    ],
)
def test_a_text_is_read_in_its_charset(octets: bytes, charset: str, text: str) -> None:
    assert decode(octets, charset) == (text, True)


@pytest.mark.parametrize(
    ("octets", "charset"), [(b"T\xe9", GSM), (b"T\xe9", "ascii"), (b"\x90\x00\x8b", UCS2), (b"T\xff", "gbk")]
)
def test_octets_that_say_nothing_are_shown_as_such(octets: bytes, charset: str) -> None:
    decoded = decode(octets, charset)
    assert decoded is not None
    assert "\ufffd" in decoded.text
    assert not decoded.whole


@pytest.mark.parametrize(("octets", "charset"), [(b"\x06\x05\x04\xff", OCTETS), (b"\x01\x02", OCTETS), (b"TD", "")])
def test_what_is_no_text_is_none(octets: bytes, charset: str) -> None:
    assert decode(octets, charset) is None


@given(GSM_TEXTS, st.integers(0, 12))
def test_packed_septets_come_back_after_a_header_of_any_length(text: str, header_octets: int) -> None:
    (part,) = parts_of(text, 0)
    octets = packed(part.payload, -header_octets * 8 % 7)
    got = decode(octets, GSM_PACKED, header_octets)
    assert got is not None
    assert got.text.removesuffix("@") == text.removesuffix("@")


def test_zeros_that_only_fill_the_last_octet_are_no_character() -> None:
    assert unpacked(packed(b"1234567")) == b"1234567"
    assert unpacked(packed(b"12345678")) == b"12345678"


@given(st.binary(max_size=80), st.integers(0, 255), st.integers(0, 8))
def test_any_octets_can_be_read_or_refused(octets: bytes, coding: int, header_octets: int) -> None:
    for default in (GSM, GSM_PACKED, "ascii"):
        decode(octets, charset_of(coding, default), header_octets)
