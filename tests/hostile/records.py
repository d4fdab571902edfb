"""Hostile records for every topic of a cluster: what each kind looks like, by the topic and a word for it."""

import time
from dataclasses import dataclass
from typing import Any

import orjson

from engine.runtimes.cluster.ask.letters import letter_of
from engine.runtimes.cluster.decide.page_rows import check_row
from engine.runtimes.cluster.shared.control_records import parse_control
from engine.runtimes.cluster.shared.journal_position import REACHED, read_record
from engine.runtimes.cluster.shared.log_records import read_frame
from engine.runtimes.cluster.shared.moments import parse_rested
from engine.runtimes.cluster.shared.texts import text_key, text_of
from rules.load import version_of
from state.frame import Frame, FrameKind, encode
from state.hashing import hash_text

NOW_MS = time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """A record as a consumer gives it."""

    key: bytes | None
    value: bytes | None
    offset: int = 7
    timestamp: int = NOW_MS


SOURCES = {"book.toml": "[[rule]]\nid = 'broken"}
SCHEMA = "0123456789abcdef"
BROKEN = orjson.dumps({"version": version_of(SOURCES), "sources": SOURCES, "schema": SCHEMA})


def _book(**fields: object) -> bytes:
    return orjson.dumps({"version": version_of(SOURCES), "sources": SOURCES, "schema": SCHEMA} | fields)


def frame(kind: FrameKind, payload: bytes, append_ms: int = 0, **head: Any) -> bytes:
    return encode(Frame(kind, append_ms, payload=payload, **head))


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
    "moment-of-a-text": KafkaRecord(None, frame(FrameKind.TICK, b'{"moment":"noon"}')),
    "moment-before-time": KafkaRecord(None, frame(FrameKind.TICK, b'{"moment":-1}')),
    "moment-of-nothing": KafkaRecord(None, frame(FrameKind.TICK, b"[]")),
    "tick-before-time": KafkaRecord(None, frame(FrameKind.TICK, b"", -1)),
    "tick-after-all-time": KafkaRecord(None, frame(FrameKind.TICK, b"", 1 << 62)),
    "tick-a-year-after-its-record": KafkaRecord(None, frame(FrameKind.TICK, b"", NOW_MS + 366 * 86_400_000)),
    "clocks-of-a-text": KafkaRecord(None, frame(FrameKind.TICK, b"", clocks={"inbox": "boom"})),
    "clocks-of-texts": KafkaRecord(None, frame(FrameKind.TICK, b"", clocks={"inbox": ["boom"]})),
    "sources-of-texts": KafkaRecord(None, frame(FrameKind.TICK, b"", sources={"raw/0": "boom"})),
}
TEXTS = {
    "null-key": KafkaRecord(None, b"text"),
    "null-value": KafkaRecord(text_key(hash_text(b"text")), None),
    "text-under-the-hash-of-another": KafkaRecord(text_key(hash_text(b"other")), b"text"),
    "short-key": KafkaRecord(b"x", b"text"),
    "text-of-a-megabyte": KafkaRecord(text_key(hash_text(b"x" * (1 << 20))), b"x" * (1 << 20)),
}
MOMENTS = {
    "garbage": KafkaRecord(None, b"garbage"),
    "null-value": KafkaRecord(None, None),
    "number": KafkaRecord(None, b"5"),
    "too-few": KafkaRecord(None, b"[1,2,3]"),
    "texts": KafkaRecord(None, b'["1","2","3","4","5"]'),
    "before-time": KafkaRecord(None, b"[1,2,-3,4,5]"),
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
LATER = {
    "log": [KafkaRecord(None, b"OPF9" + bytes(200))],
    "decisions": [KafkaRecord(None, REACHED.pack(5) + b"DEC9" + bytes(200))],
}
"""Records that begin as those of a later format, where no release has said that it writes such."""
PAGES = {
    "place-of-the-copy": KafkaRecord(b"K\x00\x00", b"\xff" * 16),
    "another-partition": KafkaRecord(b"P\x00\x63\x00\x00\x00\x01", b"garbage"),
    "null-key": KafkaRecord(None, b"garbage"),
    "short-key": KafkaRecord(b"P", b"garbage"),
    "page-of-a-long-key": KafkaRecord(b"P\x00\x00" + b"\xff" * 30, bytes(64)),
    "page-of-garbage": KafkaRecord(b"P\x00\x00\x00\x00\x00\x01", b"garbage"),
    "page-of-columns-beyond-its-end": KafkaRecord(b"P\x00\x00\x00\x00\x00\x01", b"\xff" * 40),
    "row-of-garbage": KafkaRecord(b"S\x00\x00" + bytes(8), b"x"),
    "layout-of-garbage": KafkaRecord(b"L\x00\x00" + bytes(8), b"[[]]"),
    "layout-of-another-key": KafkaRecord(b"L\x00\x00" + bytes(8), b"[]"),
    "sweep-of-garbage": KafkaRecord(b"M\x00\x00", b"\xff"),
    "sweep-of-texts": KafkaRecord(b"M\x00\x00", b'["now", 5]'),
    "count-of-a-kilobyte": KafkaRecord(b"C\x00\x00", bytes(1024)),
    "lengths-of-one-byte": KafkaRecord(b"J\x00\x00", b"x"),
}
LETTER = {
    "source": "feed", "key": "raw/0", "offset": 1, "line": 0, "code": "bad_syntax", "field": "", "value": "",
    "reason": "", "length": 1, "received_ms": 0, "raw": "x",
}  # fmt: skip
DEAD = {
    "null-key": KafkaRecord(None, b"garbage"),
    "garbage": KafkaRecord(b"raw/0@1.0", b"garbage"),
    "list": KafkaRecord(b"raw/0@1.0", b"[]"),
    "key-that-is-no-text": KafkaRecord(b"\xff", None),
    "letter-without-a-line": KafkaRecord(b"raw/0@1.0", orjson.dumps(LETTER | {"raw": None})),
    "source-of-a-list": KafkaRecord(b"raw/0@1.0", orjson.dumps(LETTER | {"source": ["feed"]})),
    "offset-of-a-text": KafkaRecord(b"raw/0@1.0", orjson.dumps(LETTER | {"offset": "1"})),
    "code-of-no-release": KafkaRecord(b"raw/0@1.0", orjson.dumps(LETTER | {"code": "boom"})),
    "more-than-a-letter": KafkaRecord(b"raw/0@1.0", orjson.dumps(LETTER | {"more": 1})),
    "nested-100000-deep": KafkaRecord(b"raw/0@1.0", b"[" * 100_000),
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


def check_page(record: KafkaRecord) -> None:
    """Read a row as a copy of partition 0 does."""
    check_row(b"\x00\x00", record.key, record.value)


PARSED: dict[str, tuple[dict[str, KafkaRecord], Any]] = {
    "control": (CONTROL, parse_control),
    "log": (LOG, parse_log),
    "texts": (TEXTS, text_of),
    "decisions": (DECISIONS, read_record),
    "pages": (PAGES, check_page),
    "dead": (DEAD, letter_of),
    "moments": (MOMENTS, parse_rested),
}
