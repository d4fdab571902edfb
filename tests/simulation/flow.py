"""The real pipeline without threads: the world says which worker, or the commit thread, takes its next step.

A worker finds a task in one step and does it in others, so several are on their way at once, whatever thread would have
been faster. Partitions that would be synced by other threads are synced here in steps, too.
"""

import random
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from connectors.sources.contract import Chunk, padded
from engine.flow.pipeline import Pipeline
from engine.flow.tasks import Task, finish
from tests.simulation.traffic import File

_OVER = object()


@dataclass(slots=True)
class WorldClock:
    """The time of a world: `now_ms` is the wall clock's, and may be set back; `passed_s` never goes back."""

    now_ms: int
    passed_s: float = 0.0

    def go(self, by_ms: int) -> None:
        """Go on, or set the wall clock back."""
        self.now_ms += by_ms
        self.passed_s += max(0, by_ms) / 1000


class SideTask(Future[None]):
    """The task of a thread beside; whoever waits for its result takes the steps that are left."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self._task = task

    def step(self) -> None:
        """Take one step."""
        try:
            if next(self._task, _OVER) is _OVER:
                self.set_result(None)
        except Exception as fault:  # noqa: BLE001 it is for the one that waits
            self.set_exception(fault)

    def result(self, timeout: float | None = None) -> None:
        """Take all steps that are left."""
        while not self.done():
            self.step()
        super().result(timeout)


class SideTasks(Executor):
    """In the place of the threads that sync partitions side by side."""

    def __init__(self) -> None:
        self._tasks: list[SideTask] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        """Take a task to be finished."""
        assert fn is finish, fn
        self._tasks.append(SideTask(*args))
        return self._tasks[-1]

    def open(self) -> list[SideTask]:
        """Return the tasks that have steps left."""
        self._tasks = [one for one in self._tasks if not one.done()]
        return self._tasks


class FileFeed:
    """A file that grows, read in chunks as long as chance has it."""

    def __init__(self, file: File, position: int, chance: random.Random, clock: WorldClock) -> None:
        self.file = file
        self.position = position
        self._chance = chance
        self._clock = clock

    def next_chunk(self, bytes_max: int) -> Chunk | None:
        """Return the next whole lines; None at the present end."""
        start = self.position
        bytes_max = min(bytes_max, self._chance.choice((300, 1_500, 6_000)))
        data, line = self.file.lines_from(start, bytes_max)
        self.position += len(data)
        return chunk_of_lines("files", self.file.key, data, start, line, self._clock.now_ms) if data else None

    def recycle(self, chunk: Chunk) -> None:
        """Nothing is used again."""

    @property
    def exhausted(self) -> bool:
        """Whether the file is read to its present end."""
        return self.position >= len(self.file.data)


def chunk_of_lines(source: str, key: str, data: bytes, start: int, line: int, now_ms: int) -> Chunk:
    """Return lines as a source hands them over; without a key they have no position, and their ids count."""
    end = start + len(data)
    return Chunk(source, key, padded(data), len(data), start, end, not key, False, now_ms * 1_000_000, line)


class Flow:
    """The workers and the commit thread of a pipeline."""

    def __init__(self, pipeline: Pipeline, side: SideTasks, workers: int, chance: random.Random) -> None:
        self._pipeline = pipeline
        self._side = side
        self._chance = chance
        self._tasks: list[Task | None] = [None] * workers
        self._committing: Task | None = None

    def work(self) -> bool:
        """Let a worker find a task, or take a step of the one that it has; return whether it did anything."""
        worker = self._chance.randrange(len(self._tasks))
        task = self._tasks[worker]
        if task is None:
            self._tasks[worker] = task = self._pipeline.stages.next_task()
            return task is not None
        if next(task, _OVER) is _OVER:
            self._tasks[worker] = None
        return True

    def commit(self) -> bool:
        """Let the commit thread take what is folded, or it or a thread beside take a step; return whether one did."""
        side = self._side.open()
        if side and self._chance.random() < 0.5:
            self._chance.choice(side).step()
        elif self._committing is None:
            self._committing = self._pipeline.committer.next_task()
            return self._committing is not None
        elif next(self._committing, _OVER) is _OVER:
            self._committing = None
        return True

    @property
    def busy(self) -> bool:
        """Whether anything that was taken is not durable yet, or a worker still does something."""
        return not self._pipeline._queues.empty or any(self._tasks) or self._committing is not None

    @property
    def in_flight(self) -> int:
        """Tasks that workers have begun, or found."""
        return sum(task is not None for task in self._tasks)

    def rests(self, p: int) -> bool:
        """Tell whether the state of a partition is that of its last frame taken to be committed."""
        queues = self._pipeline._queues
        return not queues.folding[p] and not queues.uncommitted[p]
