"""What the SMSC brings: receipts, replies whole or in parts, and what cannot be read.

`take` reads one deliver_sm or data_sm and returns the status to answer it with. Zero means that what it said is safe,
or that it says nothing to anybody: nothing is answered so before its callback has returned.

A part of a long reply waits a moment (`_HOLD_S`) with its answer until the others are there, so a crash loses none. A
centre that sends the next part only after the answer gets it then. Parts that do not come are waited for as long as
the settings say; then the reply is taken as far as it goes.

What cannot be read, or comes from no subscriber, is counted (`unread`) and kept as a line of the log: its octets, its
data_coding, and its sender masked.
"""

import asyncio
import logging
from collections import Counter

from connectors.contract import MobileOriginated, NowMs, OnMobileOriginated, OnReceipt, Receipt
from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Address, Short
from connectors.gateways.smpp.coding import GSM_PACKED, charset_of, decode
from connectors.gateways.smpp.config import SmppConfig
from connectors.gateways.smpp.receipts import ReceiptIds, is_receipt, receipt_of
from connectors.gateways.smpp.segments import Key, Piece, Segments, Text, piece_of

log = logging.getLogger(__name__)

DIGITS_MAX = 15
"""Digits of the longest number of a subscriber, by E.164; a longer sender is somebody else's short code or a fault."""
NATIONAL_BY_TON = {1: False, 2: True}
"""Types of number that say whether a sender is national; of the others nothing is known."""
_HOLD_S = 1.0
_LOGGED_OCTETS_MAX = 512


