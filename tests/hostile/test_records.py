"""A record that somebody else wrote into a topic of ours ends nothing: it is counted, buried, and passed over."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from connectors.kafka.writer import Written
from connectors.sources.dead_letter import from_json
from engine.book.shelf import BookShelf, BooksInMemory
from engine.dispatch.orphans import Orphans
from engine.flow.dead_letters import StoredLetter
from engine.runtimes.cluster.ask.letters import raw_place
from engine.runtimes.cluster.decide.changelog import PagesCopy
from engine.runtimes.cluster.dispatch.exchange import Exchange, parse_heard
from engine.runtimes.cluster.dispatch.outbox import TopicOutbox, cursors_in
from engine.runtimes.cluster.shared import control_topic as control_module
from engine.runtimes.cluster.shared.control_records import Published, parse_control
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.journal_position import REACHED, last_reached, read_record
from engine.runtimes.cluster.shared.log_records import AHEAD_MS_MAX
from engine.runtimes.cluster.shared.record_guard import LOGGED_MAX, Place, RecordGuard
from engine.settings.config import Config
from rules.load import load_text, version_of
from state import formats
from state.formats import NewerFormatError
from state.frame import FrameError, FrameKind
from tests.engine.cluster.standins import NOT_USED
from tests.engine.world import BOOK
from tests.fakes.store import MemoryStore
from tests.hostile.records import (
    BROKEN,
    CONTROL,
    DEAD,
    DECISIONS,
    LATER,
    LETTER,
    LOG,
    NOW_MS,
    OUTBOX,
    PAGES,
    PARSED,
    RECEIPTS,
    SOURCES,
    TEXTS,
    KafkaRecord,
    frame,
    parse_log,
)

PLACE = Place("opportune.topic", 3)
ALL = [
    *((topic, word) for topic, (records, _) in PARSED.items() for word in records),
    *(("receipts", word) for word in RECEIPTS),
]


class Brokers:
    """What was written."""

    def __init__(self) -> None:
        self.written: list[Written] = []

    async def write(self, records: Iterable[Written]) -> None:
        self.written += records


@pytest.mark.parametrize(("topic", "word"), ALL)
async def test_a_hostile_record_is_counted_logged_on_one_line_and_buried_with_its_place(
    topic: str, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    records, parse = (RECEIPTS, parse_heard) if topic == "receipts" else PARSED[topic]
    brokers = Brokers()
    counted: list[tuple[str, str]] = []
    guard = RecordGuard("opportune.dead", brokers.write, lambda *one: counted.append(one))

    assert guard.read(PLACE, records[word], parse) is None
    await guard.flush()
    assert counted == [("opportune.topic", "not_a_record")]
    (line,) = [record.getMessage() for record in caplog.records]
    assert len(line) < 700
    assert line.isprintable()
    (written,) = brokers.written
    assert (written.topic, written.key) == ("opportune.dead", b"opportune.topic/3@7.0")
    letter = from_json(written.value or b"")
    assert (letter.key, letter.offset, letter.length) == ("opportune.topic/3", 7, len(records[word].value or b""))
    assert letter.reason


def test_a_flood_of_hostile_records_is_counted_whole_and_logged_a_few_times(caplog: pytest.LogCaptureFixture) -> None:
    guard = RecordGuard()
    for _ in range(1_000):
        guard.read(PLACE, RECEIPTS["garbage"], parse_heard)

    assert guard.counts[PLACE.topic] == 1_000
    assert len(caplog.records) == LOGGED_MAX


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns a reader of the control topic over records."""
    monkeypatch.setattr(control_module, "Tail", lambda *_: NOT_USED)

    def make(shelf: Any, guard: RecordGuard) -> Any:
        return ControlTopic(Config(), shelf, guard)

    return make


async def test_no_record_of_control_ends_a_worker_or_writes_outside_the_data_directory(
    control: Any, tmp_path: Path
) -> None:
    guard = RecordGuard()
    topic = control(BookShelf(tmp_path / "data" / "books"), guard)
    await topic._take(list(CONTROL.values()))
    await topic._activate()

    assert guard.counts["opportune.control"] == len(CONTROL)
    assert (topic.active, topic.versions, topic.switches, topic.format) == (None, {}, {}, 0)
    assert files_below(tmp_path) == []


def files_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_a_broken_book_leaves_the_one_before_active_and_is_compiled_once(control: Any) -> None:
    compiled: list[str] = []

    def compile_(sources: Any, _: Any) -> Any:
        compiled.append(version_of(sources))
        if sources == SOURCES:
            raise ValueError("the book is broken")
        from types import SimpleNamespace  # noqa: PLC0415 a book of no content

        return SimpleNamespace(book=SimpleNamespace(version=version_of(sources)))

    good = {"book.toml": "good"}
    record = orjson.dumps({"sources": good, "schema": "0" * 16})
    guard = RecordGuard()
    topic = control(BooksInMemory(compile_), guard)
    topic._started = True
    await topic._take([KafkaRecord(b"book/" + version_of(good).encode(), record)])
    await topic._take([KafkaRecord(b"active", version_of(good).encode())])
    await topic._activate()
    for _ in range(3):
        await topic._take([KafkaRecord(b"book/" + version_of(SOURCES).encode(), BROKEN)])
        await topic._take([KafkaRecord(b"active", version_of(SOURCES).encode())])
        await topic._activate()

    assert topic.active.version == version_of(good)
    assert compiled == [version_of(good), version_of(SOURCES)]


