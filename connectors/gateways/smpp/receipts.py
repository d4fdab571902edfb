"""Delivery receipts as message centres write them: in parameters, in text of many dialects, or in both.

`receipt_of` reads a deliver_sm or data_sm. The parameters receipted_message_id and message_state are believed first,
the text ("id:.. stat:.. err:..") where they say nothing. A delivery without the receipt's esm_class is one when it has
both an id and a state.

`ReceiptIds` compares ids. The id of a submit's answer is kept in one form; a receipt may write it in other case, with
zeros before it, or in decimal where the answer was hexadecimal, or the other way round. A rule says which:

    auto                 as in the answer; else converted, which counts only where the subscriber's number agrees
    same                 exactly as in the answer
    hex_then_decimal     the answer hexadecimal, the receipt decimal
    decimal_then_hex     the answer decimal, the receipt hexadecimal
"""

import re
from typing import Literal, NamedTuple

from connectors.contract import ReceiptState
from connectors.gateways.smpp import codec
from connectors.gateways.smpp.codec import Short
from connectors.gateways.smpp.segments import piece_of

IdRule = Literal["auto", "same", "hex_then_decimal", "decimal_then_hex"]

_ID = re.compile(r"\bid\s*[:=]\s*([^\s;,]+)", re.IGNORECASE)
_STAT = re.compile(r"\bstat(?:us|e)?\s*[:=]\s*([\w:]+)", re.IGNORECASE)
_ERR = re.compile(r"\berr(?:or)?\s*[:=]\s*(\w+)", re.IGNORECASE)
_USUAL = re.compile(r"id:([\w-]+) sub:\w* dlvrd:\w* submit date:\w* done date:\w* stat:([\w:]+) err:(\w+)")
"""How most centres write a receipt, as the standard proposes: read in one go, which takes a fifth of the time."""
_HEXADECIMAL = re.compile(r"[0-9a-f]+")
_OPERATOR_CODE = re.compile(r"[A-Z]{2}:?\d{4}")
"""How Chinese networks write why a text was not delivered: "MK:0001", "DB:0141"."""

_BY_NUMBER: dict[int, ReceiptState | None] = {
    0: None,  # scheduled
    1: None,  # on its way
    2: ReceiptState.DELIVERED,
    3: ReceiptState.EXPIRED,
    4: ReceiptState.UNDELIVERED,  # deleted
    5: ReceiptState.UNDELIVERED,
    6: None,  # accepted
    7: ReceiptState.UNKNOWN,
    8: ReceiptState.REJECTED,
    9: ReceiptState.UNDELIVERED,  # skipped
}
_BY_WORD: tuple[tuple[str, ReceiptState | None], ...] = (
    ("DELIV", ReceiptState.DELIVERED),
    ("EXPIR", ReceiptState.EXPIRED),
    ("DELET", ReceiptState.UNDELIVERED),
    ("UNDEL", ReceiptState.UNDELIVERED),
    ("FAIL", ReceiptState.UNDELIVERED),
    ("SKIP", ReceiptState.UNDELIVERED),
    ("REJEC", ReceiptState.REJECTED),
    ("UNKN", ReceiptState.UNKNOWN),
    ("ACCEP", None),
    ("ENROU", None),
    ("SCHED", None),
    ("BUFF", None),
)


class ReceiptFields(NamedTuple):
    """What a receipt says.

    `state` None: the message is still on its way, when `known`, else the state is a word that we do not know.
    `in_parameter` says where the id stood.
    """

    message_id: str
    state: ReceiptState | None
    code: str
    in_parameter: bool = False
    known: bool = True


def receipt_of(short: Short) -> ReceiptFields | None:
    """Return what a delivery says about an earlier submit_sm; None when it names no message."""
    in_text, word, code = _written(_text(short))
    parameter = short.tlvs.get(codec.TLV_RECEIPTED_ID)
    given = parameter.rstrip(b"\0 ").decode("latin-1").strip() if parameter else ""
    message_id = given or in_text
    if not message_id:
        return None
    state, known = _state(short, word)
    return ReceiptFields(message_id, state, code or _code(short, word), bool(given), known)


