"""On any book and any stream of events the decider says what the interpreter says, live and again from the log.

`OPPORTUNE_BOOKS=20000 pytest tests/oracle/test_books.py` searches longer than CI does.
"""

import os
from dataclasses import replace
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules.codes import Code
from rules.diagnostics import BookErrors
from rules.load import load_text
from rules.model import Book
from state.batch import Row
from tests.oracle.agreement import Agreement
from tests.oracle.books import Shape, book_text
from tests.oracle.streams import CHANGES, MINUTE_MS, PACES, STARTS, Pace, burst, event

BOOKS = int(os.environ.get("OPPORTUNE_BOOKS", "750"))

IMPOSSIBLE = {Code.DECLARED_TWICE, Code.NEVER_FIRES}
"""What the loader refuses of the books: two features of one history, a deadline ended by what arms it."""

NUMBERS = st.integers(0, (1 << 20) - 1)
EVENTS = st.integers(0, (1 << 32) - 1)
SHAPES = st.builds(
    Shape,
    zone=st.sampled_from(sorted(CHANGES)),
    head=NUMBERS,
    features=st.lists(NUMBERS, max_size=8, unique=True).map(tuple),
    rules=st.lists(NUMBERS, min_size=1, max_size=8, unique=True).map(tuple),
    values=st.lists(NUMBERS, max_size=5, unique=True).map(tuple),
    lists=st.sampled_from([0, 1, 3, 8]),
    members=st.sampled_from([3, 4]),
)


def reloaded(shape: Shape, seed: int) -> Shape:
    """The next shape of a book: some features and rules gone, some new, a list and a member more."""
    random = Random(seed)
    kept = [[one for one in some if random.random() < 0.7] for some in (shape.features, shape.rules)]
    fresh = [[random.randrange(1 << 20) for _ in range(random.randint(0, 2))] for _ in range(2)]
    return Shape(
        zone=shape.zone if random.random() < 0.8 else random.choice(sorted(CHANGES)),
        head=random.choice([shape.head, random.randrange(1 << 20)]),
        features=tuple(kept[0] + fresh[0]),
        rules=tuple(kept[1] + fresh[1]),
        values=tuple(one for one in shape.values if random.random() < 0.8),
        lists=min(shape.lists + random.randint(0, 1), 9),
        members=4,
    )


def loaded(shape: Shape, before: Book | None = None) -> Book | None:
    """The book of a shape, read by the loader; None of one that is impossible."""
    try:
        return load_text(book_text(shape), before)
    except BookErrors as errors:
        if not {one.code for one in errors.diagnostics} <= IMPOSSIBLE:
            raise
        return None


class Stream:
    """Rows gathered into frames of a world; each number drawn is one event, or what happens instead of one."""

    def __init__(self, world: Agreement, shape: Shape, start_ms: int, pace: Pace) -> None:
        self.world, self.shape, self.pace = world, shape, pace
        self.now_ms = self.logged_ms = start_ms
        self.rows: list[Row] = []
        self.schema = world.book.schema

    def take(self, number: int) -> None:
        random = Random(number)
        self.now_ms += random.choice(self.pace.steps_ms)
        at_ms = self.now_ms - random.choice(self.pace.late_ms)
        decided = [record for record in self.world.records[-40:] if record.outcome == 0]
        self.rows.append(event(random, at_ms, self.shape, decided))
        if random.random() < 0.02:
            self.rows += burst(random, at_ms, self.now_ms)
        if random.random() < 0.3:
            self.cut(random.choice([0, 0, 20, 2 * MINUTE_MS]))
        if random.random() < 0.01:
            self.control(random)

    def cut(self, delay_ms: int = 0) -> None:
        """End the frame."""
        self.logged_ms = max(self.logged_ms, self.now_ms + delay_ms)
        if self.rows:
            self.world.frame(self.rows, self.logged_ms, self.schema)
        self.rows = []
        if self.logged_ms % 3:  # else they wait, and later events stand before them
            self.world.pass_time(self.logged_ms, self.logged_ms)

    def control(self, random: Random) -> None:
        """Pause or resume something of the book."""
        self.cut()
        kind = random.choice(["rule", "campaign", "channel"])
        book = self.world.book
        names = {"rule": [rule.id for rule in book.rules], "campaign": [*book.campaigns], "channel": [*book.channels]}
        action = random.choice(["pause", "pause", "kill", "resume", "resume"])
        self.world.control({"kind": kind, "name": random.choice(names[kind] or ["none"]), "action": action})

    def reload(self, shape: Shape) -> None:
        """Switch to another book; the frame in the making is still written under the old one's schema."""
        book = loaded(shape, self.world.book)
        if book is not None:
            self.world.activate(book)
            self.cut()
            self.shape, self.schema = shape, book.schema


@settings(max_examples=BOOKS, deadline=None)
@given(
    shape=SHAPES,
    start=st.sampled_from(STARTS),
    pace=st.sampled_from(PACES),
    events=st.lists(EVENTS, min_size=10, max_size=90),
    after=st.lists(EVENTS, max_size=40),
    again=st.lists(EVENTS, max_size=20),
    seed=NUMBERS,
)
def test_decider_and_interpreter_agree_on_any_book(
    shape: Shape, start: tuple[str, int], pace: Pace, events: list[int], after: list[int], again: list[int], seed: int
) -> None:
    shape = replace(shape, zone=start[0] if seed % 4 else shape.zone)
    book = loaded(shape)
    assume(book is not None)
    assert book is not None
    world = Agreement(slots=64, contacts_max=(1, 2, 3, 5, 8, 24)[seed % 6], rows_max=16)
    world.activate(book)
    stream = Stream(world, shape, start[1], pace)
    for number in events:
        stream.take(number)
    for next_shape, numbers in ((reloaded(shape, seed), after), (replace(shape, members=4), again)):
        if numbers:
            stream.reload(next_shape)
        for number in numbers:
            stream.take(number)
    stream.cut()
    world.replay(parts=1 + seed % 3)
