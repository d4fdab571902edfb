"""Lines that are no events, of every kind that we could think of, drawn from a seed; and some good ones among them."""

import random
from collections.abc import Callable, Iterator

from tests.engine.world import BASE_MS, call

FIRST = 8613800000000
GOOD = call(FIRST, BASE_MS)[:-1]
BLANK = (b"", b" ", b"\t\r", b"\x0b")

Maker = Callable[[random.Random], bytes]


def spliced(field: bytes, value: bytes) -> bytes:
    """The good line with another value for a field."""
    start = GOOD.index(b'"' + field + b'":') + len(field) + 3
    end = min(at for at in (GOOD.find(b",", start), GOOD.find(b"}", start)) if at >= 0)
    return GOOD[:start] + value + GOOD[end:]


WRONG_VALUES = (
    (b"type", (b"7", b"true", b'"CALL"', b'"cal"', b"null", b'["call"]', b'"call\\u0000"')),
    (b"msisdn", (b"0", b"-1", b"1.5", b'"86x"', b"null", b"1e3", b"9" * 400, b'""', b"true", b"{}", b"0861")),
    (b"time", (b"12", b'"yesterday"', b'"2008-13-01T00:00:00Z"', b'"1990-01-01T00:00:00Z"', b"null",
               b'"9999-01-01T00:00:00Z"', b'"2008-11-04T00:00:00"', b'"2008-11-04T24:61:00Z"', b"[]")),
    (b"kind", (b"null", b"5", b"false", b"[]", b'{"a":1}', b'"\\ud800"', b'"\\x"')),
    (b"seconds", (b'"60"', b"1.0", b"9" * 30, b"1e400", b"-9223372036854775809", b"true", b"0x10", b"01", b"+1", b"NaN",
                  b"Infinity", b"9" * 5000)),
)  # fmt: skip


def a_wrong_value(chance: random.Random) -> bytes:
    field, values = chance.choice(WRONG_VALUES)
    return spliced(field, chance.choice(values))


def a_half_line(chance: random.Random) -> bytes:
    return GOOD[: chance.randrange(1, len(GOOD))]


def a_half_line_at_the_start(chance: random.Random) -> bytes:
    return GOOD[chance.randrange(1, len(GOOD)) :]


def invalid_utf8(chance: random.Random) -> bytes:
    at = chance.randrange(1, len(GOOD))
    return GOOD[:at] + chance.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88"]) + GOOD[at:]


def deep(chance: random.Random) -> bytes:
    depth = chance.choice([300, 1_200, 2_500])
    start, end = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
    return b'{"type":"call","x":' + start * depth + b"1" + end * (depth - chance.randrange(2)) + b"}"


def a_flipped_byte(chance: random.Random) -> bytes:
    """A structural byte replaced, so that the line cannot be an event."""
    places = [at for at, byte in enumerate(GOOD) if byte in b'{}:,"']
    at = chance.choice(places)
    return GOOD[:at] + b"@" + GOOD[at + 1 :]


def noise(chance: random.Random) -> bytes:
    text = chance.randbytes(chance.randrange(1, 120)).replace(b"\n", b"").replace(b"{", b"")
    return b"#" + text


def another_value(chance: random.Random) -> bytes:
    return chance.choice([b"null", b"1", b'"call"', b"[]", b"[{}]", b"{}", b"true", b"{}{}", GOOD + GOOD, GOOD + b"]"])


def a_double_key(chance: random.Random) -> bytes:
    return chance.choice([GOOD[:-1] + b',"kind":"long"}', GOOD[:-1] + b',"msisdn":1}', GOOD[:-1] + b',"type":"call"}'])


def a_long_line(chance: random.Random) -> bytes:
    return spliced(b"kind", b'"' + b"x" * chance.choice([70_000, 200_000]) + b'"')


OFTEN: tuple[Maker, ...] = (
    a_wrong_value, a_half_line, a_half_line_at_the_start, invalid_utf8, a_flipped_byte, noise, another_value,
    a_double_key,
)  # fmt: skip
SELDOM: tuple[Maker, ...] = (deep, a_long_line)


def variety(chance: random.Random, count: int, seldom: int) -> Iterator[bytes]:
    """Yield `count` broken lines without their ends; every `seldom`th is a deep or a very long one."""
    for number in range(count):
        yield chance.choice(SELDOM if number % seldom == 0 else OFTEN)(chance)
