"""Generated days, live and rehearsed: the same records, one by one.

python -m tests.engine.backtest.days [DAYS [FIRST_SEED]]

A day is run by a real engine in several parts: with send windows, quotas, caps, holdouts, lists, a pause, and a book
that changes on the way. Then `backtest` runs it again, beside a book of its own and the book that was live last.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tests.engine.engines import Engine, Nursery
from tests.engine.world import BASE_MS, call, config, joined, line

FIRST = 8613800000000
HOUR_MS = 3_600_000
BOOK = """
campaign = "care"
[book]
zone = "Asia/Shanghai"
max_age = "366d"
shelf_life = "5h"
cap = ["{total} per day"]
holdout = "5%"
[attributes]
name = "string"
[lists.vip]
excludes = "commercial"
[events.call]
fields = {{ kind = "string!", seconds = "int" }}
[events.charge]
fields = {{ fen = "int!" }}
[campaigns.care]
holdout = "10%"
[channels.sms]
class = "commercial"
[channels.alert]
[features.long_calls]
count = "call"
where = "kind == 'long'"
[features.spent]
sum = "charge.fen"
over = "1h"
[features.told]
count = "outcome"
where = "state == 1"
[[rule]]
id = "long-care"
on = "call"
when = "kind == 'long' and seconds > {seconds}"
channels = ["sms"]
priority = 60
cap = ["{own} per 6h"]
text.sms = "Dear {{name|customer}}, long call number {{long_calls}}, told {{told}}"
[[rule]]
id = "spender"
on = "charge"
when = "spent > {fen}"
channels = ["sms"]
priority = 40
text.sms = "you spend {{spent}}"
[[rule]]
id = "watch"
on = "charge"
when = "spent > {fen} * 2"
channels = ["alert"]
cap = ["3 per 1h"]
[[rule]]
id = "told-often"
on = "outcome"
when = "told == 3 and state == 1"
channels = ["alert"]
"""
SENDING = """
[data]
directory = "data"
clock = "events"
partitions = {partitions}
[channels.sms]
gateway = "spool"
windows = ["daily 09:00-{closes}"]
quota_per_day = {quota}
rate_per_s = {rate}
[gateways.spool]
kind = "spool"
folder = "spool"
"""


def book_of(chance: random.Random) -> str:
    """Return a book."""
    return BOOK.format(
        total=chance.randint(1, 4),
        own=chance.randint(1, 3),
        seconds=chance.choice((0, 60, 120)),
        fen=chance.choice((500, 2000)),
    )


def lines_of(chance: random.Random, from_ms: int, hours: int, events: int) -> bytes:
    """Return the lines of a part of a day, some late, some doubled."""
    made = []
    for _ in range(events):
        at_ms = from_ms + chance.randrange(hours * HOUR_MS)
        who = FIRST + int(chance.paretovariate(0.7)) % 60
        if chance.random() < 0.5:
            kind, seconds = chance.choice(("long", "local")), chance.randrange(200)
            made.append((at_ms, call(who, at_ms, kind, seconds, id=f"{at_ms}-{who}")))
        else:
            made.append((at_ms, line(type="charge", msisdn=who, time=at_ms, fen=chance.randrange(1500))))
        if chance.random() < 0.02:
            made.append(made[-1])
    made.sort(key=lambda one: one[0] + (chance.randrange(HOUR_MS) if chance.random() < 0.03 else 0))
    return joined(one for _, one in made)


def begun(nursery: Nursery, folder: Path, chance: random.Random) -> Engine:
    """Return an engine with a book and with windows, quotas and rates, that has not run."""
    sending = SENDING.format(
        partitions=chance.choice((1, 2, 3)),
        closes=chance.choice(("12:00", "20:00")),
        quota=chance.choice((20, 60, 100_000)),
        rate=chance.choice((0.01, 1.0, 100_000.0)),
    )
    return Engine(nursery, folder, book_of(chance), config("events", sending))


def steady(nursery: Nursery, folder: Path, seed: int, events: int = 1_000) -> Engine:
    """Run a day under one book and without commands; return its engine, stopped."""
    chance = random.Random(seed)
    engine = begun(nursery, folder, chance)
    engine.put("1.ndjson", lines_of(chance, BASE_MS - 2 * HOUR_MS, 24, events))
    engine.drain()
    return engine


def live(nursery: Nursery, folder: Path, seed: int, events: int = 600) -> Engine:
    """Run a day under several books; return its engine, stopped."""
    chance = random.Random(seed)
    engine = begun(nursery, folder, chance)
    start_ms = BASE_MS - 2 * HOUR_MS
    engine.put("1.ndjson", lines_of(chance, start_ms, 4, events))
    engine.drain()
    engine.write_book(book_of(chance))
    engine.start()
    numbers = [str(FIRST + chance.randrange(12)) for _ in range(2)]
    assert engine.command("lists", "add", "vip", *numbers).exit == 0
    assert engine.command("pause", "rule", chance.choice(("spender", "watch"))).exit == 0
    assert engine.stop() == 0
    engine.put("2.ndjson", lines_of(chance, start_ms + 4 * HOUR_MS, 4, events))
    engine.drain()
    engine.write_book(book_of(chance))
    engine.put("3.ndjson", lines_of(chance, start_ms + 8 * HOUR_MS, 16, events))
    engine.drain()
    return engine


def backtest(engine: Engine, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a backtest; return its exit status and its figures."""
    process = engine.command("backtest", "--format", "ndjson", *options)
    assert process.exit is not None
    assert process.exit < 2, process.err
    assert process.out, process.err
    return process.exit, [orjson.loads(one) for one in process.out.splitlines()]


def check(engine: Engine) -> Counter[str]:
    """Hold the rehearsed day against the live one; return what came, by gate."""
    records = engine.records()
    assert records
    status, figures = backtest(engine)
    notes = figures[0]["notes"]
    assert status == 0, notes
    promise = f"{len(records):,} records, all as they were decided live"
    assert any(promise in note for note in notes), (len(records), notes)
    return Counter(record["gate"] or "decided" for record in records)


def main(days: int, first: int) -> int:
    """Run days until one does not agree."""
    nursery = Nursery()
    began_s = time.monotonic()
    seen: Counter[str] = Counter()
    for seed in range(first, first + days):
        with tempfile.TemporaryDirectory() as folder:
            seen += check(live(nursery, Path(folder) / "day", seed, 3_000))
        sys.stdout.write(f"seed {seed}: the same; so far {dict(seen)}, {time.monotonic() - began_s:.0f} s\n")
        sys.stdout.flush()
    nursery.close()
    return 0


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(words + [20, 1][len(words) :])))
