"""A frame's schema is found in every form that a release gave its book."""

import pytest

from engine.book.shelf import BooksInMemory
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.settings.config import Config
from rules.load import load_text
from state.disk import DamagedError
from state.schema import LIST, forms_of
from tests.engine.world import BOOK

OLD, NEW = (load_text({"book.toml": text}) for text in (BOOK, BOOK + "[events.more]\n"))


async def test_frames_of_every_release_are_read_by_whichever_published_their_book() -> None:
    for published in range(3):
        shelf = BooksInMemory()
        control = ControlTopic(Config(), shelf)
        for book in (OLD, NEW):
            shelf.keep(book.version, book.sources)
            control.versions[book.version] = forms_of(book.schema)[published].fingerprint
        for book in (OLD, NEW):
            for form in forms_of(book.schema):
                assert control.schema(form.fingerprint) == form
        await control.stop()
    assert len({form.fingerprint for form in forms_of(NEW.schema)}) == 3
    assert [len(form.types[LIST].fields) for form in forms_of(NEW.schema)] == [4, 2, 2]


async def test_a_schema_of_no_book_is_damage() -> None:
    control = ControlTopic(Config(), BooksInMemory())
    with pytest.raises(DamagedError, match="belongs to no book"):
        control.schema("0" * 16)
    await control.stop()
