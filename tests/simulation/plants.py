"""Bugs on purpose: each is a context in which every engine has it. The judges must find every one of them.

A plant changes the code that the twin uses as well, where both share it: then only those judges can find it who know
decisions and outcomes from elsewhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import engine.flow.committer as committer_module
import tests.simulation.world as world_module
from engine.dispatch.commits import Commits
from engine.dispatch.model import Send
from engine.dispatch.settle import Settling
from engine.flow.committer import commit_task
from engine.flow.deadlines import Deadlines
from engine.flow.decider import Decider
from engine.flow.fold import Appended
from engine.flow.partition import Item, Partition
from engine.flow.queues import Queues
from engine.flow.tasks import Task
from state.batch import Batch, select
from state.contacts import EXPIRES_MS
from state.decisions import DecisionBatch, OutcomeState
from state.dedupe import Dedupe
from state.flusher import Flusher, Recovered
from state.journal import Journal
from state.schema import OUTCOME, OUTCOME_STATE
from tests.simulation.machine import Machine
from tests.state.called import remove_entry


@contextmanager
def _no_sync(folder: str) -> Iterator[None]:
    """Files below a folder are never synced, though the call returns."""

    def forgetful(path: Path) -> bool:
        return folder in path.parts

    class ForgetfulMachine(Machine):
        def __init__(self) -> None:
            super().__init__()
            self.forgetful = forgetful

    with patch.object(world_module, "Machine", ForgetfulMachine):
        yield


@contextmanager
def ignored_stamps() -> Iterator[None]:
    """Redo folds every event again, also into pages that have it."""
    recover = Flusher.recover

    def without_stamps(self: Flusher) -> Recovered:
        found = recover(self)
        return replace(found, slot_stamps=np.full_like(found.slot_stamps, -1))

    with patch.object(Flusher, "recover", without_stamps):
        yield


@contextmanager
def refunded_twice() -> Iterator[None]:
    """A refund frees the place of its contact, and then that of another one, as a counter would."""
    fold = Decider.fold

    def fold_and_refund(self: Decider, position: int, append_ms: int, batch: Any, number: Any, slots: Any) -> Any:
        records: DecisionBatch | None = fold(self, position, append_ms, batch, number, slots)
        refunds = (batch.type == OUTCOME) & (batch.cells[OUTCOME_STATE] == OutcomeState.REFUNDED)
        for slot in slots[refunds].tolist():
            block = int(self.contacts.arrays.block[slot])
            if self.contacts.arrays.size[block] > 0:
                remove_entry(self.contacts.arrays, block, 0)
        return records

    with patch.object(Decider, "fold", fold_and_refund):
        yield


@contextmanager
def counted_by_event_time() -> Iterator[None]:
    """Caps look at what the events say of themselves, as if the log had no clock."""
    fold = Decider.fold

    def by_event(self: Decider, position: int, append_ms: int, batch: Any, number: Any, slots: Any) -> Any:
        return fold(self, position, append_ms, replace(batch, log_ms=batch.at_ms), number, slots)

    with patch.object(Decider, "fold", by_event):
        yield


@contextmanager
def reservations_that_expire_at_once() -> Iterator[None]:
    """Whatever waits has expired."""
    fold = Decider.fold

    def expire(self: Decider, position: int, append_ms: int, batch: Any, number: Any, slots: Any) -> Any:
        records = fold(self, position, append_ms, batch, number, slots)
        self.contacts.arrays.entries[:, EXPIRES_MS] = 0
        return records

    with patch.object(Decider, "fold", expire):
        yield


@contextmanager
def repeated_lines() -> Iterator[None]:
    """After a crash a partition takes lines again that it has in its log."""

    def all_of(self: Partition, item: Item) -> Item:
        return item

    with patch.object(Partition, "_unseen", all_of):
        yield


@contextmanager
def forgotten_ids() -> Iterator[None]:
    """After a crash nobody knows which ids came before."""
    with patch.object(Partition, "_rebuild_dedupe", lambda self, ids_from, redo_from: None):
        yield


@contextmanager
def ids_replayed_too_late() -> Iterator[None]:
    """After a crash only the newest of the ids that are remembered are known."""

    def newest(self: Dedupe) -> int:
        return self._places[-1][0] + 1 if self._places else 0

    with patch.object(Dedupe, "replay_from", property(newest)):
        yield


@contextmanager
def resent_unknown() -> Iterator[None]:
    """An attempt that nobody can say anything about is tried again, commercial or not."""
    unknown = Settling.unknown

    def again(self: Settling, send: Any, code: str, now_ms: int) -> None:
        state = self.state
        allowed, state.policy = state.policy, replace(state.policy, resend_unknown_service=True)
        try:
            send.what = replace(send.what, klass="service")
            unknown(self, send, code, now_ms)
        finally:
            state.policy = allowed

    with patch.object(Settling, "unknown", again):
        yield


@contextmanager
def sent_before_durable() -> Iterator[None]:
    """A gateway sees a text before its attempt is committed: that comes with the next turn."""
    commit = Commits._commit_attempts

    async def later(self: Commits, attempts: Sequence[Send], now_ms: int) -> None:
        if not attempts:
            await commit(self, attempts, now_ms)
        for send in attempts:
            self._doors[send.gateway].hold(send.parts)

    with patch.object(Commits, "_commit_attempts", later):
        yield


@contextmanager
def journaled_first() -> Iterator[None]:
    """The commit thread makes decisions durable before the frames that they come from."""

    def swapped(partition: Partition, appended: Sequence[Appended]) -> Task:
        for frame in appended:
            if frame.decisions is not None:
                partition.journal.append(frame.position, [frame.decisions.encode()], frame.append_ms)
        partition.journal.sync()
        yield
        yield from commit_task(partition, [replace(frame, decisions=None) for frame in appended])

    with patch.object(committer_module, "commit_task", swapped):
        yield


@contextmanager
def fed_before_durable() -> Iterator[None]:
    """Dispatch takes decisions as soon as they stand in the journal, synced or not."""
    durable = property(lambda self: self.reached, lambda self, _: None)
    with patch.object(Journal, "durable", durable, create=True):
        yield


@contextmanager
def acknowledged_before_durable() -> Iterator[None]:
    """A source hears that its lines are safe as soon as they are folded."""
    put = Queues.put_uncommitted

    def put_and_acknowledge(self: Queues, number: int, appended: Appended) -> None:
        put(self, number, appended)
        for ticket in appended.tickets:
            if not ticket.future.done():
                ticket.future.set_result(None)

    with patch.object(Queues, "put_uncommitted", put_and_acknowledge):
        yield


@contextmanager
def pages_beyond_the_journal() -> Iterator[None]:
    """Pages may be written as far as the log is durable, though the journal lacks the last decisions."""

    def as_the_log(partition: Partition, appended: Sequence[Appended]) -> Task:
        task = commit_task(partition, appended)
        while next(task, True) is None:
            partition.flusher.durable(partition.log.durable, partition.journal.next_position)
            yield

    with patch.object(committer_module, "commit_task", as_the_log):
        yield


@contextmanager
def released_at_once() -> Iterator[None]:
    """Chunks go to the partitions as soon as they are decoded, in whatever order the workers were."""
    release = Queues.release

    def at_once(self: Queues, _sequence: int, *released: Any) -> None:
        release(self, self._released, *released)

    with patch.object(Queues, "release", at_once):
        yield


@contextmanager
def deadlines_one_alone() -> Iterator[None]:
    """Of deadlines that have come together one alone becomes a row."""
    take = Deadlines.take

    def first(self: Deadlines, until_ms: int, rows_max: int) -> Batch | None:
        batch = take(self, until_ms, rows_max)
        return select(batch, np.zeros(1, np.int32)) if batch is not None else None

    with patch.object(Deadlines, "take", first):
        yield


@contextmanager
def deadlines_too_early() -> Iterator[None]:
    """A deadline does not wait for events that come late."""
    made = Deadlines._made

    def at_once(self: Deadlines, spec: Any, column: Any) -> Any:
        self._lateness_ms = 0
        return made(self, spec, column)

    with patch.object(Deadlines, "_made", at_once):
        yield


PLANTS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "the journal is not synced": lambda: _no_sync("journal"),
    "page stamps are ignored on redo": ignored_stamps,
    "a refund frees two places": refunded_twice,
    "caps count by the events' own time": counted_by_event_time,
    "what waits does not count": reservations_that_expire_at_once,
    "the log is not synced": lambda: _no_sync("log"),
    "attempts are not synced": lambda: _no_sync("outbox"),
    "lines are taken again after a crash": repeated_lines,
    "ids are forgotten in a crash": forgotten_ids,
    "ids are replayed from too late": ids_replayed_too_late,
    "a text is sent before its attempt is durable": sent_before_durable,
    "decisions are durable before their frames": journaled_first,
    "a decision is sent before it is durable": fed_before_durable,
    "lines are acknowledged before they are durable": acknowledged_before_durable,
    "pages are written beyond the journal": pages_beyond_the_journal,
    "chunks overtake each other": released_at_once,
    "what nobody can say anything about is sent again": resent_unknown,
    "deadlines that come together are lost but for one": deadlines_one_alone,
    "a deadline does not wait for late events": deadlines_too_early,
}
"""Bugs by what they do."""
