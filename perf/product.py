"""The engine as the embedded runtime puts it together, but bare: from a source to durable decisions, no doors out.

    with running(config) as engine:
        engine.take_files(folder)

Everything durable is on: log, journal with decision records, page sweep.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.sources.files.client import FilesSource
from connectors.sources.files.config import FilesConfig
from connectors.sources.mapping import Mapping as LineMapping
from connectors.sources.tcp.config import TcpConfig
from engine.book.loader import Loader
from engine.flow.core import Core, open_core
from engine.flow.decoders import Decoders, Source
from engine.flow.partition import Partition
from engine.flow.pipeline import Pipeline
from engine.runtimes.interpreter import settle, share
from engine.runtimes.warmup import warm_up
from engine.settings.config import BookConfig, Config, DataConfig, SourcesConfig, StateConfig
from rules.model import Book
from state.hashing import partition_of

POLL_S = 0.02


def configure(
    folder: Path,
    texts: Mapping[str, str],
    *,
    subscribers: int,
    threads: int,
    partitions: int,
    recovery_target_s: float | None = None,
    mapping: LineMapping | None = None,
) -> Config:
    """Write a book below `folder` and return settings for an engine there; what is not named stays as shipped.

    `mapping`: how the files that it takes are read.
    """
    book = folder / "book"
    write_book(book, texts)
    state = StateConfig(memory_subscribers=max(subscribers + subscribers // 16, 100_000))
    if recovery_target_s is not None:
        state = state.model_copy(update={"recovery_target_s": recovery_target_s})
    return Config(
        data=DataConfig(directory=folder / "data", partitions=partitions, threads=threads),
        book=BookConfig(folder=book),
        state=state,
        sources=SourcesConfig.model_validate(
            {
                "files": (FilesConfig(name="feed", directory=folder / "inbox", mapping=mapping or LineMapping()),),
                "tcp": (TcpConfig(name="lines", port=0),),
            }
        ),
    )


def write_book(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the files of a book."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


@dataclass
class Engine:
    """A running core and pipeline."""

    config: Config
    core: Core
    book: Book
    doors: Decoders
    pipeline: Pipeline

    def take_files(self, folder: Path) -> float:
        """Decide all files of a folder; return the seconds until the last decision was durable."""
        began = time.perf_counter()
        (given,) = self.config.sources.files
        source = FilesSource(given.model_copy(update={"directory": folder}), {}, drain=True)
        self.pipeline.add_source(source)
        self.wait()
        source.close()
        return time.perf_counter() - began

    def wait(self) -> None:
        """Wait until all that was taken in is durable; raises what stopped the pipeline."""
        while not self.pipeline.idle:
            if self.pipeline.failure is not None:
                raise self.pipeline.failure
            time.sleep(POLL_S)

    def write_pages(self) -> None:
        """Write every page that changed, and wait for it."""
        self._between_frames(lambda one: one.flusher.finish(one.log.next_position - 1))
        while any(partition.flusher.queued_bytes for partition in self.core.partitions):
            time.sleep(POLL_S)

    def begin_sweeps(self) -> None:
        """Begin a sweep in every partition now and not when the next one is due."""
        self._between_frames(lambda one: one.flusher.step(one.log.next_position - 1, 1))

    def _between_frames(self, call: Callable[[Partition], object]) -> None:
        """Call something on every partition, where its worker does between two frames."""
        for number in range(len(self.core.partitions)):
            subscriber = next(i for i in itertools.count(1) if partition_of(i, len(self.core.partitions)) == number)
            self.pipeline.ask(subscriber, call).result()

    @property
    def events(self) -> int:
        """Events folded in all partitions."""
        return sum(partition.counts.events for partition in self.core.partitions)

    @property
    def sweeps(self) -> int:
        """Page sweeps completed in all partitions."""
        return sum(partition.flusher.sweeps for partition in self.core.partitions)

    @property
    def sweep_events(self) -> int:
        """Events between the begins of two sweeps, of all partitions together."""
        return sum(partition.flusher.sweep_events for partition in self.core.partitions)


@contextmanager
def stopped(config: Config) -> Iterator[Engine]:
    """Open and recover, start no thread; close at the end."""
    share()
    warm_up(None)
    with Loader() as loader:
        core = open_core(config, compile_=loader.compile)
        try:
            book = core.first_book()
            doors = Decoders([Source(source.name, source.mapping) for source in config.sources.every], book.schema)
            pipeline = Pipeline(
                core.partitions,
                doors.decode,
                core,
                threads=min(config.data.threads, config.data.partitions),
                queue_bytes_max=config.limits.intake_bytes_max,
            )
            yield Engine(config, core, book, doors, pipeline)
        finally:
            core.close()


@contextmanager
def running(config: Config) -> Iterator[Engine]:
    """Open, recover, start; stop and close at the end."""
    with stopped(config) as engine:
        for partition in engine.core.partitions:
            partition.flusher.start()
        engine.pipeline.start()
        settle()
        try:
            yield engine
        finally:
            engine.pipeline.stop()