class Deliveries:
    """Reads what one gateway's links bring.

    Args:
        name: of the gateway.
        config: how ids and texts are written.
        now_ms: wall clock for the time of receipts and replies.
        on_receipt, on_mo: keep what was read; see the contract.
    """

    def __init__(
        self, name: str, config: SmppConfig, now_ms: NowMs, on_receipt: OnReceipt, on_mo: OnMobileOriginated
    ) -> None:
        self._name = name
        self._default = config.default_alphabet
        self._charsets = {int(number, 0): charset for number, charset in config.charsets.items()}
        self._ids = ReceiptIds(config.receipt_ids, config.receipt_ids_parameter)
        self._wait_s = config.parts_wait_ms / 1000
        self._now_ms = now_ms
        self._on_receipt, self._on_mo = on_receipt, on_mo
        self._segments = Segments()
        self._complete: dict[Key, asyncio.Future[None]] = {}
        self.counts: Counter[str] = Counter()
        self.fault = ""
        """Why the last delivery could not be stored, empty before."""

    async def take(self, command: int, body: bytes) -> int:
        """Read the body of a deliver_sm or data_sm; return the command status to answer it with."""
        try:
            short = codec.unpack_data(body) if command == codec.DATA_SM else codec.unpack_short(body)
        except codec.CodecError as fault:
            self._keep_unread(str(fault), "", body)
            return codec.INVALID_LENGTH
        try:
            if is_receipt(short):
                await self._receipt(short)
            elif short.esm_class & codec.ESM_KIND == codec.ESM_INTERMEDIATE:
                self.counts["intermediate"] += 1  # no last word: the receipt comes later
            else:
                await self._reply(short)
        except Exception as fault:  # noqa: BLE001 - the SMSC keeps what we could not store and brings it again
            self.fault = f"storing a delivery: {fault}"
            return codec.DELIVER_REFUSED_FOR_NOW
        return codec.OK

    async def flush(self, *, everything: bool = False) -> None:
        """Take replies whose missing parts have been waited for long enough, or all of them."""
        now_s = asyncio.get_running_loop().time()
        for key in self._segments.expired(now_s + 1 if everything else now_s - self._wait_s):
            if key in self._segments:  # it may have become whole meanwhile
                await self._store(key, self._segments.take(key))

    # Receipts.

    async def _receipt(self, short: Short) -> None:
        fields = receipt_of(short)
        if fields is None or not fields.known:
            why = "a receipt without an id" if fields is None else "a receipt with an unknown state"
            self._keep_unread(why, short.source.digits, short.content)
        elif fields.state is not None:
            first, *guesses = self._ids.possible(fields.message_id, in_parameter=fields.in_parameter)
            numbers = (number_of(short.source.digits), number_of(short.destination.digits))
            await self._on_receipt(
                Receipt(
                    self._name,
                    first,
                    fields.state,
                    fields.code,
                    self._now_ms(),
                    tuple(number for number in numbers if number),
                    tuple(guesses),
                )
            )

    # Replies.

    async def _reply(self, short: Short) -> None:
        piece = piece_of(short)
        source, destination = short.source, short.destination.digits
        if piece.place is None:
            await self._give(source, destination, Text((piece,), whole=True))
            return
        key = (source, destination, piece.place.reference, piece.place.total)
        text = self._segments.add(key, piece, asyncio.get_running_loop().time())
        if text is not None:
            await self._store(key, text)
            return
        complete = self._complete.setdefault(key, asyncio.get_running_loop().create_future())
        await asyncio.wait([complete], timeout=_HOLD_S)
        if complete.done():
            complete.result()

    async def _store(self, key: Key, text: Text) -> None:
        """Give a text on, and say so to the parts that wait for it."""
        complete = self._complete.pop(key, None)
        try:
            await self._give(key[0], key[1], text)
        except Exception as fault:
            self._segments.put_back(key, text, asyncio.get_running_loop().time())
            if complete is not None and not complete.done():
                complete.set_exception(fault)
                complete.exception()  # the parts may all have been answered already
            raise
        if complete is not None and not complete.done():
            complete.set_result(None)

    async def _give(self, source: Address, destination: str, text: Text) -> None:
        octets = b"".join(piece.octets for piece in text.pieces)
        coding = text.pieces[0].coding
        words, whole = self._read(text.pieces)
        subscriber = number_of(source.digits)
        if not subscriber:
            self._keep_unread("a text from no subscriber", source.digits, octets, coding)
            return
        if words is None or not whole or not text.whole:
            why = "a text in no known coding" if words is None else "a text that is only partly readable"
            self._keep_unread(why if text.whole else "a text without all its parts", source.digits, octets, coding)
        if words is not None:
            national = NATIONAL_BY_TON.get(source.ton)
            await self._on_mo(MobileOriginated(self._name, subscriber, destination, words, self._now_ms(), national))

    def _read(self, pieces: tuple[Piece, ...]) -> tuple[str | None, bool]:
        """Return the words of a text, None when it has none, and whether every octet of it was understood."""
        charsets = [self._charsets.get(piece.coding) or charset_of(piece.coding, self._default) for piece in pieces]
        if len(set(charsets)) == 1 and charsets[0] != GSM_PACKED:  # a part may end inside a character
            decoded = [decode(b"".join(piece.octets for piece in pieces), charsets[0])]
        else:
            decoded = [
                decode(piece.octets, charset, piece.header_octets)
                for piece, charset in zip(pieces, charsets, strict=True)
            ]
        words = [one.text for one in decoded if one is not None]
        whole = all(one is not None and one.whole for one in decoded)
        return ("".join(words) if words else None), whole

    def _keep_unread(self, why: str, source: str, octets: bytes, coding: int | None = None) -> None:
        self.counts["unread"] += 1
        shown = octets[:_LOGGED_OCTETS_MAX].hex()
        where = "" if coding is None else f" data_coding 0x{coding:02x},"
        log.warning("gateway %s: %s, from %s:%s octets %s", self._name, why, masked(source) or "?", where, shown)


def number_of(digits: str) -> int:
    """Return an address as a subscriber's number, 0 when it cannot be one."""
    digits = digits.strip().removeprefix("+")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= DIGITS_MAX else 0


def masked(address: str) -> str:
    """Return an address without its middle: who operates sees which network it is, and nobody's number."""
    return address if len(address) <= 6 else address[:3] + "*" * (len(address) - 5) + address[-2:]