async def test_a_start_on_a_broken_active_book_takes_the_newest_that_compiles(control: Any) -> None:
    def compile_(sources: Any, _: Any) -> Any:
        if sources == SOURCES:
            raise ValueError("the book is broken")
        from types import SimpleNamespace  # noqa: PLC0415 a book of no content

        return SimpleNamespace(book=SimpleNamespace(version=version_of(sources)))

    good = {"book.toml": "good"}
    record = orjson.dumps({"sources": good, "schema": "0" * 16})
    topic = control(BooksInMemory(compile_), RecordGuard())
    await topic._take(
        [
            KafkaRecord(b"book/" + version_of(good).encode(), record),
            KafkaRecord(b"book/" + version_of(SOURCES).encode(), BROKEN),
            KafkaRecord(b"active", version_of(SOURCES).encode()),
        ]
    )
    await topic._activate()

    assert topic.active.version == version_of(good)


def test_a_book_of_ours_is_read_as_it_was_published() -> None:
    book = load_text({"book.toml": BOOK})
    fields = {"version": book.version, "schema": book.schema.fingerprint, "sources": dict(book.sources)}
    change = parse_control(KafkaRecord(b"book/" + book.version.encode(), orjson.dumps(fields)))

    assert change == Published(book.version, dict(book.sources), book.schema.fingerprint)


@pytest.mark.parametrize(
    "name", ["../escaped.toml", "/etc/escaped.toml", ".hidden.csv", "a/b.toml", "a\0.toml", "x.py"]
)
def test_a_book_with_a_file_that_lies_elsewhere_is_none(name: str) -> None:
    sources = {"book.toml": BOOK, name: ""}
    version = version_of({one: text for one, text in sources.items() if one.endswith((".toml", ".csv"))})
    fields = {"version": version, "schema": version, "sources": sources}

    with pytest.raises(ValueError, match="is no name of a book's file"):
        parse_control(KafkaRecord(b"book/" + version.encode(), orjson.dumps(fields)))


async def test_a_format_of_the_next_release_still_ends_a_worker_in_one_line(control: Any) -> None:
    with pytest.raises(NewerFormatError, match="upgrade it") as fault:
        await control(BooksInMemory(), RecordGuard())._take([KafkaRecord(b"format", b"%d" % (formats.FORMAT + 1))])
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(("topic", "parse"), [("log", parse_log), ("decisions", read_record)])
async def test_a_record_of_a_later_format_is_garbage_where_no_release_has_said_that_it_writes_such(
    topic: str, parse: Any
) -> None:
    looked: list[int] = []

    async def catch_up() -> None:
        looked.append(1)

    async def end() -> int:
        return 8

    guard = RecordGuard(catch_up=catch_up)
    record, place = LATER[topic][0], Place(f"opportune.{topic}", 0)
    for offset in (5, 6, 7, 8):
        assert await guard.judge(place, replace(record, offset=offset), parse, end) is None

    assert guard.counts[place.topic] == 4
    assert len(looked) == 2, "one look at control is enough for all that stood in the topic before"


async def test_a_record_of_a_later_format_ends_a_worker_where_a_release_has_said_that_it_writes_such() -> None:
    async def catch_up() -> None:
        raise NewerFormatError("what is written in this cluster", formats.FORMAT + 1)

    async def end() -> int:
        return 1

    guard = RecordGuard(catch_up=catch_up)
    with pytest.raises(NewerFormatError, match="what is written in this cluster"):
        await guard.judge(Place("opportune.log", 0), LATER["log"][0], parse_log, end)
    assert not guard.counts


@pytest.mark.parametrize("version", ["../../escaped", "", "/etc/passwd", "0123456789ABCDEF", "0123456789abcde", "a/b"])
def test_a_shelf_writes_no_file_under_a_version_that_is_no_hash(version: str, tmp_path: Path) -> None:
    shelf = BookShelf(tmp_path / "data" / "books")
    with pytest.raises(ValueError, match="must be 16 hex digits"):
        shelf.keep(version, {"a": "b"})
    shelf.forget(version)

    assert files_below(tmp_path) == []


def test_receipts_of_garbage_reach_no_partition() -> None:
    class Nobody:
        """Fails when it is given anything."""

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    guard = RecordGuard()
    exchange = Exchange(Config(), NOT_USED, NOT_USED, Orphans(), guard=guard)
    for record in RECEIPTS.values():
        exchange.hand_on(record, {0: Nobody()})

    assert guard.counts["opportune.receipts"] == len(RECEIPTS)