def is_receipt(short: Short) -> bool:
    """Return whether a delivery is a receipt, also where its esm_class does not say so."""
    kind = short.esm_class & codec.ESM_KIND
    if kind != codec.ESM_TEXT:
        return kind == codec.ESM_RECEIPT
    if codec.TLV_RECEIPTED_ID in short.tlvs:
        return True
    text = _text(short)
    return text.lstrip()[:2].lower() == "id" and _ID.search(text) is not None and _STAT.search(text) is not None


def _text(short: Short) -> str:
    """Return the text of a receipt, which is ASCII in one octet a character or in two."""
    octets = piece_of(short).octets if short.esm_class & codec.ESM_HEADER else short.content
    if octets[:1] == b"\0" or octets.startswith(b"\xfe\xff"):
        return octets.decode("utf-16-be", "replace").removeprefix("\ufeff")
    if octets[1:2] == b"\0":
        return octets.decode("utf-16-le", "replace").removeprefix("\ufeff")
    return octets.decode("latin-1")


def _written(text: str) -> tuple[str, str, str]:
    """Return id, state and error code as the text of a receipt has them, empty where it has none."""
    usual = _USUAL.match(text)
    if usual is not None:
        return usual[1], usual[2], usual[3]
    found = (pattern.search(text) for pattern in (_ID, _STAT, _ERR))
    message_id, word, code = (one.group(1) if one is not None else "" for one in found)
    return message_id, word, code


def _state(short: Short, word: str) -> tuple[ReceiptState | None, bool]:
    given = short.tlvs.get(codec.TLV_MESSAGE_STATE)
    if given and (number := int.from_bytes(given, "big")) in _BY_NUMBER:
        return _BY_NUMBER[number], True
    word = word.upper()
    if word.isdecimal() and int(word) in _BY_NUMBER:
        return _BY_NUMBER[int(word)], True
    for start, state in _BY_WORD:
        if word.startswith(start):
            return state, True
    if _OPERATOR_CODE.fullmatch(word):
        return ReceiptState.UNDELIVERED, True
    return None, False


def _code(short: Short, word: str) -> str:
    """Return why a text was not delivered where the receipt's text has no error code."""
    network = short.tlvs.get(codec.TLV_NETWORK_ERROR, b"")
    if len(network) == 3:
        return f"{int.from_bytes(network[1:], 'big'):03d}"
    return word if _OPERATOR_CODE.fullmatch(word.upper()) else ""


class ReceiptIds(NamedTuple):
    """How the ids of receipts are compared with those of answers: a rule for the text, one for the parameter."""

    text: IdRule = "auto"
    parameter: IdRule = "auto"

    def kept(self, message_id: str) -> str:
        """Return the id of a submit's answer in the form that receipts are compared with; empty for none."""
        return message_id if self.text == self.parameter == "same" else _plain(message_id)

    def possible(self, message_id: str, *, in_parameter: bool) -> tuple[str, ...]:
        """Return what a receipt's id may be in the form of `kept`, the most likely first, without doubles."""
        rule = self.parameter if in_parameter else self.text
        plain = _plain(message_id)
        if rule == "same":
            return (self.kept(message_id),)
        if rule == "hex_then_decimal":
            return (_in_hex(plain) or plain,)
        if rule == "decimal_then_hex":
            return (_in_decimal(plain) or plain,)
        possible = [plain]
        # As written is how releases before this one kept it.
        for one in (message_id, _in_hex(plain), _in_decimal(plain)):
            if one and one not in possible:
                possible.append(one)
        return tuple(possible)


def _plain(message_id: str) -> str:
    return message_id.lower().lstrip("0") or message_id[-1:]


def _in_hex(decimal: str) -> str:
    return f"{int(decimal):x}" if decimal.isascii() and decimal.isdecimal() else ""


def _in_decimal(hexadecimal: str) -> str:
    return str(int(hexadecimal, 16)) if _HEXADECIMAL.fullmatch(hexadecimal) else ""
