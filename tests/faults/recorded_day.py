"""One recorded day, run many times: kills, partitions, frames and chunks change neither what is sent nor when.

    python -m tests.faults.recorded_day [RUNS [SEED]]

The day has three sources, windows, a quota, rates, caps by the time of contact, withdrawals and lines with wrong times.
The first run is left alone, on one partition. Every other one has its own number of partitions and sizes of frame and
chunk, and is ended at random moments, by kill -9 or by SIGTERM, before it is drained. Compared is what the
gateway has (the lines of the spool, read here by plain JSON) and what `decisions` prints. Rates, windows and quotas are
counted again from the gateway's lines alone.
"""

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tests.engine.engines import Engine, Nursery
from tests.engine.world import BASE_MS, call, joined, line

RUNS = 50
SUBSCRIBERS = 150
FIRST = 8613800000000
SMS_RATE, SPOOL_RATE = 4, 10
NEWS_QUOTA = 60
OPENS_H, CLOSES_H = 9, 20
HOUR_MS = 3_600_000
BURST_MS = BASE_MS + 5 * HOUR_MS
"""When very many texts are decided at once."""

Sent = tuple[int, int, str]
"""When, to whom, which text."""
Decided = tuple[int, str, int, str, str | None, str | None]
"""Subscriber, rule, time of the event, outcome, gate, channel."""
Make = Callable[[str, int, int], Engine]
"""Makes an engine by name, partitions and rows of a frame."""

BOOK = """
campaign = "day"
[book]
zone = "Asia/Shanghai"
max_age = "366d"
shelf_life = "7d"
[lists.quiet]
excludes = "commercial"
[events.call]
fields = { kind = "string!", seconds = "int" }
[events.charge]
fields = { fen = "int!" }
[channels.sms]
[channels.news]
kind = "sms"
[features.calls]
count = "call"
[features.spent]
sum = "charge.fen"
over = "1h"
[[rule]]
id = "long"
on = "call"
when = "kind == 'long'"
channels = ["sms"]
priority = 60
cap = ["2 per 3h"]
text.sms = "long call {calls}"
[[rule]]
id = "soon"
on = "call"
when = "seconds > 200"
channels = ["sms"]
priority = 20
cap = ["1 per 1m"]
shelf_life = "30m"
text.sms = "call {calls}"
[[rule]]
id = "spender"
on = "charge"
when = "spent > 900"
channels = ["news"]
cap = ["1 per 2h"]
text.news = "spent {spent}"
"""
CONFIG = f"""
[data]
directory = "data"
clock = "events"
partitions = {{partitions}}
[book]
folder = "book"
[http]
enabled = false
[limits]
batch_events_max = {{rows}}
[log]
segment_bytes = 1048576
[state]
memory_subscribers = 1000
[[sources.files]]
name = "calls"
directory = "inbox"
poll_ms = 20
settle_ms = 50
[[sources.files]]
name = "charges"
directory = "charges"
poll_ms = 20
settle_ms = 50
[[sources.files]]
name = "lists"
directory = "lists"
poll_ms = 20
settle_ms = 50
[gateways.spool]
kind = "spool"
folder = "spool"
rate_per_s = {SPOOL_RATE}.0
[channels.sms]
gateway = "spool"
rate_per_s = {SMS_RATE}.0
[channels.news]
gateway = "spool"
windows = ["daily {OPENS_H:02}:00-{CLOSES_H:02}:00"]
quota_per_day = {NEWS_QUOTA}
"""


def lines_of_day(seed: int) -> dict[str, bytes]:
    """Return the files of each source's folder: 36 hours, with a burst."""
    chance = random.Random(seed)
    moments = sorted(BASE_MS + chance.randrange(36 * HOUR_MS) for _ in range(1_500))
    moments = sorted([*moments, *(BURST_MS + chance.randrange(20_000) for _ in range(400))])
    files: dict[str, list[bytes]] = {"inbox": [], "charges": [], "lists": []}
    for at_ms in moments:
        who, wrong_ms = FIRST + chance.randrange(SUBSCRIBERS), chance.choice([0] * 60 + [-4_000, 400 * 86_400_000])
        kind = chance.choices(["inbox", "charges", "lists"], [10, 5, 1])[0]
        if kind == "inbox":
            text = call(who, at_ms + wrong_ms, chance.choice(["long", "local"]), chance.randrange(300))
        elif kind == "charges":
            text = line(type="charge", msisdn=who, time=at_ms + wrong_ms, fen=chance.randrange(800))
        else:
            text = line(type="list", msisdn=who, time=at_ms, list="quiet", member=chance.random() < 0.6)
        files[kind].append(text)
    return {folder: joined(texts) for folder, texts in files.items()}


class Run(NamedTuple):
    """What came of a run: what the gateway got, and what became of each candidate; both sorted."""

    sent: list[Sent]
    decided: list[Decided]

    def difference(self, other: "Run") -> str:
        """Return in a few words how another run differs; empty where it does not."""
        return difference("texts", self.sent, other.sent) or difference("decisions", self.decided, other.decided)