class LedgerOf:
    """An outbox' topic with these values."""

    def __init__(self, values: list[bytes | None]) -> None:
        self.values = values

    async def read(self) -> Any:
        for offset, value in enumerate(self.values):
            yield offset, value


async def test_an_outbox_with_garbage_among_its_arrays_is_read_without_it() -> None:
    good = b'[["c",{"decisions":5}]]'
    values = [value for one in OUTBOX.values() for value in (one, good)]
    guard = RecordGuard()
    outbox = TopicOutbox(LedgerOf(values), PLACE, guard)  # type: ignore[arg-type]  # it is only read
    await outbox.load()

    assert len(list(outbox.read())) == len(OUTBOX)
    assert guard.counts[PLACE.topic] == len(OUTBOX)
    garbage = [value for value in OUTBOX.values() if value is not None]
    assert cursors_in([good, *garbage]) == {"decisions": 5}


class Journal:
    """A partition of decisions."""

    def __init__(self, values: list[bytes | None]) -> None:
        self.records = [KafkaRecord(None, value, offset) for offset, value in enumerate(values)]

    async def end(self) -> int:
        return len(self.records)

    async def first(self) -> int:
        return 0

    def seek(self, _: int) -> None:
        pass

    async def to_end(self) -> Any:
        yield self.records


async def test_a_decision_record_that_claims_to_reach_beyond_the_log_silences_no_partition() -> None:
    from tests.hostile.decisions import decision_record  # noqa: PLC0415 kernels are loaded for it

    values = [decision_record(4), *(one.value for one in DECISIONS.values()), decision_record(1 << 40)]
    guard = RecordGuard()
    journal: Any = Journal(values)

    assert await last_reached(journal, PLACE, 10, guard) == 4
    assert guard.counts[PLACE.topic] == len(DECISIONS)
    assert REACHED.size == 8


@pytest.mark.parametrize("key", [None, b"", b"K\x00\x03", b"P\x00\x04\x00\x00\x00\x01", b"\xff" * 100])
def test_a_page_under_a_key_of_another_partition_or_of_the_copy_itself_is_not_applied(key: bytes | None) -> None:
    store, guard = MemoryStore(), RecordGuard()
    copy = PagesCopy(store, 3, place=PLACE, guard=guard)
    page = bytes(64)
    rows: list[Any] = [(key, b"x"), (b"P\x00\x03\x00\x00\x00\x01", page)]
    copy.apply(rows, 9)

    assert guard.counts[PLACE.topic] == 1
    assert store.get(b"P\x00\x03\x00\x00\x00\x01") == page
    assert copy.begin() == 9


@pytest.mark.parametrize("word", [word for word, record in PAGES.items() if record.key is not None])
def test_a_page_of_garbage_leaves_the_one_before_in_the_copy(word: str) -> None:
    store, guard = MemoryStore(), RecordGuard()
    copy = PagesCopy(store, 0, place=PLACE, guard=guard)
    key, value = PAGES[word].key, PAGES[word].value
    assert key is not None
    store.write([(key, b"before")])
    copy.apply([(key, value)], 9)

    assert guard.counts[PLACE.topic] == 1
    assert store.get(key) == (b"before" if key[:1] != b"K" else store.get(key))


@pytest.mark.parametrize("written", [NOW_MS, NOW_MS / 1000], ids=["milliseconds of the client", "seconds of Faust"])
def test_a_frame_that_says_it_was_appended_long_after_its_record_is_none(written: float) -> None:
    for ahead_ms, taken in ((0, True), (AHEAD_MS_MAX - 5, True), (AHEAD_MS_MAX + 5, False), (1 << 46, False)):
        tick = frame(FrameKind.TICK, b"", NOW_MS + ahead_ms if ahead_ms < 1 << 46 else ahead_ms)
        record: Any = SimpleNamespace(value=tick, timestamp=written)
        if taken:
            assert parse_log(record).append_ms == NOW_MS + ahead_ms
        else:
            with pytest.raises(FrameError, match="after its record's"):
                parse_log(record)


def test_a_letter_whose_key_names_no_partition_came_from_nowhere() -> None:
    for key in ("", "raw", "raw/", "raw/x", "raw/-1", "raw/" + "9" * 5_000, "raw/\u0661"):
        letter = from_json(orjson.dumps(LETTER | {"key": key}))
        assert raw_place(StoredLetter("1", letter, replayed=False)) == ("", 0)
    assert raw_place(StoredLetter("1", from_json(orjson.dumps(LETTER)), replayed=False)) == ("raw", 0)


def test_every_topic_has_its_hostile_records() -> None:
    topics = (CONTROL, LOG, TEXTS, RECEIPTS, DECISIONS, OUTBOX, PAGES, DEAD)
    assert all(len(records) >= 5 for records in topics)
