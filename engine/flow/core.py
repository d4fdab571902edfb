"""The durable core of the embedded engine: partitions over one data directory, their books, texts and dead letters.

`open_core` takes the lock, recovers every partition, and activates the configured book if it is another than the one in
the log. It knows nothing of HTTP, gateways or asyncio, so a test, a benchmark or the simulation can run it bare.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import orjson

from connectors.sources.contract import Chunk, Decoded, earlier
from connectors.sources.dead_letter import DeadLetter
from engine.book.compiled import Compile, CompiledBook, compile_texts
from engine.book.loader import LoaderError
from engine.book.shelf import BookShelf
from engine.flow.committer import commit
from engine.flow.datadir import DataDir, Fixed
from engine.flow.dead_letters import DeadLetters
from engine.flow.fold import Appended, FoldLimits, FoldParts, limits_of
from engine.flow.partition import Item, Partition
from engine.flow.patience import Patience
from engine.flow.tickets import Ticket
from engine.metrics import Metrics
from engine.settings.config import Config
from rules.diagnostics import BookErrors
from rules.features import renewed
from rules.load import read_folder, version_of
from rules.model import Book
from state.disk import DamagedError, Disk, RealDisk
from state.frame import FrameKind
from state.journal import Journal
from state.log import Log
from state.store import RocksStore, Store
from state.strings import Strings

RETAIN_EVERY_S = 30.0
HOUR_MS = 3_600_000

log = logging.getLogger("opportune.core")

Listener = Callable[[Partition, Sequence[Appended]], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The bounds of an engine's state and the lengths of its files; `sizes_of` reads them from the settings."""

    fold: FoldLimits
    log_segment_bytes: int
    journal_segment_bytes: int


def sizes_of(config: Config) -> Sizes:
    """Return the sizes that the settings ask for."""
    return Sizes(limits_of(config), config.log.segment_bytes, config.log.segment_bytes)


@dataclass(slots=True)
class Recovery:
    """What a start had to do."""

    seconds: float = 0.0
    subscribers: int = 0
    refolded: int = 0


def open_core(
    config: Config, store: Store | None = None, disk: Disk | None = None, compile_: Compile = compile_texts
) -> "Core":
    """Open the data directory of `config`, take its lock, recover; `first_book` comes next.

    `compile_` makes books of their texts.

    Raises:
        LockedError: another process holds the directory.
        DataDirError: it was made with other fixed settings.
    """
    disk = disk or RealDisk()
    if "strings_max" in config.state.model_fields_set:
        log.warning("state.strings_max is not used any more: texts of any number are kept with what has them")
    datadir = DataDir(config.data.directory, disk)
    datadir.hold()
    try:
        datadir.fix(Fixed(config.data.partitions, config.state.contacts_max))
        core = Core(config, datadir, store or RocksStore(datadir.pages), disk, compile_)
        core.recover()
    except BaseException:
        datadir.release()
        raise
    return core


def activation(payload: bytes) -> Item:
    """Return the item that switches a partition to the book named in `payload`."""
    ticket = Ticket()
    ticket.expect(1)
    return Item(ticket, kind=FrameKind.ACTIVATION, payload=payload)


def _check_lengths(partition: Partition) -> None:
    """Raise DamagedError when log or journal lost what was durable: pages hide it from redo, so it would be missing."""
    frames, entries = partition.flusher.lengths
    for name, had, has in (
        ("log", frames, partition.log.next_position),
        ("journal", entries, partition.journal.next_position),
    ):
        if has < had:
            raise DamagedError(
                f"{name} of partition={partition.number}: records={has} must be >= {had}, which were durable: "
                f"record {has} does not read back as it was written. A copy of the data directory must take its place"
            )


