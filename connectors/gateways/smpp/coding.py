"""What the octets of a delivered text mean: data_coding by SMPP 3.4 and GSM 03.38.

    0x00..0x0F   SMPP's own list: 0 the centre's default alphabet, 1 ASCII, 3 Latin-1, 8 UCS-2, 2 and 4 octets ...;
                 15 is GBK, as CMPP numbers it and Chinese centres pass it on
    0x10..0x7F   GSM 03.38's general groups: bits 3 and 2 are the alphabet, bit 5 says compressed; a message class or
                 "delete after reading" changes nothing
    0xC0..0xEF   message waiting: default alphabet, 0xEX UCS-2
    0xF0..0xFF   with a message class: bit 2 says octets, else default alphabet

What the standard reserves is read in the default alphabet, as it says. Octets are read as UTF-8 where they are some.
`charset_of` names how a data_coding is read, `decode` reads. Settings may name another charset for any number.
"""

from typing import NamedTuple

from connectors.gateways.text import Alphabet, text_of

GSM, GSM_PACKED, UCS2, OCTETS, UNREADABLE = "gsm7", "gsm7_packed", "ucs2", "octets", ""

_SMPP = {
    1: "ascii",
    2: OCTETS,
    3: "latin-1",
    4: OCTETS,
    5: "shift_jis",
    6: "iso8859-5",
    7: "iso8859-8",
    8: UCS2,
    9: UNREADABLE,  # pictograms
    10: "iso2022_jp",
    13: UNREADABLE,  # the characters of JIS X 0212 alone
    14: "euc_kr",
    15: "gbk",
}


class Decoded(NamedTuple):
    """A text; `whole` says that every octet was understood, else U+FFFD stands for what was not."""

    text: str
    whole: bool


def charset_of(coding: int, default: str) -> str:
    """Return the name of the charset of a data_coding, UNREADABLE where it has no text that we can read."""
    if coding < 0x10:
        return _SMPP.get(coding, default)
    if coding < 0x80:
        if coding & 0x20:  # compressed by 3GPP 23.042, which no handset of today sends
            return UNREADABLE
        return (default, OCTETS, UCS2, default)[coding >> 2 & 3]
    if coding >= 0xF0:
        return OCTETS if coding & 4 else default
    return UCS2 if coding >= 0xE0 else default


def decode(octets: bytes, charset: str, header_octets: int = 0) -> Decoded | None:
    """Return the text of `octets`, None when they are no text.

    `header_octets` is the length of the user data header before them: packed septets begin at a whole one after it.
    """
    if charset == GSM_PACKED:
        octets, charset = unpacked(octets, -header_octets * 8 % 7), GSM
    if charset == GSM:
        text = text_of(octets, Alphabet.GSM, header=False)
        return Decoded(text, "\ufffd" not in text)
    if charset == OCTETS:
        return _from_octets(octets)
    if charset == UNREADABLE:
        return None
    return _from_charset(octets, charset)


def _from_charset(octets: bytes, charset: str) -> Decoded:
    if charset == UCS2:
        charset = "utf-16-le" if octets.startswith(b"\xff\xfe") else "utf-16-be"
        octets = octets.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    try:
        return Decoded(octets.decode(charset), whole=True)
    except UnicodeDecodeError:
        return Decoded(octets.decode(charset, "replace"), whole=False)


def _from_octets(octets: bytes) -> Decoded | None:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    readable = all(char.isprintable() or char.isspace() or char == "\0" for char in text)
    return Decoded(text, whole=True) if readable else None


def unpacked(octets: bytes, fill_bits: int = 0) -> bytes:
    """Return packed septets one an octet; a last one of zeros that only fills the last octet is left out."""
    bits = int.from_bytes(octets, "little") >> fill_bits
    count = (len(octets) * 8 - fill_bits) // 7
    septets = bytes(bits >> 7 * at & 0x7F for at in range(count))
    fills = count and (len(octets) * 8 - fill_bits) % 7 == 0 and septets[-1] == 0
    return septets[:-1] if fills else septets
