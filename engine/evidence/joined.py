"""Decisions joined with what became of them, as blocks of columns in journal order.

1. The journal is read once: decisions, and candidates that were held out, go to buckets by subscriber.
2. The log is read once: what it says of decisions, visits and goals goes to buckets by subscriber.
3. Each bucket is joined, and its effects are written to their places in one file.
4. `Joined.blocks` reads the journal again, with each record's effect beside it.

Memory holds a block and a bucket, however many decisions there are; a temporary folder holds the rest, some 150 bytes a
decision and 60 a row that speaks of one.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.evidence.effects import EFFECT, MADE, effects_of
from engine.evidence.goals import Watch
from engine.evidence.meaning import Meanings
from engine.evidence.prefix import Prefix
from engine.evidence.said import SAID, said_in, withdrawn_in
from engine.evidence.spill import Rows, Spill, buckets_for
from engine.evidence.words import Words
from rules.gates import NUMBERS
from rules.gates.holdout import CONTROL_LEVEL
from rules.model import Book, Goal
from state.decisions import DecisionBatch, Outcome, RecordKind
from state.texts import Lookup

BLOCK_RECORDS = 1 << 16
_COLUMNS = (
    "kind", "row", "rule", "channel", "subscriber", "at_ms", "log_ms", "outcome", "gate", "arm", "probability",
    "detail", "of_position", "of_row",
)  # fmt: skip

BucketReader = Callable[[Rows, Rows, NDArray[np.int64]], None]
"""Called with the decisions of a bucket, what the log says of the same subscribers, and each partition's clock."""


