"""An operator's day through both: the feed as bytes for the engine's decoder, as plain JSON for the interpreter.

Events come late and twice. Between them stand what only the product or its operators make: outcomes of decisions made
before, list changes, visits that end, pauses, and in the middle another book, under which some lines written for the
old one still arrive. What happens beside the feed is drawn from the world's seed.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import orjson

from connectors.sources.contract import Chunk, padded
from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from engine.feed.day import DayPlan, chunks
from engine.feed.faults import Faults, FaultShares
from engine.feed.lines import chunk_lines, encode, profile_lines
from engine.feed.population import Population, make_population
from rules.load import load_text, read_folder
from rules.model import Book
from state.batch import Batch, Row, concat, from_rows, select
from tests.oracle.agreement import Agreement
from tests.oracle.interpreter import Record

BOOK = Path(__file__).parents[2] / "rules" / "book"
FAR_MS = 1 << 60
FRAME_ROWS_MAX = 2048
DOUBLED_MS = 20 * 60_000
OLD_FRAMES = 3
"""How many frames after a reload are still written under the old book."""

CHANGES = {
    "events.toml": ('amount_fen = "int!", paid_at', 'bonus_fen = "int", amount_fen = "int!", paid_at'),
    "book.toml": ('cap = ["1 per day", "6 per 30d"]', 'cap = ["2 per day", "6 per 30d"]'),
    "data-burst.toml": ('over = "10m"\npanes = 5', 'over = "20m"\npanes = 4'),
    "handset-change.toml": ("default(handset_before, handset_tac) != imei_tac and gprs and not holds('wap')", "gprs"),
    "spend-velocity.toml": ("priority = 90", "priority = 91\nenabled = false"),
}
ADDED = """
[lists.vip]

[features.cells_today]
distinct = "move.cell"
over = "today"

[features.longest_call]
max = "call.seconds"
over = "12h"

[features.first_cell]
first = "call.cell"
over = "today"

[[rule]]
id = "walker"
on = "move"
when = "cells_today >= 3 and default(longest_call, 0) > 60 and not member('vip') and first_cell != cell"
channels = ["desk", "sms"]
cap = ["1 per week", "2 per month"]
priority = 51
reason = "{cells_today} cells, {first_cell} first, longest {longest_call}"
text.sms = "{cells_today} {at}"

[[rule]]
id = "stroller"
on = "move"
when = "cells_today >= 2 and holds('mms')"
channels = ["desk"]
cap = ["1 per day"]
class = "service"
"""


def first_book() -> Book:
    """The shipped book."""
    return load_text(read_folder(BOOK))


def second_book(before: Book) -> Book:
    """The shipped book after a day's work on it: of everything something is changed, added and switched off."""
    texts = read_folder(BOOK)
    for name, (old, new) in CHANGES.items():
        assert old in texts[name], f"{name} no longer holds {old}"
        texts[name] = texts[name].replace(old, new)
    return load_text({**texts, "walker.toml": ADDED}, before)


