"""SMPP 3.4 on the wire: bytes to PDUs and back, nothing else.

`Framer` cuts a byte stream into `Pdu`s; `pack_*` and `unpack_*` read and write the bodies that an ESME and an SMSC
exchange. submit_sm and deliver_sm have one layout, `Short`. Optional parameters (TLVs) are a dict, tag to value.
Every fault in received bytes is a `CodecError`; nothing else is raised for them.

No connection, window or timer here: see `link`. What a status means for a message is `outcome_state`; what a delivery
says is `receipts`, `coding` and `segments`.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from connectors.contract import State

PDU_BYTES_MAX = 70_000
RESPONSE = 0x80000000
GENERIC_NACK = 0x80000000
BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER = 0x1, 0x2, 0x9
SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK = 0x4, 0x5, 0x6, 0x15
OUTBIND, ALERT_NOTIFICATION, DATA_SM = 0xB, 0x102, 0x103
SEQUENCE_MAX = 0x7FFFFFFF

OK, INVALID_LENGTH, INVALID_COMMAND = 0x0, 0x2, 0x3
SYSTEM_ERROR, QUEUE_FULL, THROTTLED = 0x8, 0x14, 0x58
BIND_FAILED, BAD_PASSWORD, BAD_SYSTEM_ID = 0xD, 0xE, 0xF
DELIVER_REFUSED_FOR_NOW = 0x64

TLV_MESSAGE_PAYLOAD, TLV_RECEIPTED_ID, TLV_MESSAGE_STATE, TLV_INTERFACE_VERSION = 0x0424, 0x001E, 0x0427, 0x0210
TLV_NETWORK_ERROR = 0x0423
TLV_SAR_REFERENCE, TLV_SAR_TOTAL, TLV_SAR_NUMBER = 0x020C, 0x020E, 0x020F
_READ_TLVS = frozenset(
    (TLV_MESSAGE_PAYLOAD, TLV_RECEIPTED_ID, TLV_MESSAGE_STATE, TLV_SAR_REFERENCE, TLV_SAR_TOTAL, TLV_SAR_NUMBER)
)

ESM_HEADER, ESM_KIND = 0x40, 0x3C
ESM_TEXT, ESM_RECEIPT, ESM_INTERMEDIATE = 0x00, 0x04, 0x20
CODING_DEFAULT, CODING_ASCII, CODING_LATIN1, CODING_UCS2 = 0, 1, 3, 8

_HEADER = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")
_NO_TLVS: Mapping[int, bytes] = {}


class CodecError(Exception):
    """Received bytes are not SMPP; the text names the field, its value and the bound."""


class StreamError(CodecError):
    """A stream cannot be read on; `pdus` are those that were complete before the fault."""

    def __init__(self, text: str, pdus: "list[Pdu]") -> None:
        super().__init__(text)
        self.pdus = pdus


class Pdu(NamedTuple):
    """One protocol data unit."""

    command: int
    status: int
    sequence: int
    body: bytes = b""


class Address(NamedTuple):
    """An address with its type of number and numbering plan."""

    ton: int
    npi: int
    digits: str


class Short(NamedTuple):
    """The body of submit_sm and deliver_sm."""

    source: Address
    destination: Address
    esm_class: int = 0
    priority: int = 0
    validity: str = ""
    registered: int = 0
    coding: int = CODING_DEFAULT
    payload: bytes = b""
    tlvs: Mapping[int, bytes] = _NO_TLVS
    service_type: str = ""

    @property
    def content(self) -> bytes:
        """The octets of the text, wherever the sender put them."""
        return self.payload or self.tlvs.get(TLV_MESSAGE_PAYLOAD, b"")


class Bind(NamedTuple):
    """The body of the three bind requests."""

    system_id: str
    password: str
    system_type: str = ""
    version: int = 0x34


def encode(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    """Return one PDU as bytes."""
    return _HEADER.pack(16 + len(body), command, status, sequence) + body


class Framer:
    """Cuts a byte stream into PDUs; `feed` returns those that are complete."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Pdu]:
        """Return the PDUs that `data` completes; StreamError when a length cannot be right."""
        if self._rest:
            data = self._rest + data
        pdus: list[Pdu] = []
        at = 0
        while len(data) - at >= 16:
            length, command, status, sequence = _HEADER.unpack_from(data, at)
            if not 16 <= length <= PDU_BYTES_MAX:
                raise StreamError(f"command_length={length} must be >= 16 and <= {PDU_BYTES_MAX}", pdus)
            if len(data) - at < length:
                break
            pdus.append(Pdu(command, status, sequence, data[at + 16 : at + length]))
            at += length
        self._rest = data[at:]
        return pdus


def pack_short(short: Short) -> bytes:
    """Return the body of a submit_sm or deliver_sm; a payload over 254 octets travels as message_payload."""
    payload, tlvs = short.payload, short.tlvs
    if len(payload) > 254:
        tlvs = {**tlvs, TLV_MESSAGE_PAYLOAD: payload}
        payload = b""
    source, destination = short.source, short.destination
    return b"".join(
        (
            short.service_type.encode("latin-1"),
            bytes((0, source.ton, source.npi)),
            source.digits.encode("latin-1"),
            bytes((0, destination.ton, destination.npi)),
            destination.digits.encode("latin-1"),
            bytes((0, short.esm_class, 0, short.priority, 0)),
            short.validity.encode("latin-1"),
            bytes((0, short.registered, 0, short.coding, 0, len(payload))),
            payload,
            pack_tlvs(tlvs) if tlvs else b"",
        )
    )


