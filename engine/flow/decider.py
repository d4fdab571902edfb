"""The decider: the deterministic fold of one partition, columns in, decision records out.

The steps of `fold`, for the rows of one frame:

1. attributes and features: each kind's kernel over the rows that update or read it, in log order; the texts that they
   may show later are kept with the columns (`state.held_texts`);
2. named values that rules read, each once a row;
   conditions: every rule of the active book over the rows of its event type, in one call;
3. facts: what each candidate's rule read, with its texts;
4. gates: candidates and outcomes in log order, contacts reserved; what waits for a subscriber that changes is judged
   again.

A row that ends an owner of its number cuts the frame: see `engine.flow.owners`.

It sees no clock, no random source, no network: its inputs are the frame, its position and append time, and the state.
`activate` switches the book at an exact position: a feature whose meaning the old book had keeps its columns, a new
one starts empty, a dropped one is freed; contacts are kept by stable ids. A feature that is to learn first is unknown
until the log's clock says that its columns were kept long enough.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.book.compiled import CompiledBook, FeaturePlan, Types, holds_text
from engine.flow.asked_before import AskedBefore
from engine.flow.deadlines import Deadlines
from engine.flow.facts import facts_of, texts_of_facts
from engine.flow.frame_records import Head, decided, withdrawn
from engine.flow.histories import Histories
from engine.flow.keeping import World, candidates
from engine.flow.list_ends import ListEnds
from engine.flow.owners import ListsHeld, Owned, fold_in_pieces, owners_in
from rules.expressions.run import Workspace
from rules.gates.kernel import Joined, Verdicts, Withdrawals, decide, withdrawals
from rules.gates.pause import paused_arrays
from rules.gates.scene import Paused, Rows
from rules.model import Feature
from state.batch import Batch
from state.columns import Key, Table
from state.contacts import Contacts
from state.decisions import DecisionBatch, merged
from state.features import ColumnSpec, columns_of, fold, words
from state.features.folding import NO_TIMER, WORDS, fold_features, list_rows, new_view
from state.features.kinds.list_words import LIST_KINDS
from state.schema import ANSWER, LIST, LIST_MEMBER, OUTCOME, PROFILE, VISIT, Schema, make_schema
from state.texts import NO_TEXTS, Lookup, Texts, texts_of

VISIT_KEY: Key = ("visit", 1)
"""The columns that say since when a subscriber stands at a desk, and in which visit."""
VISIT_BEGIN_KEY: Key = ("visit begin", 1)
"""The column that says when that visit began by its own event; the first release had none."""

STATE_TYPES: Types = frozenset({PROFILE, LIST, OUTCOME, VISIT, ANSWER})
"""Event types that the gates fold into contacts and visits, or that have what waits judged again."""

AGAIN = np.zeros(256, np.bool_)
AGAIN[[PROFILE, LIST, ANSWER]] = True
"""Those of them that have what waits judged again."""

Snapshot = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """Cells of a subscriber's known attributes, by name, and the texts of those that are texts."""

    cells: Mapping[str, int]
    texts: Lookup


NO_ATTRIBUTES = Attributes(MappingProxyType({}), NO_TEXTS)