class Day:
    """One world; `run` takes it through the day."""

    def __init__(self, seed: int, events: int, subscribers: int) -> None:
        self.random = Random(seed)
        self.plan = DayPlan(subscribers, events, seed)
        self.people: Population = make_population(subscribers, seed)
        self.world = Agreement(slots=subscribers + 1000, contacts_max=6, rows_max=FRAME_ROWS_MAX, doubled_ms=DOUBLED_MS)
        self.logged_ms = self.plan.midnight_ms
        self.events = 0
        self.frames = 0
        self.waiting: list[tuple[int, Row]] = []

    def run(self) -> None:
        """Fold the whole day, then fold its log again."""
        self.switch(first_book())
        half = self.plan.events // 2
        old: Decoder | None = None
        for lines in self.frames_of(self.lines()):
            if self.events >= half and old is None:
                old, left = self.decoder, OLD_FRAMES
                self.switch(second_book(self.world.book))
            is_old = old is not None and left > 0
            if is_old:
                left -= 1
            self.frame(lines, old if is_old else self.decoder)  # type: ignore[arg-type]  # not None where it is old
        self.world.replay()

    def switch(self, book: Book) -> None:
        """Let another book decide, and decode for it from now on."""
        self.world.activate(book)
        self.decoder = Decoder(Mapping(), book.schema)

    def lines(self) -> Iterator[str]:
        """The feed, line by line."""
        for part in profile_lines(self.plan, self.people):
            yield from part
        faults = Faults(FaultShares(late=0.03, doubled=0.02), self.plan.seed)
        for chunk in chunks(self.plan, self.people):
            yield from faults.apply(chunk_lines(chunk))
        yield from faults.flush()

    def frames_of(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """Lines in frames of any size, most of them small beside the largest."""
        frame: list[str] = []
        size = 1
        for line in lines:
            frame.append(line)
            if len(frame) >= size:
                yield frame
                frame, size = [], int(FRAME_ROWS_MAX ** self.random.uniform(0.4, 1.0)) - 8
        yield frame

    def frame(self, lines: list[str], decoder: Decoder) -> None:
        """One frame: what the feed brought and what happened beside it."""
        if not lines:
            return
        rows = [plain(line) for line in lines]
        batch = decoded(decoder, lines)
        self.events += len(rows)
        self.frames += 1
        now_ms = max(row.at_ms for row in rows)
        self.logged_ms = max(self.logged_ms, now_ms + self.random.choice([0, 40, 30_000]))
        rows, batch = self.beside(rows, batch, decoder)
        found = self.world.frame(rows, self.logged_ms, decoder.plan.schema, batch)
        self.settle_later([one for one in found if one.outcome == 0])
        if self.random.random() < 0.08:
            self.control()

    def beside(self, rows: list[Row], batch: Batch, decoder: Decoder) -> tuple[list[Row], Batch]:
        """The frame with what happened beside the feed put in at any places."""
        due = [row for at, row in self.waiting if at <= self.frames]
        self.waiting = [(at, row) for at, row in self.waiting if at > self.frames]
        extra = due + [self.happening() for _ in range(self.random.randint(0, len(rows) // 200))]
        order = list(range(len(rows)))
        for number in range(len(extra)):
            order.insert(self.random.randint(0, len(order)), len(rows) + number)
        both = concat([batch, from_rows(decoder.plan.schema, extra)])
        together = [*rows, *extra]
        return [together[at] for at in order], select(both, np.array(order, np.int32))

    def happening(self) -> Row:
        """A list change, a visit that ends, or a profile that changes."""
        random = self.random
        subscriber = int(self.people.number[int(self.people.n * random.random() ** 1.4)])
        at_ms = self.logged_ms - random.choice([0, 1000, 5_000_000])
        match random.randrange(4):
            case 0:
                name = random.choice(["do-not-disturb", "grey", "vip", "no such list"])
                return Row("list", subscriber, at_ms, {"list": name, "member": random.random() < 0.6})
            case 1:
                values: dict[str, Any] = {
                    "terminal": "hall01-1",
                    "visit": random.choice("vw"),
                    "open": random.random() < 0.7,
                }
                return Row("visit", subscriber, at_ms, values)
            case 2:
                held = [name for name in ("12593", "gprs20", "mms", "wap") if random.random() < 0.4]
                return Row("profile", subscriber, at_ms, {"services": held, "package_mb": random.choice([0, 1, 10])})
            case _:
                return Row("answer", subscriber, at_ms, {"card": "c", "answer": "later"})

    def settle_later(self, decided: list[Record]) -> None:
        """Outcomes of decisions, some frames later; now and then a refund is said twice."""
        for one in decided:
            for _ in range(self.random.choice([0, 1, 1, 1, 2])):
                state = self.random.choice([1, 1, 2, 2, 3, 5])
                values = {"position": one.position, "row": one.row, "rule": one.rule, "state": state, "partition": 0}
                row = Row("outcome", one.subscriber, self.logged_ms, values)
                self.waiting.append((self.frames + self.random.randint(1, 6), row))

    def control(self) -> None:
        """Operations pause or resume something."""
        book = self.world.book
        kind = self.random.choice(["rule", "campaign", "channel"])
        names = {"rule": [*book.by_id], "campaign": [*book.campaigns], "channel": [*book.channels]}[kind]
        resumed = [pair for pair in sorted(self.world.plain.known.paused) if self.random.random() < 0.7]
        for pair in resumed:
            self.world.control({"kind": pair[0], "name": pair[1], "action": "resume"})
        self.world.control({"kind": kind, "name": self.random.choice(names), "action": "pause"})


def plain(line: str) -> Row:
    """A line of the feed as a plain row."""
    values: dict[str, Any] = orjson.loads(line)
    kind, subscriber, time = values.pop("type"), values.pop("msisdn"), values.pop("time")
    at_ms = round(datetime.fromisoformat(time).timestamp() * 1000)
    return Row(kind, subscriber, at_ms, values, str(values.pop("id", "")))


def decoded(decoder: Decoder, lines: list[str]) -> Batch:
    """The lines as the engine's decoder reads them."""
    text = encode(lines)
    found = decoder.decode(Chunk("day", "", padded(text), len(text), 0, len(text), True, True, 0), FAR_MS)
    assert not found.dead, found.dead[:3]
    return found.batch