class Day:
    """The day's lines, and runs over them."""

    def __init__(self, make: Make, seed: int) -> None:
        self._make = make
        self._files = lines_of_day(seed)
        self._chance = random.Random(seed + 1)
        self._took_s = 2.0

    def undisturbed(self) -> Run:
        """Return what comes of a run that is left alone."""
        engine = self._engine("undisturbed", 1, 20_000, 1)
        began_s = time.monotonic()
        engine.drain()
        self._took_s = time.monotonic() - began_s
        return run_of(engine)

    def disturbed(self, number: int) -> Run:
        """Return what comes of a run of other sizes that stands still and is ended now and then."""
        chance = self._chance
        engine = self._engine(
            f"run-{number}", chance.choice([1, 2, 3, 5]), chance.choice([64, 500, 20_000]), chance.randrange(1, 9)
        )
        for _ in range(chance.randrange(1, 5)):
            engine.start("--drain", ready=False)
            assert engine.process is not None
            time.sleep(chance.uniform(0.1, self._took_s))
            if chance.random() < 0.3:
                engine.process.signal(signal.SIGSTOP)
                time.sleep(chance.uniform(0.1, 1.5))
                engine.process.signal(signal.SIGCONT)
                time.sleep(chance.uniform(0.0, 0.3))
            engine.process.signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            # SIGTERM ends a process by itself where it comes before the engine listens for it.
            assert engine.process.wait(30) in (0, -signal.SIGKILL, -signal.SIGTERM), engine.process.err
        engine.drain()
        return run_of(engine)

    def _engine(self, name: str, partitions: int, rows: int, pieces: int) -> Engine:
        """Return an engine; each source has its lines in so many files, so in so many chunks."""
        engine = self._make(name, partitions, rows)
        for folder, content in self._files.items():
            (engine.folder / folder).mkdir(exist_ok=True)
            lines = content.splitlines(keepends=True)
            size = -(-len(lines) // pieces)
            for piece in range(pieces):
                text = b"".join(lines[piece * size : (piece + 1) * size])
                (engine.folder / folder / f"{piece}.ndjson").write_bytes(text)
        return engine


def config_of(partitions: int, rows: int) -> str:
    """Return the settings of a run."""
    return CONFIG.format(partitions=partitions, rows=rows)


def run_of(engine: Engine) -> Run:
    """Return what came of a run that has ended."""
    names = ("subscriber", "rule", "at_ms", "outcome", "gate", "channel")
    decided: list[Decided] = [tuple(one[name] for name in names) for one in engine.records()]
    return Run(sent_by(engine), sorted(decided, key=str))


def sent_by(engine: Engine) -> list[Sent]:
    """Read the gateway's record; what goes at one time to different people has no order."""
    found: list[Sent] = []
    for path in (engine.folder / "spool").glob("out*.ndjson"):
        for text in path.read_bytes().splitlines():
            message = orjson.loads(text)
            found.append((message["at_ms"], message["to"], message["text"]))
    return sorted(found)


def against_the_rules(sent: Sequence[Sent]) -> list[str]:
    """Return what the gateway's record breaks: rates a second, the window and the quota of the news."""
    found = []
    for name, rate, of in (("sms", SMS_RATE, is_sms), ("spool", SPOOL_RATE, lambda _: True)):
        times = [one[0] for one in sent if of(one)]
        most = rate + max(1, rate // 10)
        crowded = [early for early, late in zip(times, times[most:], strict=False) if late - early < 1000]
        found += [f"{name}: more than {most} within a second of {at_ms}" for at_ms in crowded]
    local = [datetime.fromtimestamp(one[0] / 1000, UTC) + timedelta(hours=8) for one in sent if not is_sms(one)]
    found += [f"news at {at}" for at in local if not OPENS_H <= at.hour < CLOSES_H]
    found += [
        f"{count} news on {day}" for day, count in Counter(at.date() for at in local).items() if count > NEWS_QUOTA
    ]
    return found


def is_sms(one: Sent) -> bool:
    """Tell whether a text is one of the channel `sms`."""
    return "spent" not in one[2]


def difference(what: str, left: Sequence[tuple[Any, ...]], right: Sequence[tuple[Any, ...]]) -> str:
    """Return in a few words how two records differ; empty where they are the same."""
    missing, added = Counter(left) - Counter(right), Counter(right) - Counter(left)
    if not missing and not added:
        return ""
    return f"{what}: {missing.total()} missing, {added.total()} more, such as {[*missing][:3]} and {[*added][:3]}"


def main(arguments: Sequence[str]) -> int:
    """Run the day; return how many runs differ from the first."""
    runs = int(arguments[0]) if arguments else RUNS
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    nursery = Nursery()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:

        def make(name: str, partitions: int, rows: int) -> Engine:
            return Engine(nursery, Path(folder) / name, BOOK, config_of(partitions, rows))

        day = Day(make, seed)
        first = day.undisturbed()
        for fault in against_the_rules(first.sent):
            failed += 1
            sys.stdout.write(f"the first run: {fault}\n")
        for number in range(1, runs):
            said = first.difference(day.disturbed(number))
            failed += bool(said)
            sys.stdout.write(f"run {number}: {said or 'the same'}\n")
            sys.stdout.flush()
    nursery.close()
    sys.stdout.write(
        f"{runs} runs, seed {seed}, {len(first.sent)} texts, {len(first.decided)} candidates: {failed} differ\n"
    )
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
