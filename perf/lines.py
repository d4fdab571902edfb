"""Event files for benchmarks: flat NDJSON of about 185 bytes a line, four event types, written by numpy.

    write_lines(path, Feed(subscribers=1_000_000), events)

The n-th event of a feed is the same on every machine. A subscriber has ten events an hour whatever the size of the
feed, so that windows hold the same and rules fire as often at any scale. One event in a hundred is up to ten minutes
late.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Int64s = NDArray[np.int64]

START_MS = 1_762_128_000_000  # 2025-11-03T08:00:00+08:00
ZONE_MS = 8 * 3_600_000
DAY_MS = 86_400_000
EVENTS_AN_HOUR = 10
FIRST_MSISDN = 8_613_800_000_000
BLOCK = 1 << 17
TYPES = ("call", "data", "move", "charge")
SHARES = (0.3, 0.3, 0.3, 0.1)
KINDS = ("local",) * 16 + ("long_distance",) * 3 + ("roam",)
CITIES = ("hangzhou", "ningbo", "wenzhou", "shaoxing", "jiaxing", "huzhou", "jinhua", "quzhou")
APNS = ("cmnet", "cmnet", "cmnet", "cmwap")
APPS = ("browser", "video", "messages")
CAUSES = ("periodic", "handover", "attach", "roam")
NETWORKS = ("geran", "utran", "eutran")
CELLS = 20_000
LATE_MS = 600_000


@dataclass(frozen=True, slots=True)
class Feed:
    """What the lines of a feed depend on; `first` is the number of the first event, `parties`: lines have a number of
    the other party, a new one in each.
    """

    subscribers: int
    seed: int = 1
    first: int = 0
    parties: bool = False


def write_lines(path: Path, feed: Feed, events: int) -> int:
    """Write `events` lines of a feed; return how many bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        return sum(file.write(block) for block in blocks(feed, events))


