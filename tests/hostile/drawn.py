"""Hostile input drawn from a seed, in batches: lines for the doors that take events, requests, records of every topic.

A line is drawn whole once and stands in a pool, of which each batch renews a part; then bytes anywhere in the batch are
turned into others, so that hardly two lines of a run are equal. A thousand lines cost a millisecond.
"""

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engine.world import BASE_MS, call
from tests.hostile.records import OUTBOX, PARSED, RECEIPTS, KafkaRecord

FIRST = 8613800000000
POOL = 8_192
RENEWED = 64
LONG_BYTES = 10_000
"""Records that are longer take a hundred times as long to read as others, and come a hundred times more seldom."""

Damage = Callable[[bytes, random.Random], bytes]


def flipped(good: bytes, draw: random.Random) -> bytes:
    """Turn up to eight bytes into others."""
    data = bytearray(good)
    for _ in range(draw.randint(1, 8) if data else 0):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def _spliced(good: bytes, draw: random.Random) -> bytes:
    """Put a value that is none somewhere after a colon."""
    places = [index for index, byte in enumerate(good) if byte == 58]
    at = draw.choice(places) + 1
    return good[:at] + draw.choice(VALUES) + good[at:]


VALUES = (
    b"null,", b"9" * 400 + b",", b"-0,", b"1e999,", b"NaN,", b'"\\ud800",', b'"\\u0000\\u001b[2J",', b"[" * 300,
    b'{"a":' * 50, b"true,", b'"\xff\xfe",', b'"\xe2\x80\xae",', b"'", b'"', b"\x00", b"\xef\xbb\xbf",
)  # fmt: skip
DAMAGES: tuple[Damage, ...] = (
    lambda good, _: good,
    flipped,
    _spliced,
    lambda good, draw: good[: draw.randrange(1, len(good))],
    lambda good, draw: draw.randbytes(draw.randint(1, 200)),
    lambda good, draw: good[:-1] + b"," + good[1:],
    lambda good, draw: good * draw.randint(2, 4),
)


def line(draw: random.Random) -> bytes:
    """Return a line without a line end, whose first byte is no blank."""
    good = call(FIRST + draw.randrange(1_000), BASE_MS + draw.randrange(1_000_000)).rstrip()
    return DAMAGES[draw.randrange(len(DAMAGES))](good, draw).replace(b"\n", b" ").strip() or b"x"


class Lines:
    """Draws bodies of lines."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._numbers = np.random.default_rng(draw.getrandbits(64))
        self._pool = [line(draw) for _ in range(POOL)]

    def some(self, count: int) -> list[bytes]:
        """Return so many lines, without their ends."""
        return self.body(count).split(b"\n")[:-1]

    def body(self, count: int) -> bytes:
        """Return so many lines as one text."""
        for place in self._numbers.integers(0, POOL, min(count, RENEWED)).tolist():
            self._pool[place] = line(self._draw)
        chosen = map(self._pool.__getitem__, self._numbers.integers(0, POOL, count).tolist())
        return self._turned(b"\n".join(chosen) + b"\n", count)

    def _turned(self, text: bytes, count: int) -> bytes:
        """Turn a byte a line, on average; line ends and the first byte of a line, which says that it is one, stay."""
        data = np.frombuffer(text, np.uint8).copy()
        places = self._numbers.integers(1, data.shape[0], count)
        places = places[(data[places] != 10) & (data[places - 1] != 10)]
        values = self._numbers.integers(0, 256, places.shape[0], np.uint8)
        data[places] = np.where(values == 10, 32, values)
        return data.tobytes()


REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/control", {"action": "pause", "kind": "rule", "name": "none"}),
    ("/lists", {"list": "none", "member": True, "subscribers": [FIRST]}),
    ("/outcomes", {"outcomes": [{"id": "0-1-1-a", "subscriber": FIRST, "state": "shown", "note": ""}]}),
    ("/dead/replayed", {"numbers": ["1.0"]}),
    ("/desk/visits", {"terminal": "t 1", "subscriber": FIRST, "visit": "v-1", "customer": {"name": "x"}}),
    ("/desk/visits/none/keep", {}),
    ("/desk/cards/0-1-1-a/answer", {"answer": "accept", "note": None}),
    ("/desk/hall-1/session", {"token": "x" * 32}),
)
BAD: tuple[Any, ...] = (
    None, -1, 1 << 62, 10**30, 1e308, float("nan"), "\x1b[2J\n", [], {}, "x" * 500, "9" * 5_000, "\u0661", True, 1.5,
    "\u202e", [[[[]]]], ["\ud800"], [10**30, "+" * 100, ""], [{"id": "0-" + "9" * 40 + "-1-a", "subscriber": FIRST}],
)  # fmt: skip


def request(draw: random.Random) -> tuple[str, bytes]:
    """Return a path and a body that asks for something that there is not."""
    path, good = draw.choice(REQUESTS)
    good = dict(good)
    good[draw.choice([*good, "more"])] = draw.choice(BAD)
    body = json.dumps(good).encode()
    return path, body if draw.random() < 0.7 else flipped(body, draw)


READ: dict[str, list[KafkaRecord]] = {
    **{topic: list(records.values()) for topic, (records, _) in PARSED.items() if topic != "moments"},
    "receipts": list(RECEIPTS.values()),
    "outbox": [KafkaRecord(None, value) for value in OUTBOX.values()],
}
TOPICS = sorted(READ)
"""Topics of ours; the ninth is a raw one, whose records are lines. `moments` is only where the events' clock is."""
LONG = {topic: [one for one in records if len(one.value or b"") > LONG_BYTES] for topic, records in READ.items()}
SHORT = {topic: [one for one in records if len(one.value or b"") <= LONG_BYTES] for topic, records in READ.items()}


def topic_record(topic: str, draw: random.Random) -> KafkaRecord:
    """Return a record that stands in a topic."""
    some = LONG[topic] if LONG[topic] and draw.random() < 0.001 else SHORT[topic]
    record = some[draw.randrange(len(some))]
    key, value, kind = record.key, record.value, draw.random()
    if kind < 0.1:
        value = draw.randbytes(draw.randint(0, 300))
    elif kind < 0.6 and value:
        value = flipped(value[:2_000], draw)
    if key and draw.random() < 0.2:
        key = flipped(key, draw)
    return KafkaRecord(key, value)
