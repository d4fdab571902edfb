"""Engines as fixtures: killed at the end of the test, whatever happened."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.desk_pages import Page, Pages
from tests.engine.engines import Engine, Nursery
from tests.engine.world import BOOK, config

Make = Callable[..., Engine]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    one = Nursery()
    yield one
    one.close()


@pytest.fixture
def make(nursery: Nursery, tmp_path: Path) -> Iterator[Make]:
    """Makes engines: `make(book=..., clock=..., more=..., name=...)`."""
    made: list[Engine] = []

    def new(book: str = BOOK, clock: str = "events", more: str = "", name: str = "engine") -> Engine:
        made.append(Engine(nursery, tmp_path / name, book, config(clock, more)))
        return made[-1]

    yield new
    for engine in made:
        if engine.process is not None:
            engine.kill()


@pytest.fixture
def pages() -> Iterator[Pages]:
    """Opens pages; they are closed at the end of the test."""
    opened: list[Page] = []

    def open_one(engine: Engine, terminal: str) -> Page:
        opened.append(Page(engine, terminal))
        return opened[-1]

    yield open_one
    for page in opened:
        page.close()