def write_everybody(path: Path, feed: Feed) -> int:
    """Write one event for every subscriber, an hour before the feed begins; return how many bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        return sum(file.write(block) for block in everybody(feed))


def everybody(feed: Feed) -> Iterator[memoryview]:
    """Yield one event for every subscriber, an hour before the feed begins, in blocks of whole lines."""
    for first in range(0, feed.subscribers, BLOCK):
        rng = np.random.default_rng((feed.seed, first, 7))
        n = min(BLOCK, feed.subscribers - first)
        number = np.arange(first, first + n)
        at_ms = START_MS - 3_600_000 + number * 3_000_000 // feed.subscribers
        yield lay(rng, FIRST_MSISDN + number, at_ms, number)


def blocks(feed: Feed, events: int) -> Iterator[memoryview]:
    """Yield the lines of a feed in blocks of whole lines."""
    for first in range(feed.first, feed.first + events, BLOCK):
        rng = np.random.default_rng((feed.seed, first))
        number = np.arange(first, min(first + BLOCK, feed.first + events))
        n = number.shape[0]
        subscriber = FIRST_MSISDN + rng.integers(0, feed.subscribers, n)
        at_ms = START_MS + number * 3_600_000 // (feed.subscribers * EVENTS_AN_HOUR)
        at_ms = at_ms - rng.integers(0, 2_000, n) - (rng.random(n) < 0.01) * rng.integers(0, LATE_MS, n)
        yield lay(rng, subscriber, at_ms, 1_000_000_000 + number, parties=feed.parties)


def lay(
    rng: np.random.Generator, subscriber: Int64s, at_ms: Int64s, number: Int64s, *, parties: bool = False
) -> memoryview:
    """Lay each line out in a row of its own, filled up with zero bytes, and squeeze those out."""
    n = subscriber.shape[0]
    kind = rng.choice(len(TYPES), n, p=SHARES)
    laid = np.zeros((n, 256), np.uint8)
    for code, name in enumerate(TYPES):
        rows = np.flatnonzero(kind == code)
        parts: list[bytes | Bytes] = [
            b'{"type":"' + name.encode() + b'","msisdn":', digits(subscriber[rows], 13), b',"time":"',
            _time(at_ms[rows]), b'","id":"zj01-', name[:1].encode(), b"-", digits(number[rows], 12), b'",',
            *_FIELDS[code](rng, rows.shape[0]),
            *((b',"party":"', digits(13_000_000_000 + number[rows], 11), b'"') if parties else ()), b"}\n",
        ]  # fmt: skip
        at = 0
        for part in parts:
            columns = np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part
            width = columns.shape[-1]
            laid[rows, at : at + width] = columns
            at += width
    flat = laid.reshape(-1)
    written: memoryview = flat[flat != 0].data
    return written


def _call(rng: np.random.Generator, n: int) -> list[bytes | Bytes]:
    return [
        b'"kind":"', words(rng, KINDS, n), b'","seconds":', _spread(rng, 90, n), b',"direction":"',
        words(rng, ("mo", "mt"), n), b'","cell":"', _cell(rng, n), b'","city":"', words(rng, CITIES, n), b'"',
    ]  # fmt: skip


def _data(rng: np.random.Generator, n: int) -> list[bytes | Bytes]:
    return [
        b'"kbytes":', _spread(rng, 800, n), b',"seconds":', _spread(rng, 200, n), b',"apn":"',
        words(rng, APNS, n), b'","app":"', words(rng, APPS, n),
        b'","cell":"', _cell(rng, n), b'"',
    ]  # fmt: skip


def _move(rng: np.random.Generator, n: int) -> list[bytes | Bytes]:
    return [
        b'"cell":"', _cell(rng, n), b'","city":"', words(rng, CITIES, n), b'","cause":"',
        words(rng, CAUSES, n), b'","rat":"', words(rng, NETWORKS, n),
        b'","level":', _spread(rng, 60, n),
    ]  # fmt: skip


def _charge(rng: np.random.Generator, n: int) -> list[bytes | Bytes]:
    cents = digits(rng.integers(10, 100, n), 2)
    return [
        b'"amount_fen":', _spread(rng, 900, n), b',"sp":"sp-', digits(rng.integers(1_000, 1_200, n), 4),
        b'","service":"', words(rng, ("ringtone", "newspaper", "game", "weather"), n), b'","balance":',
        _spread(rng, 50, n), b".", cents, b',"settled":', words(rng, ("true", "false"), n),
    ]  # fmt: skip


_FIELDS = (_call, _data, _move, _charge)


def digits(values: Int64s, width: int) -> Bytes:
    """Return decimal numbers as uint8[n, width], zero bytes before the first digit."""
    out = np.zeros((values.shape[0], width), np.uint8)
    rest = values.copy()
    for column in range(width - 1, -1, -1):
        out[:, column] = np.where((rest > 0) | (column == width - 1), 48 + rest % 10, 0)
        rest //= 10
    return out


def words(rng: np.random.Generator, choice: tuple[str, ...], n: int) -> Bytes:
    """Return one of the words for each row, zero bytes after it."""
    width = max(map(len, choice))
    table = np.array([list(word.encode().ljust(width, b"\0")) for word in choice], np.uint8)
    return table[rng.integers(0, len(choice), n)]


def _spread(rng: np.random.Generator, mean: int, n: int) -> Bytes:
    """Numbers of which few are large."""
    return digits(1 + rng.exponential(mean, n).astype(np.int64), 5)


def _cell(rng: np.random.Generator, n: int) -> Bytes:
    cell = digits(10_000 + rng.integers(0, CELLS, n), 5)
    return np.concatenate([np.broadcast_to(np.frombuffer(b"28001-", np.uint8), (n, 6)), cell], axis=1)


def _time(at_ms: Int64s) -> Bytes:
    """ISO times with the offset of the zone."""
    local = at_ms + ZONE_MS
    day, ms = local // DAY_MS, local % DAY_MS
    first = int(day.min())
    dates = [str(np.datetime64(number, "D")) for number in range(first, int(day.max()) + 1)]
    out = np.zeros((at_ms.shape[0], 29), np.uint8)
    out[:] = np.frombuffer(b"2025-11-03T08:00:00.000+08:00", np.uint8)
    out[:, :10] = np.array([list(date.encode()) for date in dates], np.uint8)[day - first]
    for at, value, width in (
        (11, ms // 3_600_000, 2),
        (14, ms // 60_000 % 60, 2),
        (17, ms // 1_000 % 60, 2),
        (20, ms % 1_000, 3),
    ):
        for place in range(width):
            out[:, at + place] = 48 + value // 10 ** (width - 1 - place) % 10
    return out
