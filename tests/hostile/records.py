"""Hostile records for every topic of a cluster: what each kind looks like, by the topic and a word for it."""

from dataclasses import dataclass
from typing import Any

import orjson

from engine.runtimes.cluster.shared.control_records import parse_control
from engine.runtimes.cluster.shared.journal_position import REACHED, read_record
from engine.runtimes.cluster.shared.log_records import read_frame
from engine.runtimes.cluster.shared.texts import text_key, text_of
from rules.load import version_of
from state.frame import Frame, FrameKind, encode
from state.hashing import hash_text


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """A record as a consumer gives it."""

    key: bytes | None
    value: bytes | None
    offset: int = 7


SOURCES = {"book.toml": "[[rule]]\nid = 'broken"}
SCHEMA = "0123456789abcdef"
BROKEN = orjson.dumps({"version": version_of(SOURCES), "sources": SOURCES, "schema": SCHEMA})


def _book(**fields: object) -> bytes:
    return orjson.dumps({"version": version_of(SOURCES), "sources": SOURCES, "schema": SCHEMA} | fields)


def frame(kind: FrameKind, payload: bytes) -> bytes:
    return encode(Frame(kind, 0, payload=payload))


CONTROL = {
    "null-key": KafkaRecord(None, b"x"),
    "null-switch": KafkaRecord(b"switch/x", None),
    "null-switch-of-a-rule": KafkaRecord(b"switch/rule/x", None),
    "switch-that-is-no-json": KafkaRecord(b"switch/rule/x", b"\xff"),
    "switch-of-a-list": KafkaRecord(b"switch/rule/x", b"[]"),
    "switch-under-another-key": KafkaRecord(b"switch/rule/x", b'{"action":"kill","kind":"rule","name":"y"}'),
    "switch-that-explodes": KafkaRecord(b"switch/rule/x", b'{"action":"explode","kind":"rule","name":"x"}'),
    "switch-nested-100000-deep": KafkaRecord(b"switch/rule/x", b"[" * 100_000),
    "format-of-letters": KafkaRecord(b"format", b"xx"),
    "format-999999": KafkaRecord(b"format", b"999999"),
    "format-of-a-million-digits": KafkaRecord(b"format", b"9" * 1_000_000),
    "null-format": KafkaRecord(b"format", None),
    "format-minus-one": KafkaRecord(b"format", b"-1"),
    "active-that-is-no-text": KafkaRecord(b"active", b"\xff"),
    "active-of-a-path": KafkaRecord(b"active", b"../../escaped"),
    "null-active": KafkaRecord(b"active", None),
    "ended-of-a-list": KafkaRecord(b"ended", b"[1]"),
    "ended-of-texts": KafkaRecord(b"ended", b'{"0123456789abcdef":"now"}'),
    "null-ended": KafkaRecord(b"ended", None),
    "book-outside-the-directory": KafkaRecord(b"book/../../escaped", BROKEN),
    "book-outside-the-directory-forgotten": KafkaRecord(b"book/../../escaped", None),
    "book-under-another-version": KafkaRecord(b"book/0123456789abcdef", BROKEN),
    "book-without-texts": KafkaRecord(b"book/" + version_of({}).encode(), b"{}"),
    "book-of-numbers": KafkaRecord(b"book/0123456789abcdef", _book(sources={"a": 1})),
    "book-of-a-list": KafkaRecord(b"book/0123456789abcdef", _book(sources=["a"])),
    "book-with-a-schema-of-control-characters": KafkaRecord(
        b"book/" + version_of(SOURCES).encode(), _book(schema="\x1b[2J")
    ),
    "book-whose-key-is-no-text": KafkaRecord(b"book/\xff\xfe", BROKEN),
}
LOG = {
    "null-value": KafkaRecord(None, None),
    "empty": KafkaRecord(None, b""),
    "garbage": KafkaRecord(None, b"garbage"),
    "zeros": KafkaRecord(None, bytes(4096)),
    "activation-of-nothing": KafkaRecord(None, frame(FrameKind.ACTIVATION, b"")),
    "activation-of-a-list": KafkaRecord(None, frame(FrameKind.ACTIVATION, b"[]")),
    "activation-of-an-unknown-book": KafkaRecord(None, frame(FrameKind.ACTIVATION, b'{"version":"../../x"}')),
    "control-without-an-action": KafkaRecord(None, frame(FrameKind.CONTROL, b"{}")),
    "control-that-explodes": KafkaRecord(None, frame(FrameKind.CONTROL, b'{"action":"explode"}')),
    "control-that-forgets-numbers": KafkaRecord(None, frame(FrameKind.CONTROL, b'{"action":"forget","keys":[1]}')),
    "control-that-is-no-json": KafkaRecord(None, frame(FrameKind.CONTROL, b"\xff\x00")),
}
TEXTS = {
    "null-key": KafkaRecord(None, b"text"),
    "null-value": KafkaRecord(text_key(hash_text(b"text")), None),
    "text-under-the-hash-of-another": KafkaRecord(text_key(hash_text(b"other")), b"text"),
    "short-key": KafkaRecord(b"x", b"text"),
    "text-of-a-megabyte": KafkaRecord(text_key(hash_text(b"x" * (1 << 20))), b"x" * (1 << 20)),
}
RECEIPTS = {
    "garbage": KafkaRecord(None, b"garbage"),
    "null-value": KafkaRecord(None, None),
    "list": KafkaRecord(None, b"[]"),
    "empty-object": KafkaRecord(None, b"{}"),
    "receipt-of-three": KafkaRecord(None, b'{"receipt":["smsc","1","DELIVERED"]}'),
    "receipt-of-an-unknown-state": KafkaRecord(None, b'{"receipt":["smsc","1","EXPLODED","",1]}'),
    "receipt-of-lists": KafkaRecord(None, b'{"receipt":[[],[],[],[],[]]}'),
    "receipt-from-beyond-time": KafkaRecord(None, b'{"receipt":["smsc","1","delivered","",9e99]}'),
    "opt-out-of-a-text": KafkaRecord(None, b'{"opt_out":"8613800000001"}'),
    "opt-out-of-minus-one": KafkaRecord(None, b'{"opt_out":-1}'),
    "opt-out-of-true": KafkaRecord(None, b'{"opt_out":true}'),
    "nested-100000-deep": KafkaRecord(None, b"[" * 100_000),
}
DECISIONS = {
    "null-value": KafkaRecord(None, None),
    "empty": KafkaRecord(None, b""),
    "garbage": KafkaRecord(None, b"garbage garbage garbage"),
    "position-alone": KafkaRecord(None, REACHED.pack(5)),
    "negative-position": KafkaRecord(None, REACHED.pack(-5) + bytes(100)),
    "zeros": KafkaRecord(None, bytes(4096)),
}
OUTBOX: dict[str, bytes | None] = {
    "null-value": None,
    "garbage": b"garbage",
    "object": b"{}",
    "list-of-numbers": b"[1,2]",
    "unknown-letter": b'[["z"]]',
    "letter-that-is-a-list": b'[[["q"]]]',
    "decision-of-one": b'[["q","1-1-1-a"]]',
    "cursors-of-texts": b'[["c",{"decisions":"now"}]]',
    "base-of-numbers": b'[["b",1,2,3,4]]',
    "nested-100000-deep": b"[" * 100_000,
}


def unknown(name: str) -> Any:
    """No schema and no book has this name."""
    raise KeyError(name)


def parse_log(record: KafkaRecord) -> Frame:
    return read_frame(record, unknown, unknown)


PARSED: dict[str, tuple[dict[str, KafkaRecord], Any]] = {
    "control": (CONTROL, parse_control),
    "log": (LOG, parse_log),
    "texts": (TEXTS, text_of),
    "decisions": (DECISIONS, read_record),
}