class Core:
    """Everything durable of one engine; see the module. `sizes` are the settings' where none are given."""

    def __init__(
        self,
        config: Config,
        datadir: DataDir,
        store: Store,
        disk: Disk,
        compile_: Compile,
        sizes: Sizes | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.config = config
        self.sizes = sizes or sizes_of(config)
        self.datadir = datadir
        self.store = store
        self.disk = disk
        self.metrics = Metrics(config.metrics.rules_max)
        self.shelf = BookShelf(datadir.books, disk, compile_)
        self.strings = Strings(disk, datadir.strings / "texts")
        self.patience = patience or Patience()
        self.partitions = [self._partition(number) for number in range(config.data.partitions)]
        self.recovery = Recovery()
        self.book_fault = ""
        self.renewed: tuple[str, ...] = ()
        """Features whose history started anew with the book that this process activated last."""
        self.listeners: list[Listener] = []
        self.dispatched_entry: Callable[[Partition], int] = lambda partition: partition.journal.next_position
        """Returns the journal entry that dispatch still needs; set by the runtime that dispatches."""
        self.first_s = 0.0
        """When the first chunk was decoded, as of `time.monotonic`; 0 before."""
        self._retained_s = 0.0
        self.dead_letters: DeadLetters

    def _partition(self, number: int) -> Partition:
        sizes, datadir = self.sizes, self.datadir
        return Partition(
            FoldParts(number, sizes.fold, self.store, self.shelf.get, self.patience.retry),
            Log(datadir.log(number), self.disk, segment_bytes=sizes.log_segment_bytes),
            Journal(datadir.journal(number), self.disk, segment_bytes=sizes.journal_segment_bytes),
            self.patience,
        )

    def recover(self) -> None:
        """Bring every partition to the end of its log, as many at a time as there are threads."""
        began = time.monotonic()
        with ThreadPoolExecutor(self.config.data.threads, thread_name_prefix="recover") as pool:
            self.recovery.refolded = sum(pool.map(self._recover_one, self.partitions))
        self.recovery.seconds = time.monotonic() - began
        self.recovery.subscribers = sum(partition.table.count for partition in self.partitions)
        self.dead_letters = DeadLetters(
            self.datadir.dead,
            self.disk,
            self.config.limits.dead_letters_bytes_max,
            self.resume_positions(),
            self.patience,
        )

    def resume_positions(self) -> dict[str, int]:
        """Return, for every key, the position that all partitions have reached: sources go on from there."""
        keys = dict.fromkeys(key for partition in self.partitions for key in partition.sources)
        return {key: reduce(earlier, (partition.sources.get(key, 0) for partition in self.partitions)) for key in keys}

    def _recover_one(self, partition: Partition) -> int:
        redone: list[Appended] = []

        def redo(appended: Appended) -> None:
            redone.append(appended)
            if len(redone) >= 64:
                commit(partition, redone)
                redone.clear()

        _check_lengths(partition)
        partition.journal.forget_after(partition.log.next_position - 1)
        folded = partition.recover(redo)
        if redone:
            commit(partition, redone)
        return folded

    def first_book(self, check: Callable[[Book], None] = lambda _: None) -> Book:
        """Load the configured book as the successor of the active one; write its activation where it is new.

        Called after `recover` and before the pipeline starts. `check` may refuse a book before the log has it.
        Where the folder cannot be read or used, an active book keeps serving and `book_fault` says why; without one,
        the fault is raised.
        """
        active = self.active
        try:
            sources = read_folder(self.config.book.folder)
            if active is not None and active.book.version == version_of(sources):
                compiled = active
            else:
                compiled = self.shelf.compile(sources, active.book if active is not None else None)
        except (BookErrors, LoaderError, OSError) as fault:
            if active is None:
                raise
            self.book_fault = str(fault)
            log.error("the book is not used, the one in the log keeps serving:\n%s", fault)
            compiled = active
        check(compiled.book)
        self.activate(compiled, int(time.time() * 1000))
        return compiled.book

    def activate(self, compiled: CompiledBook, now_ms: int) -> None:
        """Write the activation of a book in every partition where another one is active.

        A crash may have come when some partitions had it and others not yet, so each is asked.
        """
        others = [partition for partition in self.partitions if partition.book_version != compiled.book.version]
        if others:
            payload = self.put_book(compiled)
            for partition in others:
                appended = list(partition.process([activation(payload)], now_ms))
                commit(partition, appended)

    @property
    def active(self) -> CompiledBook | None:
        """The book in force in the first partition, the others switch in the same breath; None before the first one."""
        return self.partitions[0].decider.compiled

    def active_book(self) -> Book | None:
        """Return the book in force, None before the first one."""
        return self.active.book if self.active is not None else None

    def put_book(self, compiled: CompiledBook) -> bytes:
        """Keep a book and return the payload of its activation frame."""
        if self.active is not None and self.active.book.version != compiled.book.version:
            self.renewed = renewed(self.active.book, compiled.book)
            for name in self.renewed:
                log.warning("the history of feature %s starts anew: what it keeps means something else now", name)
        self.shelf.put(compiled)
        return orjson.dumps({"version": compiled.book.version})

    # ---- observing the pipeline (`engine.flow.observer.Observer`)

    def decoded(self, chunk: Chunk, decoded: Decoded) -> None:
        """Count."""
        self.first_s = self.first_s or time.monotonic()
        self.metrics.events.labels(chunk.source).inc(decoded.batch.n)
        if decoded.slow:
            self.metrics.slow.labels(chunk.source).inc(decoded.slow)

    def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Keep dead letters durably; count them by code."""
        self.dead_letters.write(letters)
        for (source, code), count in Counter((letter.source, letter.code) for letter in letters).items():
            self.metrics.dead.labels(source, code).inc(count)

    def committed(self, partition: Partition, appended: Sequence[Appended], now_ns: int) -> None:
        """Measure, count and pass on what is durable."""
        for frame in appended:
            for ticket in frame.tickets:
                if ticket.received_ns and frame.rows:
                    self.metrics.to_decision.observe((now_ns - ticket.received_ns) / 1e9, frame.rows)
            self.metrics.folded.inc(frame.rows)
            if frame.decisions is not None:
                self.metrics.count_decisions(self.shelf.get(frame.decisions.book).book, frame.decisions)
        for listener in self.listeners:
            listener(partition, appended)
        self._retain()

    def _retain(self) -> None:
        """Let go of old log and journal segments, now and then."""
        now = time.monotonic()
        if now - self._retained_s < RETAIN_EVERY_S:
            return
        self._retained_s = now
        limits = self.config.log
        for partition in self.partitions:
            partition.log.retain(
                partition.flusher.redo_from,
                keep_ms=partition.ids_needed_ms(),
                bytes_max=limits.log_bytes_max or None,
                older_than_ms=partition.clock_ms - limits.log_hours_max * HOUR_MS if limits.log_hours_max else None,
            )
            partition.journal.retain(
                self.dispatched_entry(partition),
                bytes_max=limits.journal_bytes_max or None,
                older_than_ms=partition.clock_ms - limits.journal_hours_max * HOUR_MS
                if limits.journal_hours_max
                else None,
            )

    def finish(self) -> None:
        """Put the whole state into the store, after the pipeline has ended well: the next start has nothing to redo."""
        for partition in self.partitions:
            last = partition.log.next_position - 1
            if last >= 0:
                partition.flusher.finish(last)
                partition.flusher.durable(last, partition.journal.next_position)
        for partition in self.partitions:
            partition.flusher.close(drain=True)

    def close(self) -> None:
        """Close files and store; what is durable stays so."""
        for partition in self.partitions:
            partition.flusher.close()
            partition.log.close()
            partition.journal.close()
        self.dead_letters.close()
        self.strings.close()
        self.store.close()
        self.datadir.release()
