"""The commit thread: it makes folded frames and their decisions durable and completes their tickets.

Partitions are synced side by side, so a slow disk bounds the flow by one sync and not by the sum of them.

`next_task` never waits, and a task is done step by step (`engine.flow.tasks`); only `run` waits, for its thread.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import partial

from engine.flow.fold import Appended
from engine.flow.observer import Observer
from engine.flow.partition import Partition
from engine.flow.queues import IDLE_WAIT_S, Queues
from engine.flow.tasks import Task, finish

log = logging.getLogger("opportune.pipeline")


class Committer:
    """Commits what the workers have folded; `run` is the loop of its thread.

    Args:
        partitions: of the pipeline.
        queues: where folded frames wait.
        observer: gets what is durable.
        pulls: whether some source is asked for chunks, and may wait for room.
        wall_ns: wall clock, epoch nanoseconds.
        syncing: does the tasks of the partitions beside the first; shut down by `close`.
        moved: called when all that was taken is durable.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        queues: Queues,
        observer: Observer,
        pulls: Callable[[], bool],
        wall_ns: Callable[[], int],
        syncing: Executor,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._partitions = partitions
        self._queues = queues
        self._observer = observer
        self._pulls = pulls
        self._wall_ns = wall_ns
        self._moved = moved
        self._syncing = syncing

    def run(self) -> None:
        """Commit until nothing more will come: the loop of the commit thread."""
        while (task := self._wait_for_task()) is not None:
            finish(task)

    def next_task(self) -> Task | None:
        """Take what is folded and return the task of committing it, to be done before the next; None: there is none."""
        taken = self._queues.take_uncommitted()
        if taken is None:
            return None
        return self._commit([one for one in zip(self._partitions, taken, strict=True) if one[1]])

    def _wait_for_task(self) -> Task | None:
        """Wait for folded frames; None when no more will come."""
        queues = self._queues
        with queues.folded:
            while (task := self.next_task()) is None and not queues.all_folded:
                queues.folded.wait(IDLE_WAIT_S)
            return task

    def close(self) -> None:
        """End the threads that sync."""
        self._syncing.shutdown()

    def _commit(self, taken: Sequence[tuple[Partition, list[Appended]]]) -> Task:
        """Make frames and decisions durable, all partitions side by side, and report them in the order given.

        The first fault ends the pipeline; those of other partitions are logged, whenever they come.
        """
        others = [self._syncing.submit(finish, commit_task(*one)) for one in taken[1:]]
        try:
            yield from commit_task(*taken[0])
            self._report(*taken[0])
            for one, done in zip(taken[1:], others, strict=True):
                yield
                done.result()
                self._report(*one)
        except BaseException as first:
            for (partition, _), done in zip(taken[1:], others, strict=True):
                done.add_done_callback(partial(_log_other, partition.number, first))
            raise
        with self._queues.changed:
            self._queues.committing = [False] * len(self._partitions)
        self._moved()

    def _report(self, partition: Partition, appended: Sequence[Appended]) -> None:
        """Report that frames are durable, and complete their tickets."""
        self._observer.committed(partition, appended, self._wall_ns())
        done = [ticket for frame in appended for ticket in frame.tickets if ticket.done()]
        if done:
            self._queues.settle(done, wake=self._pulls())


def commit(partition: Partition, appended: Sequence[Appended]) -> None:
    """Make frames and their decisions durable now."""
    finish(commit_task(partition, appended))


def commit_task(partition: Partition, appended: Sequence[Appended]) -> Task:
    """Sync the log, write and sync the journal, let the flusher write pages up to here; in this order.

    A journal entry must not speak of a frame that a crash can take away: so it is written after the log is durable.
    A page must not hold what redo could not bring again, nor hide decisions from it: so pages come last.
    """
    durable = partition.log.sync()
    yield
    journaled = False
    for frame in appended:
        if frame.decisions is not None:
            record = [frame.decisions.encode()]
            partition.patience.retry(partial(partition.journal.append, frame.position, record, frame.append_ms))
            journaled = True
    if journaled:
        yield
        partition.journal.sync()
        yield
    # The log may be durable beyond these frames, of which the journal does not have the decisions yet.
    partition.flusher.durable(min(durable, appended[-1].position), partition.journal.next_position)


def _log_other(number: int, first: BaseException, done: "Future[None]") -> None:
    """Log why a partition could not be committed, where that is not the fault that ended the pipeline."""
    fault = done.exception()
    if fault is not None and fault is not first:
        log.error("partition %d could not be committed either: %s", number, fault, exc_info=fault)