@dataclass(slots=True)
class Block:
    """Records in journal order, and the effect of each.

    `batches` are (partition, frame's records) whose records stand one after the other; `columns` those of the records,
    and `partition`, `position`. `rule_number` and `channel_number` int32[n] are indices in `Meanings`. `effects`
    EFFECT[n] are zeros but for decisions and those held out.
    """

    batches: Sequence[tuple[int, DecisionBatch]]
    columns: dict[str, NDArray[Any]]
    rule_number: NDArray[np.int32]
    channel_number: NDArray[np.int32]
    effects: Rows

    @property
    def n(self) -> int:
        """Number of records."""
        return int(self.rule_number.shape[0])

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which records are those of candidates; the others are withdrawals."""
        found: NDArray[np.bool_] = self.columns["kind"] == RecordKind.DECISION
        return found

    @property
    def made(self) -> NDArray[np.bool_]:
        """Which records are decisions, or candidates that were held out."""
        found: NDArray[np.bool_] = self.judged & ((self.columns["outcome"] == Outcome.DECIDED) | self.held_out)
        return found

    @property
    def held_out(self) -> NDArray[np.bool_]:
        """Which records are of candidates that were held out."""
        found: NDArray[np.bool_] = self.judged & (self.columns["gate"] == NUMBERS["holdout"])
        return found

    @property
    def left_out(self) -> NDArray[np.bool_]:
        """Which of those that were held out were so for another reason than their arm."""
        found: NDArray[np.bool_] = self.held_out & (self.columns["detail"] != CONTROL_LEVEL)
        return found

    @property
    def rehearsed(self) -> NDArray[np.bool_]:
        """Which records are what rules in shadow would have decided."""
        found: NDArray[np.bool_] = self.judged & (self.columns["gate"] == NUMBERS["shadow"])
        return found


class Joined:
    """Everything that was decided, and what became of it; made by `joined`."""

    def __init__(self, prefix: Prefix, meanings: Meanings, words: Words, goals: Sequence[Goal]) -> None:
        self.prefix = prefix
        self.meanings = meanings
        self.words = words
        self.goals = goals
        self.effects: Rows = np.zeros(0, EFFECT)

    def blocks(self) -> Iterator[Block]:
        """Yield all records in journal order, partition by partition."""
        first = 0
        for block in gathered(self.prefix, self.meanings):
            made = np.flatnonzero(block.made)
            block.effects[made] = self.effects[first : first + made.shape[0]]
            first += made.shape[0]
            yield block


@contextmanager
def joined(
    prefix: Prefix,
    book_of: Callable[[str], Book],
    book: Book,
    texts: Lookup,
    *,
    folder: Path | None = None,
    each_bucket: Sequence[BucketReader] = (),
) -> Iterator[Joined]:
    """Join the journals and logs of a prefix.

    Args:
        prefix: what is read.
        book_of: finds a book by its version.
        book: whose goals contacts are judged by.
        texts: those of frames of format 1.
        folder: where the temporary folder is made; the system's place where it is None.
        each_bucket: see `BucketReader`; of one subscriber everything comes in one call, to each of them.
    """
    with TemporaryDirectory(prefix="opportune-", dir=folder) as name:
        watch, words = Watch(book), Words()
        result = Joined(prefix, Meanings(book_of, watch.goals), words, watch.goals)
        count = buckets_for(prefix.journal_bytes)
        made = Spill(Path(name), "made", MADE, count)
        said = Spill(Path(name), "said", SAID, count)
        try:
            _spill_journal(prefix, result.meanings, made, said)
            for _, _, frame in prefix.frames():
                assert frame.batch is not None, "`Prefix.frames` yields frames of events"
                said.add(said_in(frame.batch, texts, words))
                said.add(watch.hits(frame.batch, frame.append_ms))
            if made.rows:
                result.effects = _mapped(Path(name) / "effects", made.rows)
            _join(result, made, said, count, each_bucket)
            yield result
        finally:
            result.effects = np.zeros(0, EFFECT)
            made.close()
            said.close()


def _mapped(path: Path, rows: int) -> Rows:
    """Return EFFECT[rows] in a file that has its room from the start: a full disk is an OSError here, no signal."""
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, rows * EFFECT.itemsize)
    return np.memmap(path, EFFECT, "r+", shape=(rows,))


def gathered(prefix: Prefix, meanings: Meanings) -> Iterator[Block]:
    """Yield the records of a prefix in blocks, their effects all zero."""
    batches: list[tuple[int, DecisionBatch]] = []
    records = 0
    for partition, batch in prefix.batches():
        batches.append((partition, batch))
        records += batch.n
        if records >= BLOCK_RECORDS:
            yield _block(batches, meanings)
            batches, records = [], 0
    if batches:
        yield _block(batches, meanings)


def _block(batches: Sequence[tuple[int, DecisionBatch]], meanings: Meanings) -> Block:
    lengths = [batch.n for _, batch in batches]
    columns = {name: np.concatenate([getattr(batch, name) for _, batch in batches]) for name in _COLUMNS}
    columns["partition"] = np.repeat(np.array([partition for partition, _ in batches], np.int64), lengths)
    columns["position"] = np.repeat(np.array([batch.position for _, batch in batches], np.int64), lengths)
    book = np.repeat(np.array([meanings.book(batch.book) for _, batch in batches], np.int64), lengths)
    rule, channel = meanings.rules_of(book, columns["rule"]), meanings.channels_of(book, columns["channel"])
    return Block(batches, columns, rule, channel, np.zeros(rule.shape[0], EFFECT))


def _spill_journal(prefix: Prefix, meanings: Meanings, made: Spill, said: Spill) -> None:
    for block in gathered(prefix, meanings):
        chosen = np.flatnonzero(block.made)
        rows = np.zeros(chosen.shape[0], MADE)
        for name in ("subscriber", "position", "rule", "log_ms", "row", "partition"):
            rows[name] = block.columns[name][chosen]
        rows["ordinal"] = made.rows + np.arange(chosen.shape[0])
        goals = np.array([one.goal for one in meanings.rules], np.int16)
        rows["goal"] = goals[block.rule_number[chosen]]
        rows["held_out"] = block.held_out[chosen]
        rows["draw"] = np.array([one.draw for one in meanings.rules], np.int16)[block.rule_number[chosen]]
        arms = meanings.arms_of(block.rule_number[chosen], block.columns["arm"][chosen])
        rows["arm"] = np.where(block.left_out[chosen], 0, arms)
        made.add(rows)
        for partition, batch in block.batches:
            withdrawn = withdrawn_in(partition, batch)
            if withdrawn.shape[0]:
                said.add(withdrawn)


def _join(result: Joined, made: Spill, said: Spill, count: int, each_bucket: Sequence[BucketReader]) -> None:
    clock_ms = np.zeros(1 + max((one.partition for one in result.prefix.extents), default=0), np.int64)
    for partition, reached_ms in result.prefix.clock_ms.items():
        clock_ms[partition] = reached_ms
    within_ms = [goal.within_ms for goal in result.goals]
    for bucket in range(count):
        mine, theirs = made.read(bucket), said.read(bucket)
        if mine.shape[0]:
            result.effects[mine["ordinal"]] = effects_of(mine, theirs, within_ms, clock_ms)
        for reader in each_bucket:
            reader(mine, theirs, clock_ms)
