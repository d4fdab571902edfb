"""What does a reload of a 1,000-rule book cost while events come in?

Events are offered over TCP (see `perf.offered`). Every second a file of the book changes in one rule, or all files in
every rule, by turns, and the book is read again in the way the embedded runtime does it. Told is the time from "the
files have changed" until every partition decides by the new book, the longest wait of an event that was due around a
reload, and the longest of all others in the same run.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.book.compiled import CompiledBook
from engine.book.watch import BookWatcher
from perf import books, lines
from perf.measure import arguments, isolated, workplace
from perf.offered import offer, shares
from perf.product import Engine, configure, running, write_book
from perf.report import keep, table
from state.frame import FrameKind

RULES = 1_000
RATE = 50_000
EVERY_S = 1.0
AROUND_MS = 10
"""What is due so long before or after a reload counts as around it."""
KINDS = ("one rule", "every rule")
FILE = "rules-00000.toml"
"""The file whose first rule changes alone."""


@dataclass(frozen=True, slots=True)
class Reload:
    """One reload: which rules had changed, and when it was, epoch ms."""

    kind: str
    began_ms: float
    ended_ms: float

    @property
    def took_ms(self) -> float:
        """From the change to the decision by the new book."""
        return self.ended_ms - self.began_ms


def changes(rules: int, count: int) -> list[tuple[str, Mapping[str, str]]]:
    """Return so many books, each with what is changed against the one before: made beforehand, as by somebody else."""
    before = books.sized(rules)
    made: list[tuple[str, Mapping[str, str]]] = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        texts = books.sized(rules, number // len(KINDS) + 1)
        if kind == KINDS[0]:
            texts = {**before, FILE: books.sized(rules, count + number, differ=1)[FILE]}
        made.append((kind, {name: text for name, text in texts.items() if before[name] != text}))
        before = texts
    return made


async def reload_often(
    engine: Engine, watcher: BookWatcher, todo: list[tuple[str, Mapping[str, str]]], done: list[Reload]
) -> None:
    """Change the book and read it again, over and over; note each reload."""
    for kind, texts in todo:
        await asyncio.sleep(EVERY_S)
        await asyncio.to_thread(write_book, engine.config.book.folder, texts)
        began_ms = time.time() * 1000
        await asyncio.to_thread(watcher.reload)
        done.append(Reload(kind, began_ms, time.time() * 1000))


def watch(engine: Engine, told: list[str]) -> BookWatcher:
    """Return a watcher that activates books as the embedded runtime does."""

    def activate(compiled: CompiledBook) -> None:
        engine.doors.check(compiled.book.schema)
        payload = engine.core.put_book(compiled)
        engine.doors.schema = compiled.book.schema
        engine.pipeline.broadcast(FrameKind.ACTIVATION, payload).result()

    watcher = BookWatcher(engine.config.book.folder, engine.core.shelf.compile, activate, told.append)
    watcher.begin(engine.book)
    return watcher


def measure(folder: Path, subscribers: int, rate: int, seconds: float, rules: int) -> dict[str, Any]:
    """Return what reloads took and what events waited."""
    todo = changes(rules, int(seconds / EVERY_S) + 30)
    config = configure(folder, books.sized(rules), subscribers=subscribers, threads=2, partitions=2)
    with running(config) as engine:
        engine.take_files(folder / "warm")
        told: list[str] = []
        watcher = watch(engine, told)
        done: list[Reload] = []
        before = engine.events

        async def run() -> Any:
            reloads = asyncio.create_task(reload_often(engine, watcher, todo, done))
            waits = await offer(engine, lines.Feed(subscribers), rate, seconds)
            reloads.cancel()
            return waits

        due_ms, waited_ms = asyncio.run(run()).of(engine)
        assert set(told) == {"ok"}, told
        done = [one for one in done if one.began_ms >= due_ms[0] and one.ended_ms <= due_ms[-1]]
        around = {kind: np.zeros(due_ms.shape[0], np.bool_) for kind in KINDS}
        for one in done:
            around[one.kind] |= (due_ms >= one.began_ms - AROUND_MS) & (due_ms <= one.ended_ms + AROUND_MS)
        otherwise = ~np.logical_or.reduce(list(around.values()))
        return {
            "rules": rules, "rate": rate, "lost": int(rate * seconds) - (engine.events - before),
            "reloads": {kind: took(done, kind) for kind in KINDS},
            "around": {kind: shares(waited_ms[around[kind]]) for kind in KINDS},
            "otherwise": shares(waited_ms[otherwise]),
        }  # fmt: skip


def took(done: list[Reload], kind: str) -> dict[str, float]:
    """Return how many reloads of a kind there were, and how long they took."""
    sorted_ms = sorted(one.took_ms for one in done if one.kind == kind)
    return {"count": len(sorted_ms), "median_ms": sorted_ms[len(sorted_ms) // 2], "max_ms": sorted_ms[-1]}


def main() -> None:
    """Reload under load."""
    given = arguments(__doc__, events=1_000_000, subscribers=1_000_000, quick_events=150_000, quick_subscribers=20_000)
    rules = 100 if given.quick else RULES
    with workplace() as folder:
        lines.write_everybody(folder / "warm" / "a.ndjson", lines.Feed(given.subscribers))
        rate = RATE // 2 if given.quick else RATE
        run = isolated(measure, folder, given.subscribers, rate, given.events / rate, rules)
    rows = [
        (
            f"{kind} changed",
            run["reloads"][kind]["count"],
            run["reloads"][kind]["median_ms"],
            run["reloads"][kind]["max_ms"],
            *run["around"][kind].values(),
        )
        for kind in KINDS
    ]
    rows.append(("no reload", "", "", "", *run["otherwise"].values()))
    names = tuple(f"wait {name}" for name in run["otherwise"])
    heading = f"{run['rules']:,} rules, {run['rate']:,} events/s over TCP, {run['lost']} lost"
    print(table((heading, "reloads", "median ms", "longest ms", *names), rows))
    keep("reload", run, path=given.results)


if __name__ == "__main__":
    main()
