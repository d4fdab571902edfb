"""Books of a cluster: what is published, who forgets what, and what a start has to read."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from connectors.kafka.writer import Writer, Written
from engine.book.shelf import BooksInMemory
from engine.book.watch import RefusedError
from engine.runtimes.cluster.shared import control_topic as module
from engine.runtimes.cluster.shared.control_topic import ControlTopic
from engine.runtimes.cluster.shared.publisher import BOOK_BYTES_MAX, SEGMENT_HOURS, Publisher
from engine.runtimes.cluster.shared.topics import HOUR_MS
from engine.settings.config import Config
from rules.load import version_of
from state.disk import DamagedError
from state.schema import make_schema

KEPT_HOURS = 24 + SEGMENT_HOURS
YEAR_HOURS = 365 * 24

BUILT_IN = make_schema((), ())


class Control:
    """The topic `control`, compacted at once; a reader of it, and a writer."""

    def __init__(self) -> None:
        self.records: dict[bytes | None, tuple[int, bytes | None]] = {}
        self.end = 0
        self.frames: list[Written] = []

    async def write(self, records: Iterable[Written]) -> None:
        for one in records:
            if one.topic != "opportune.control":
                self.frames.append(one)
                continue
            self.records.pop(one.key, None)
            self.records[one.key] = (self.end, one.value)
            self.end += 1

    def tail(self, *_: Any) -> Any:
        read = 0

        async def nothing() -> None:
            pass

        async def to_end() -> Any:
            nonlocal read
            start, read = read, self.end
            found = [
                SimpleNamespace(offset=offset, key=key, value=value)
                for key, (offset, value) in self.records.items()
                if offset >= start
            ]
            if found:
                yield found

        return SimpleNamespace(start=nothing, to_end=to_end)


class Cluster:
    """ControlTopic and publisher of one worker, and the clock."""

    def __init__(self, control: Control, config: Config) -> None:
        self.compiled: list[str] = []
        self.hours = 0
        self.shelf = BooksInMemory(self._compile)
        self.control_topic = ControlTopic(config, self.shelf)
        self.publisher = Publisher(config, self.control_topic, cast("Writer", control), lambda: self.hours * HOUR_MS)

    def _compile(self, sources: Any, _: Any) -> Any:
        self.compiled.append(sources["rules.toml"])
        return SimpleNamespace(book=book(int(sources["rules.toml"]), sources["events.toml"]))

    async def publish(self, number: int) -> None:
        await self.publisher.publish(book(number))


def book(number: int, schema: str = "") -> Any:
    """A book of a few words; every thousandth one changes what events are like."""
    schema = schema or fingerprint(number // 1000)
    sources = {"rules.toml": str(number), "events.toml": schema}
    return SimpleNamespace(
        version=version_of(sources),
        schema=SimpleNamespace(fingerprint=schema, types=BUILT_IN.types),
        sources=sources,
        rules=(),
        features=(),
        timers={},
    )


def fingerprint(number: int) -> str:
    return f"{number:016x}"


def version(number: int) -> str:
    return str(book(number).version)


def key(number: int) -> bytes:
    return f"book/{version(number)}".encode()


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Control:
    topic = Control()
    monkeypatch.setattr(module, "Tail", topic.tail)
    return topic


def config(log_hours_max: int = 24) -> Config:
    return Config.model_validate({"log": {"log_hours_max": log_hours_max, "journal_hours_max": 24}})


async def started(control: Control, settings: Config | None = None) -> Cluster:
    cluster = Cluster(control, settings or config())
    await cluster.control_topic.start()
    return cluster


async def test_a_year_of_books_leaves_those_that_frames_may_name_and_a_start_compiles_one(
    control: Control,
) -> None:
    worker = await started(control)
    for hour in range(0, YEAR_HOURS, 8):
        worker.hours = hour
        await worker.publish(hour)
    await worker.control_topic.catch_up()
    last = YEAR_HOURS - 8
    kept = [version(hour) for hour in range(last - KEPT_HOURS - 8, last + 1, 8)]

    assert list(worker.control_topic.versions) == kept
    assert worker.control_topic.was_published(version(0))
    assert not worker.control_topic.was_published(version(1))
    assert len(control.records[b"ended"][1] or b"") < 40 * YEAR_HOURS / 8
    assert set(worker.shelf._packed) == set(kept)
    assert {key for key, (_, value) in control.records.items() if value is not None} == {
        b"active", b"ended", *(b"book/" + one.encode() for one in kept)
    }  # fmt: skip
    beginner = await started(control)
    assert beginner.control_topic.active is not None
    assert (list(beginner.control_topic.versions), beginner.control_topic.active.version) == (kept, kept[-1])
    assert beginner.compiled == [str(last)]


async def test_a_book_is_kept_from_when_it_ceased_to_be_active_however_long_it_was(control: Control) -> None:
    worker = await started(control)
    await worker.publish(0)
    worker.hours = YEAR_HOURS
    await worker.publish(1)
    worker.hours += KEPT_HOURS
    await worker.publish(2)
    assert worker.control_topic.knows(version(0))

    worker.hours += 1
    await worker.publish(3)
    await worker.control_topic.catch_up()
    assert list(worker.control_topic.versions) == [version(1), version(2), version(3)]


async def test_a_book_that_was_published_and_never_activated_goes_as_well(control: Control) -> None:
    worker = await started(control)
    left = book(7)
    record = orjson.dumps({"version": left.version, "schema": fingerprint(0), "sources": left.sources})
    await control.write([Written("opportune.control", 0, record, key(7))])
    for hours in (0, KEPT_HOURS + 1):
        worker.hours = hours
        await worker.publish(hours)
    await worker.control_topic.catch_up()

    assert not worker.control_topic.knows(version(7))


async def test_where_frames_are_kept_for_ever_so_is_every_book(control: Control) -> None:
    worker = await started(control, config(log_hours_max=0))
    for number in range(3):
        worker.hours = number * YEAR_HOURS
        await worker.publish(number)

    assert list(worker.control_topic.versions) == [version(0), version(1), version(2)]


async def test_a_book_brought_back_while_another_worker_lets_it_go_is_there(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await started(control)
    write = control.write

    async def write_and_let_go(records: Iterable[Written]) -> None:
        written = list(records)
        await write(written)
        if written[0].key == b"active":
            await write([Written("opportune.control", 0, None, key(0))])

    monkeypatch.setattr(control, "write", write_and_let_go)
    await worker.publish(0)
    beginner = await started(control)

    assert beginner.control_topic.active is not None
    assert beginner.control_topic.active.version == version(0)


async def test_a_book_too_large_for_a_record_is_refused_with_its_size_and_nothing_is_written(control: Control) -> None:
    worker = await started(control)
    large = book(0)
    large.sources["rules.toml"] = "x" * BOOK_BYTES_MAX

    with pytest.raises(
        RefusedError, match=rf"book {large.version}: bytes=\d+ of its texts must be <= {BOOK_BYTES_MAX}"
    ):
        await worker.publisher.publish(large)
    assert (control.records, control.frames) == ({}, [])


async def test_a_schema_is_found_by_the_fingerprint_that_frames_name_until_its_last_book_goes(control: Control) -> None:
    worker = await started(control)
    await worker.publish(999)
    await worker.publish(1000)
    beginner = await started(control)
    assert beginner.control_topic.schema(fingerprint(0)).fingerprint == fingerprint(0)
    assert beginner.control_topic.schema(fingerprint(1)).fingerprint == fingerprint(1)
    assert beginner.compiled == ["1000", "999"]

    await control.write([Written("opportune.control", 0, None, key(999))])
    await beginner.control_topic.catch_up()
    with pytest.raises(DamagedError, match=r"schema=0{16} belongs to no book of opportune\.control"):
        beginner.control_topic.schema(fingerprint(0))