class Decider:
    """The fold of one partition; owned by the partition, used by one thread at a time.

    Args:
        table: the partition's subscribers.
        contacts: their contacts, by the same slots.
        rows_max: rows of the largest batch that `fold` is given.
        deadlines: of the table.
    """

    def __init__(self, table: Table, contacts: Contacts, rows_max: int, deadlines: Deadlines | None = None) -> None:
        self.table = table
        self.deadlines = deadlines or Deadlines(table)
        self.contacts = contacts
        self.compiled: CompiledBook | None = None
        self.schema: Schema = make_schema((), ())
        self.paused: set[tuple[str, str]] = set()
        self.killed: set[tuple[str, str]] = set()
        self.histories = Histories()
        self._list_ends = ListEnds(table, rows_max)
        self._rows_max = rows_max
        self._updates = np.zeros(rows_max, np.uint8)
        self._outs = np.zeros((0, rows_max), np.int64)
        self._known = np.zeros((0, rows_max), np.uint8)
        self._view = new_view()
        self._paused = Paused(np.zeros(0, np.uint8), np.zeros(0, np.uint8))
        columns = table.ensure(VISIT_KEY, [ColumnSpec("int64", 1), ColumnSpec("int64", 1)])
        self._visit_ms, self._visit = (column.reshape(-1) for column in columns)
        self._visit_at_ms = table.ensure(VISIT_BEGIN_KEY, [ColumnSpec("int64", 1)])[0].reshape(-1)

    def snapshot(self) -> Snapshot:
        """Return the active book, the births of its columns and the pauses, as plain data."""
        return {
            "book": self.compiled.book.version if self.compiled else None,
            **self.histories.snapshot(),
            "paused": sorted(self.paused),
            "killed": sorted(self.killed),
            "list_ends": sorted(self._list_ends.words),
        }

    def restore(self, snapshot: Snapshot, books: Callable[[str], CompiledBook]) -> None:
        """Restore what `snapshot` returned, before the log is folded again from there."""
        self.paused = {(kind, name) for kind, name in snapshot["paused"]}
        self.killed = {(kind, name) for kind, name in snapshot.get("killed", ())}  # earlier releases wrote none
        self._list_ends.words = set(snapshot.get("list_ends", ()))  # earlier releases had none
        if snapshot["book"] is not None:
            compiled = books(snapshot["book"])
            self.histories.restore(snapshot, compiled.book)
            self._adopt(compiled)

    def activate(self, compiled: CompiledBook, position: int, *, redo: bool = False) -> None:
        """Make a book the active one from `position` on.

        A column's key holds the position at which it was born, so one that is dropped and comes back later is another
        column. In redo the columns of later books may stand in the table already, and are dropped only when it ends.
        """
        self.histories.follow(self.compiled.book if self.compiled is not None else None, compiled.book, position)
        self._adopt(compiled)
        if not redo:
            self.drop_unused()

    def control(self, record: dict[str, str]) -> None:
        """Pause, resume or kill a rule, a campaign or a channel; what is killed is paused too."""
        name = (record["kind"], record["name"])
        (self.paused.discard if record["action"] == "resume" else self.paused.add)(name)
        (self.killed.add if record["action"] == "kill" else self.killed.discard)(name)
        if self.compiled is not None:
            self._paused = paused_arrays(self.compiled.book, self.paused)

    def values(self, slot: int, clock_ms: int) -> dict[str, int]:
        """Return the cells of one subscriber's known features at `clock_ms`, by name; changes nothing."""
        return self._values(slot, clock_ms, lambda _: True)

    def texts_of(self, cells: Mapping[str, int]) -> Texts:
        """Return the texts of those values of a subscriber that are texts."""
        texts = ((cell, self.table.texts.text(cell)) for cell in cells.values())
        return texts_of((cell, text) for cell, text in texts if text is not None)

    def attributes(self, slot: int, clock_ms: int) -> Attributes:
        """Return one subscriber's known attributes at `clock_ms`; changes nothing."""
        cells = self._values(slot, clock_ms, lambda feature: feature.attribute)
        return Attributes(cells, self.texts_of(cells))

    def _values(self, slot: int, clock_ms: int, wanted: Callable[[Feature], bool]) -> dict[str, int]:
        return _values(self.compiled, self._all_arrays(), slot, clock_ms, wanted) if self.compiled is not None else {}

    def list_ends(self, slot: int, clock_ms: int) -> dict[str, int]:
        """Return when those memberships of one subscriber end that do, by the names of the lists."""
        return self._list_ends.of_slot(self.compiled, slot, clock_ms) if self.compiled is not None else {}

    def visit_ms(self, slot: int) -> int:
        """Return since when a subscriber stands at a desk, 0 for not, by the log's clock."""
        return int(self._visit_ms[slot])

    def fold(
        self, position: int, append_ms: int, batch: Batch, number: NDArray[np.int32], slots: NDArray[np.int32]
    ) -> DecisionBatch | None:
        """Fold rows into the state; return the records of their candidates, None when there are none.

        `number` int32[n] is each row's index in its frame, `slots` int32[n] its subscriber's slot.
        """
        compiled = self.compiled
        if compiled is None:
            return None
        head = (position, append_ms, compiled.book.version)
        owners = owners_in(batch)
        if owners.shape[0] == 0:
            return self._fold_piece(head, batch, number, slots)
        owned = Owned(self.table, self.contacts, compiled.book, self._lists)
        return fold_in_pieces(owned, head, batch, owners, number, slots, self._fold_piece)

    def _lists(self) -> list[ListsHeld]:
        assert self.compiled is not None
        arrays = self._all_arrays()
        return [ListsHeld(self.compiled.plans[index].spec, arrays[index]) for index in self.compiled.lists]

    def _fold_piece(
        self, head: Head, batch: Batch, number: NDArray[np.int32], slots: NDArray[np.int32]
    ) -> DecisionBatch | None:
        """Fold rows of one frame, as `fold`; no owner of a number ends in them."""
        compiled = self.compiled
        assert compiled is not None
        position, append_ms, _ = head
        self._reserve(batch.n)
        for code, slot in compiled.shown:
            self.table.texts.keep(batch.texts, batch.type, batch.present, batch.cells[slot], code, slot)
        self._fold_features(compiled, batch, slots, append_ms)
        self.histories.hide_learning(append_ms, self._outs[:, : batch.n], self._known[:, : batch.n])
        self.deadlines.folded(batch, self._known)
        rows = self.seen(batch, number, slots)
        world = World(compiled, self._paused, self.contacts.arrays, append_ms, self._named)
        row, rule, joined = candidates(world, batch, rows, self._rules, self._features)
        state_rows = self._rows[0, : self._counts[0]]
        if row.shape[0] == 0 and state_rows.shape[0] == 0:
            return None
        facts = facts_of(compiled, batch, append_ms, (self._outs, self._known), row, rule)
        verdicts, ended = self.judge(world, position, rows, state_rows, (row, rule, joined))
        found = decided(head, batch, number, compiled.gates, (row, rule), verdicts, facts)
        found.texts = texts_of_facts(compiled, batch, self._outs, self.table.texts, (row, rule), facts)
        if ended.found[0] > 0:
            found = merged(withdrawn(head, batch, number, ended), found)
        return found if found.n else None

    def seen(self, batch: Batch, number: NDArray[np.int32], slots: NDArray[np.int32]) -> Rows:
        """Return what gates may look at of a batch whose features are folded."""
        return Rows(
            number, slots, batch.type, batch.subscriber, batch.at_ms, batch.log_ms, batch.present, batch.cells,
            self._outs, self._known, self._visit_ms, self._visit, self._visit_at_ms,
        )  # fmt: skip

    def _adopt(self, compiled: CompiledBook) -> None:
        book = compiled.book
        self.compiled = compiled
        self.schema = book.schema
        self._arrays = [
            self.table.ensure(self.histories.key_of(feature), columns_of(plan.spec))
            for feature, plan in zip(book.features, compiled.plans, strict=True)
        ]
        self.table.text_keys = frozenset(self.histories.key_of(one) for one in book.features if holds_text(one))
        if compiled.keeps is not None:
            self._list_ends.needed(compiled, compiled.kept_lists)
        self._paused = paused_arrays(book, self.paused)
        height = len(book.features) + len(book.values) + sum(plan.read >= 0 for plan in compiled.plans)
        if self._outs.shape[0] < height or self._outs.shape[1] < self._rows_max:
            self._outs = np.zeros((height, self._rows_max), np.int64)
            self._known = np.zeros((height, self._rows_max), np.uint8)
        self._rules = Workspace(compiled.rules, self._rows_max, self.table.texts)
        self._asked = AskedBefore(compiled, self._rows_max, self.table.texts)
        self._named = [Workspace(program, self._rows_max, self.table.texts) for program in compiled.values]
        sets = list(dict.fromkeys((STATE_TYPES, *(plan.types for plan in compiled.plans))))
        self._wanted = _wanted(sets)
        self._rows = np.zeros((len(sets), self._rows_max + 1), np.int32)
        self._counts = np.zeros(len(sets), np.int64)
        self._types = [sets.index(plan.types) for plan in compiled.plans]
        self._plain = next((i for i, plan in enumerate(compiled.plans) if plan.asks), len(compiled.plans))
        self._describe(compiled)

    def _describe(self, compiled: CompiledBook) -> None:
        """Write the words of each feature for the fold; anew when a column has moved."""
        self._ends = self._list_ends.columns(compiled)
        hints = self.deadlines.follow(compiled, self._arrays, self.histories.key_of)
        rows = zip(compiled.plans, self._all_arrays(), self._types, hints, strict=True)
        described = [[*words(plan.spec, arrays, at), *_read_by(plan, types)] for plan, arrays, types, at in rows]
        self._features = np.array(described, np.int64).reshape(len(described), WORDS)
        self._moves = self.table.moves

    def _all_arrays(self) -> list[list[NDArray[Any]]]:
        """Return the columns of each feature, and of lists when memberships end, where one does."""
        return [[*arrays, *self._ends.get(index, ())] for index, arrays in enumerate(self._arrays)]

    def _reserve(self, rows: int) -> None:
        """Make room for a batch larger than any before."""
        if rows > self._rows_max:
            self._rows_max = rows
            self._updates = np.zeros(rows, np.uint8)
            self._outs = np.zeros((0, rows), np.int64)
            if self.compiled is not None:
                self._adopt(self.compiled)

    def drop_unused(self) -> None:
        """Free the columns that only earlier books used."""
        used = {VISIT_KEY, VISIT_BEGIN_KEY, *self._list_ends.keys(), *self.histories.born.items()}
        self.table.drop_others(used)

    def _fold_features(self, compiled: CompiledBook, batch: Batch, slots: NDArray[np.int32], append_ms: int) -> None:
        """Fold features in order; a `where` reads attributes, which come first, so all are run before the first."""
        if self.table.moves != self._moves:
            self._describe(compiled)
        list_rows(batch.type, self._wanted, self._rows, self._counts)
        ends, timed = self._list_ends.of_rows(batch, self._rows[0], int(self._counts[0]))
        if timed and self._list_ends.needed(compiled, timed):
            self._describe(compiled)
        count = len(compiled.plans)
        self._fold_some(0, self._plain, batch, slots, ends)
        if self._plain < count:
            self._asked.run(batch, append_ms, self._outs, self._known)
            self._fold_some(self._plain, count, batch, slots, ends)

    def _fold_some(
        self, first: int, last: int, batch: Batch, slots: NDArray[np.int32], ends: NDArray[np.int64]
    ) -> None:
        assert self.compiled is not None
        fold_features(
            self._features, first, last, self.compiled.book.transitions, self._view,
            slots, batch.type, batch.present, batch.at_ms, batch.log_ms, batch.cells, ends,
            self._rows, self._counts, self._asked.masks, self._updates, self._outs, self._known,
        )  # fmt: skip

    def judge(
        self,
        world: World,
        position: int,
        rows: Rows,
        state_rows: NDArray[np.int32],
        found: tuple[NDArray[np.int32], NDArray[np.int32], Joined],
    ) -> tuple[Verdicts, Withdrawals]:
        """Run the gates over candidates (`found`, as of `candidates`) and what changes subscribers, in log order."""
        row, rule, joined = found
        m = row.shape[0]
        again = state_rows[AGAIN[rows.type[state_rows]]]
        if joined.shape[0]:
            again = np.concatenate([again, joined[:, 0].astype(np.int32)])
        ended = withdrawals(_waiting(self.contacts, rows.slot[again]) + m)
        verdicts = Verdicts(np.zeros(m, np.uint8), np.zeros(m, np.int32), np.zeros(m, np.int32))
        decide(
            world.compiled.gates, world.paused, world.contacts, world.compiled.book.transitions, position,
            world.append_ms, rows, state_rows, row, rule, joined, verdicts, ended,
        )  # fmt: skip
        return verdicts, ended