def unpack_short(body: bytes) -> Short:
    """Read the body of a submit_sm or deliver_sm."""
    reader = _Reader(body)
    service_type = reader.text("service_type", 6)
    source = reader.address("source_addr_ton", "source_addr_npi", "source_addr", 21)
    destination = reader.address("dest_addr_ton", "dest_addr_npi", "destination_addr", 21)
    esm_class, _, priority = reader.numbers("esm_class", "protocol_id", "priority_flag")
    reader.text("schedule_delivery_time", 17)
    validity = reader.text("validity_period", 17)
    registered, _, coding, _, length = reader.numbers(
        "registered_delivery", "replace_if_present_flag", "data_coding", "sm_default_msg_id", "sm_length"
    )
    payload = reader.octets("short_message", length)
    tlvs = reader.tlvs()
    return Short(source, destination, esm_class, priority, validity, registered, coding, payload, tlvs, service_type)


def unpack_data(body: bytes) -> Short:
    """Read the body of a data_sm, which has its text in message_payload."""
    reader = _Reader(body)
    service_type = reader.text("service_type", 6)
    source = reader.address("source_addr_ton", "source_addr_npi", "source_addr", 65)
    destination = reader.address("dest_addr_ton", "dest_addr_npi", "destination_addr", 65)
    esm_class, registered, coding = reader.numbers("esm_class", "registered_delivery", "data_coding")
    tlvs = reader.tlvs()
    return Short(source, destination, esm_class, 0, "", registered, coding, b"", tlvs, service_type)


def pack_bind(bind: Bind) -> bytes:
    """Return the body of a bind request."""
    texts = (bind.system_id, bind.password, bind.system_type)
    return b"".join(text.encode("latin-1") + b"\0" for text in texts) + bytes((bind.version, 0, 0, 0))


def unpack_bind(body: bytes) -> Bind:
    """Read the body of a bind request."""
    reader = _Reader(body)
    system_id, password = reader.text("system_id", 16), reader.text("password", 9)
    system_type, (version,) = reader.text("system_type", 13), reader.numbers("interface_version")
    return Bind(system_id, password, system_type, version)


def pack_id(message_id: str) -> bytes:
    """Return the body of a submit_sm_resp or deliver_sm_resp (whose id is empty)."""
    return message_id.encode("latin-1") + b"\0"


def unpack_id(body: bytes) -> str:
    """Read the message id of a submit_sm_resp; empty when the body is, as it is beside an error.

    Some centres leave the NUL at its end out.
    """
    return _Reader(body if 0 in body else body + b"\0").text("message_id", 65) if body else ""


def pack_tlvs(tlvs: Mapping[int, bytes]) -> bytes:
    """Return optional parameters as bytes."""
    return b"".join(_TLV.pack(tag, len(value)) + value for tag, value in tlvs.items())


class _Reader:
    """Reads a body field by field."""

    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def numbers(self, *names: str) -> bytes:
        """Return fields of one octet each that stand one after the other."""
        value = self._body[self._at : self._at + len(names)]
        if len(value) < len(names):
            raise CodecError(f"{names[len(value)]} is missing, body is {len(self._body)} octets")
        self._at += len(names)
        return value

    def address(self, ton: str, npi: str, digits: str, size: int) -> Address:
        kind, plan = self.numbers(ton, npi)
        return Address(kind, plan, self.text(digits, size))

    def text(self, name: str, size: int) -> str:
        end = self._body.find(0, self._at, self._at + size)
        if end < 0:
            raise CodecError(f"{name} must end within {size} octets")
        value = self._body[self._at : end].decode("latin-1")
        self._at = end + 1
        return value

    def octets(self, name: str, size: int) -> bytes:
        value = self._body[self._at : self._at + size]
        if len(value) < size:
            raise CodecError(f"{name} has {len(value)} octets, must have {size}")
        self._at += size
        return value

    def tlvs(self) -> dict[int, bytes]:
        """Return the optional parameters; what follows a broken one that means nothing to us is left out."""
        values = {}
        body, at = self._body, self._at
        while at + 4 <= len(body):
            tag, length = _TLV.unpack_from(body, at)
            at += 4
            value = body[at : at + length]
            if len(value) < length:
                if tag not in _READ_TLVS:
                    break
                raise CodecError(f"optional parameter 0x{tag:04x} has {len(value)} octets, must have {length}")
            values[tag] = value
            at += length
        return values


def relative_time(ms: int) -> str:
    """Return a validity period as SMPP's relative time, rounded down to seconds but at least one."""
    seconds = max(1, ms // 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    days = min(days, 30)
    return f"0000{days:02d}{hour:02d}{minute:02d}{second:02d}000R"


CLOSES_LINK = frozenset((0x04, 0x05, BIND_FAILED, BAD_PASSWORD, BAD_SYSTEM_ID))
"""Statuses after which a link is of no use: not bound, already bound, refused."""

_PERMANENT = frozenset(
    bytes.fromhex("01 02 03 06 07 0A 0B 0C 15 33 34 40 42 43 44 48 49 50 51 53 54 55 61 62 63 65 66 C0 C1 C2 C3 C4")
)
"""Statuses that the same message would meet again: its number, length or fields are wrong, or the centre says so."""


def outcome_state(status: int) -> State:
    """Return what a submit_sm_resp status means. An unlisted refusal is RETRY: not taken, and tries are bounded."""
    if status == OK:
        return State.ACCEPTED
    return State.PERMANENT if status in _PERMANENT else State.RETRY
