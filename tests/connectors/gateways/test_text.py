"""Alphabets and parts of texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gateways.text import Alphabet, Part, parts_of, text_of

GSM = st.text(st.sampled_from("@£$¥èÇ\nØÅΔ_ΦÆß !\"#¤%&'()*+,-./09:;<=>?¡AZÄ§¿azüà^{}\\[~]|€"))
ANY = st.text(st.characters(exclude_categories=["Cs"]))


def joined(parts: tuple[Part, ...]) -> str:
    return "".join(text_of(part.payload, part.alphabet, header=part.header) for part in parts)


@given(st.one_of(GSM, ANY, GSM.map(lambda t: t * 9), ANY.map(lambda t: t * 9)), st.integers(0, 255))
def test_any_text_comes_back_from_its_parts(text: str, reference: int) -> None:
    assert joined(parts_of(text, reference)) == text


@given(ANY.map(lambda t: t * 9), st.integers(0, 255), st.sampled_from([Alphabet.GSM, Alphabet.ASCII]))
def test_no_part_is_longer_than_the_air_carries(text: str, reference: int, default: Alphabet) -> None:
    parts = parts_of(text, reference, default)
    for number, part in enumerate(parts, start=1):
        assert len(part.payload) <= (140 if part.alphabet is Alphabet.UCS2 else 159 if part.header else 160)
        if part.header:
            assert part.payload[:6] == bytes([5, 0, 3, reference, len(parts), number])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("尊" * 70, 1),
        ("尊" * 71, 2),
        ("尊" * 134, 2),
        ("尊" * 135, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
    ],
)
def test_a_text_is_cut_where_the_standard_says(text: str, count: int) -> None:
    assert len(parts_of(text, 7)) == count


def test_no_part_ends_inside_a_surrogate_pair() -> None:
    parts = parts_of("尊" * 66 + "😀" + "尊" * 20, 1)
    assert [text_of(p.payload, p.alphabet, header=True) for p in parts] == ["尊" * 66, "😀" + "尊" * 20]


def test_no_part_ends_inside_an_escape() -> None:
    parts = parts_of("a" * 152 + "€" + "b" * 20, 1)
    assert [text_of(p.payload, p.alphabet, header=True) for p in parts] == ["a" * 152, "€" + "b" * 20]


def test_a_text_beyond_255_parts_is_refused_with_its_numbers() -> None:
    with pytest.raises(ValueError, match="parts=256, must be <= 255"):
        parts_of("尊" * (67 * 255 + 1), 1)


def test_an_ascii_centre_gets_ascii_and_ucs2_only() -> None:
    assert parts_of("a@b", 0, Alphabet.ASCII)[0].payload == b"a@b"
    assert parts_of("a@b", 0)[0].payload == b"a\x00b"
    assert parts_of("é", 0, Alphabet.ASCII)[0].alphabet is Alphabet.UCS2


def test_a_lone_surrogate_is_sent_as_a_question_mark() -> None:
    assert joined(parts_of("尊\ud800", 0)) == "尊?"


@given(st.binary(max_size=200), st.sampled_from(Alphabet), st.booleans())
def test_any_octets_can_be_read_as_text(payload: bytes, alphabet: Alphabet, header: bool) -> None:
    text_of(payload, alphabet, header=header)
