"""Text of a short message: alphabets, and parts when one message is not enough.

A text goes out in the 7-bit alphabet of GSM 03.38 (one octet a character, as SMPP and CMPP carry it) when every
character is in it, else in UCS-2. 160 and 70 characters fit one message; longer texts become parts of 153 and 67 with
the concatenation header `05 00 03 reference total number`. A part never ends inside a surrogate pair or an escape.

`Alphabet.ASCII` is for message centres whose default alphabet is ASCII. What a protocol calls its codings is not here.
"""

from dataclasses import dataclass
from enum import Enum

PARTS_MAX = 255
_HEADER_BYTES = 6

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE = 0x1B
_EXTENSION = {"\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40}
_EXTENSION["€"] = 0x65
_TO_GSM = {ord(char): chr(code) for code, char in enumerate(_BASIC) if code != _ESCAPE}
_TO_GSM |= {ord(char): chr(_ESCAPE) + chr(code) for char, code in _EXTENSION.items()}
_GSM_CHARACTERS = frozenset(map(chr, _TO_GSM))
_FROM_EXTENSION = {code: char for char, code in _EXTENSION.items()}


class Alphabet(Enum):
    """How the octets of a part are read."""

    GSM = "gsm7"
    ASCII = "ascii"
    UCS2 = "ucs2"


_SIZES = {Alphabet.GSM: (160, 153), Alphabet.ASCII: (160, 153), Alphabet.UCS2: (140, 134)}
"""Octets of a message that is a text by itself, and of one among several."""


@dataclass(frozen=True, slots=True)
class Part:
    """One message on the air: `payload` starts with a user data header when `header` says so."""

    alphabet: Alphabet
    header: bool
    payload: bytes


def parts_of(text: str, reference: int, default: Alphabet = Alphabet.GSM) -> tuple[Part, ...]:
    """Return `text` as parts; `reference` (0 to 255) ties the parts of one text together.

    Raises ValueError when the text needs more than PARTS_MAX parts.
    """
    alphabet, octets = _encode(text, default)
    single, several = _SIZES[alphabet]
    if len(octets) <= single:
        return (Part(alphabet, header=False, payload=octets),)
    pieces = _cut(octets, several, alphabet)
    if len(pieces) > PARTS_MAX:
        raise ValueError(f"text of {len(text)} characters needs parts={len(pieces)}, must be <= {PARTS_MAX}")
    head = bytes((5, 0, 3, reference & 0xFF, len(pieces)))
    return tuple(Part(alphabet, True, head + bytes((number,)) + piece) for number, piece in enumerate(pieces, start=1))


def parts_count(text: str) -> int:
    """Return how many messages on the air a text is, by the alphabet of GSM 03.38 or UCS-2; 1 for an empty one."""
    alphabet, octets = _encode(text, Alphabet.GSM)
    single, several = _SIZES[alphabet]
    return 1 if len(octets) <= single else len(_cut(octets, several, alphabet))


def _encode(text: str, default: Alphabet) -> tuple[Alphabet, bytes]:
    if default is Alphabet.GSM and _GSM_CHARACTERS.issuperset(text):
        return default, text.translate(_TO_GSM).encode("latin-1")
    if default is Alphabet.ASCII and text.isascii():
        return default, text.encode("ascii")
    return Alphabet.UCS2, text.encode("utf-16-be", "replace")


def _cut(octets: bytes, size: int, alphabet: Alphabet) -> list[bytes]:
    pieces = []
    start = 0
    while start < len(octets):
        end = min(start + size, len(octets))
        if end < len(octets):
            end -= _overhang(octets, end, alphabet)
        pieces.append(octets[start:end])
        start = end
    return pieces


def _overhang(octets: bytes, end: int, alphabet: Alphabet) -> int:
    """Return how many octets before `end` belong to a character that does not end there."""
    if alphabet is Alphabet.UCS2:
        return 2 if 0xD8 <= octets[end - 2] <= 0xDB else 0
    return 1 if alphabet is Alphabet.GSM and octets[end - 1] == _ESCAPE else 0


def text_of(payload: bytes, alphabet: Alphabet, *, header: bool) -> str:
    """Return the text of one part; octets that say nothing become U+FFFD. The inverse of `parts_of`, part by part."""
    if header and payload:
        payload = payload[1 + payload[0] :]
    if alphabet is Alphabet.UCS2:
        return payload.decode("utf-16-be", "replace")
    if alphabet is Alphabet.ASCII:
        return payload.decode("ascii", "replace")
    return _from_gsm(payload)


def _from_gsm(payload: bytes) -> str:
    if _ESCAPE not in payload:
        return "".join([_BASIC[octet] if octet < 128 else "\ufffd" for octet in payload])
    chars = []
    escaped = False
    for octet in payload:
        if escaped:
            chars.append(_FROM_EXTENSION.get(octet, "\ufffd"))
            escaped = False
        elif octet == _ESCAPE:
            escaped = True
        else:
            chars.append(_BASIC[octet] if octet < 128 else "\ufffd")
    return "".join(chars)
