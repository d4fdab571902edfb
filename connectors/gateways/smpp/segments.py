"""Long replies: which part of which text a delivery is, and the parts put together.

A part says what it is in the user data header (concatenation with a reference of 8 or 16 bits) or in sar_* parameters.
`Segments` keeps parts until their text is whole. A text whose parts do not all come is given out with those that did,
by `expired`: a word of it may be an opt-out. Bounded: with more than `TEXTS_MAX` open texts the oldest is given out.

Pure: the caller passes the time in and knows who waits for what.
"""

from typing import NamedTuple

from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Address, Short

TEXTS_MAX = 10_000
_CONCATENATION_8, _CONCATENATION_16 = 0x00, 0x08


class Place(NamedTuple):
    """Where a part belongs: part `number` of `total`, counted from 1, of the text that `reference` names."""

    reference: int
    total: int
    number: int


class Piece(NamedTuple):
    """The octets of one delivery without its header; `place` is None where it is a text by itself."""

    octets: bytes
    coding: int
    header_octets: int = 0
    place: Place | None = None


class Text(NamedTuple):
    """The pieces of one text, in their order; `whole` says that none is missing."""

    pieces: tuple[Piece, ...]
    whole: bool


def piece_of(short: Short) -> Piece:
    """Return the octets of a delivery and where they belong; a header that cannot be is read as text."""
    content = short.content
    place, start = None, 0
    if short.esm_class & codec.ESM_HEADER and content and 1 + content[0] <= len(content):
        start = 1 + content[0]
        place = _place_in_header(content[1:start])
    return Piece(content[start:], short.coding, start, place or _place_in_parameters(short))


def _place_in_header(header: bytes) -> Place | None:
    at = 0
    while at + 2 <= len(header):
        kind, size = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + size]
        if kind == _CONCATENATION_8 and len(value) == 3:
            return _checked(Place(*value))
        if kind == _CONCATENATION_16 and len(value) == 4:
            return _checked(Place(1 << 16 | value[0] << 8 | value[1], value[2], value[3]))
        at += 2 + size
    return None


def _place_in_parameters(short: Short) -> Place | None:
    tags = (codec.TLV_SAR_REFERENCE, codec.TLV_SAR_TOTAL, codec.TLV_SAR_NUMBER)
    values = [short.tlvs.get(tag) for tag in tags]
    if None in values:
        return None
    reference, total, number = (int.from_bytes(value or b"", "big") for value in values)
    return _checked(Place(1 << 17 | reference, total, number))


def _checked(place: Place) -> Place | None:
    """Return a place that can be; one part of one is a text by itself."""
    return place if 1 <= place.number <= place.total <= 255 and place.total > 1 else None


Key = tuple[Address, str, int, int]
"""Source, destination, reference, total: one text on its way."""


class Segments:
    """Parts of texts that are not whole yet."""

    def __init__(self) -> None:
        self._open: dict[Key, tuple[float, dict[int, Piece]]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: Key) -> bool:
        return key in self._open

    def add(self, key: Key, piece: Piece, now_s: float) -> Text | None:
        """Keep a part; return its text when that is whole now. A part that comes again replaces itself."""
        place = piece.place
        assert place is not None
        _, pieces = self._open.setdefault(key, (now_s, {}))
        pieces[place.number] = piece
        return self.take(key) if len(pieces) == place.total else None

    def expired(self, before_s: float) -> list[Key]:
        """Return the texts whose first part came before, and the oldest of too many."""
        surplus = len(self._open) - TEXTS_MAX
        return [key for at, (key, (since_s, _)) in enumerate(self._open.items()) if since_s < before_s or at < surplus]

    def put_back(self, key: Key, text: Text, now_s: float) -> None:
        """Keep the parts of a text again that nobody could store."""
        numbered = {piece.place.number: piece for piece in text.pieces if piece.place is not None}
        _, pieces = self._open.setdefault(key, (now_s, {}))
        self._open[key] = (now_s, numbered | pieces)

    def take(self, key: Key) -> Text:
        """Return and forget the parts of a text that have come."""
        _, pieces = self._open.pop(key)
        return Text(tuple(pieces[number] for number in sorted(pieces)), len(pieces) == key[3])