def _waiting(contacts: Contacts, slots: NDArray[np.int32]) -> int:
    """Return how many contacts that are judged again there can be, at the most; without those of this batch."""
    arrays = contacts.arrays
    return int(arrays.size[arrays.block[slots]].sum(dtype=np.int64))


def _values(
    compiled: CompiledBook,
    arrays: Sequence[list[NDArray[Any]]],
    slot: int,
    clock_ms: int,
    wanted: Callable[[Feature], bool],
) -> dict[str, int]:
    """Fold one row that updates nothing into a copy, and return what each wanted feature reads for it."""
    found: dict[str, int] = {}
    slots, clocks = np.zeros(1, np.int32), np.array([clock_ms])
    updates, zeros = np.zeros(1, np.uint8), np.zeros(1, np.int64)
    out, known = np.zeros(1, np.int64), np.zeros(1, np.uint8)
    for feature, plan, columns in zip(compiled.book.features, compiled.plans, arrays, strict=True):
        if not wanted(feature):
            continue
        copy = [column[slot : slot + 1].copy() for column in columns]
        fold(plan.spec, copy, slots, np.zeros(1, np.int32), updates, clocks, zeros, out, known)
        if known[0]:
            found[feature.name] = int(out[0])
    return found


def _wanted(sets: Sequence[Types]) -> NDArray[np.uint8]:
    """Return uint8[sets, 256]: whether an event type is in each of the sets."""
    wanted = np.zeros((len(sets), 256), np.uint8)
    for row, types in zip(wanted, sets, strict=True):
        row[list(types)] = 1
    return wanted


def _read_by(plan: FeaturePlan, types: int) -> tuple[int, ...]:
    """Return the words after a loop's own: see `state.features.folding`."""
    member = LIST_MEMBER if plan.spec.kind in LIST_KINDS else -1
    steps = (plan.steps.__array_interface__["data"][0], plan.steps.shape[0])  # the plan keeps the array alive
    source_type = plan.source_type if steps[1] == 0 else -1
    read = source_type, plan.source_slot, plan.where, types, member
    timer = plan.timer
    # The plan keeps the array alive, and the compiled book the plan.
    more = plan.sightings.__array_interface__["data"][0] if plan.sightings is not None else 0, plan.read
    if timer is None:
        return *read, *NO_TIMER, *steps, *more
    return *read, timer.unless_type, timer.unless_slot, timer.where, timer.due_type, timer.due_slot, *steps, *more
