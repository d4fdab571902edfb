"""One book of a backtest from its name to its result, and several of them in processes beside each other.

Each book has a process of its own, forked when the kernels are loaded, so the machine's cores share the books, and what
is loaded is in memory once. On one core they take turns. A process that ends without a result is named.
"""

import multiprocessing
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from engine.book.compiled import CompiledBook, compile_texts
from engine.flow.datadir import DataDir
from engine.flow.fold import FoldLimits, limits_of
from engine.runtimes.backtest.lane import Lane, LaneResult, Span
from engine.runtimes.backtest.other_lane import EndlessError, OtherLane
from engine.runtimes.backtest.recorded import Extent, Recording
from engine.runtimes.backtest.sample import Sample
from engine.runtimes.sending import make_policy
from engine.settings.config import Config
from rules.load import read_folder
from state.disk import DiskError

WAIT_S = 0.2
RUNNING = "running"
"""The name of the book, or books, that ran."""

Progress = Callable[[Sequence[int]], None]
"""Hears how many frames each side has done."""


class BacktestError(Exception):
    """A side ended without a result; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Side:
    """One book of a backtest; `compiled` None for what ran."""

    name: str
    compiled: CompiledBook | None = None


@dataclass(frozen=True, slots=True)
class Backtest:
    """What is asked: the recording, the books beside the running one, whose rows, and which span."""

    config: Config
    extent: Extent
    sample: Sample
    span: Span
    refused: float = 0.0

    @property
    def frames(self) -> int:
        """How many frames each side reads, at most."""
        return self.extent.frames(self.sample.chosen)

    def run(self, sides: Sequence[Side], progress: Progress = lambda _: None) -> list[LaneResult]:
        """Run every side; raises BacktestError where one ends without a result."""
        if len(sides) == 1 or threading.active_count() > 1:
            return [self.run_one(side, lambda done: progress([done])) for side in sides]
        return _Processes(self, sides, progress).results()

    def run_one(self, side: Side, progress: Callable[[int], None]) -> LaneResult:
        """Run one side in this process."""
        recording = Recording(DataDir(self.config.data.directory))
        try:
            return self._lane(side, recording).run(progress)
        finally:
            recording.close()

    def _lane(self, side: Side, recording: Recording) -> Lane:
        limits = self.limits(recording)
        if side.compiled is None:
            return Lane(recording, self.extent, limits, self.sample, self.span)
        policy = make_policy(self.config, side.compiled.book)
        read = (recording, self.extent, limits, self.sample, self.span)
        return OtherLane(side.compiled, policy, self.refused, *read)

    def limits(self, recording: Recording) -> FoldLimits:
        """Return the limits of a partition's state, as live."""
        return replace(limits_of(self.config), contacts_max=recording.fixed.contacts_max)


class _Processes:
    """A process a side; its results come back through a pipe."""

    def __init__(self, backtest: Backtest, sides: Sequence[Side], progress: Progress) -> None:
        self._sides = sides
        self._progress = progress
        self._done = [0] * len(sides)
        self._results: dict[int, LaneResult] = {}
        context = multiprocessing.get_context("fork")
        self._pipes: dict[Connection, int] = {}
        self._processes: list[BaseProcess] = []
        for index, side in enumerate(sides):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(backtest, side, theirs), name=f"backtest-{side.name}")
            process.start()
            theirs.close()
            self._pipes[ours] = index
            self._processes.append(process)

    def results(self) -> list[LaneResult]:
        """Return the result of each side, in order."""
        try:
            while self._pipes:
                for pipe in wait(list(self._pipes), WAIT_S):
                    assert isinstance(pipe, Connection)
                    self._hear(pipe)
                self._progress(self._done)
            return [self._results[index] for index in range(len(self._sides))]
        finally:
            for process in self._processes:
                process.terminate()
                process.join()

    def _hear(self, pipe: Connection) -> None:
        index = self._pipes[pipe]
        name = self._sides[index].name
        try:
            heard = pipe.recv()
        except EOFError as fault:
            self._processes[index].join()
            status = self._processes[index].exitcode
            raise BacktestError(f"the process of book {name} ended with status {status}") from fault
        if isinstance(heard, int):
            self._done[index] = heard
        elif isinstance(heard, LaneResult):
            self._results[index] = heard
            del self._pipes[pipe]
        else:
            raise BacktestError(f"book {name}: {heard}")


def _work(backtest: Backtest, side: Side, pipe: Connection) -> None:
    """Run a side, and send progress and the result, or the fault's words."""
    try:
        pipe.send(backtest.run_one(side, pipe.send))
    except (DiskError, EndlessError) as fault:
        pipe.send(str(fault))
    except Exception:  # noqa: BLE001 - whatever it is, the parent raises it under the name of the book
        pipe.send(traceback.format_exc(limit=-3))
    finally:
        pipe.close()


def compiled_folder(folder: Path) -> CompiledBook:
    """Return the book in a folder; raises BookErrors with every fault."""
    return compile_texts(read_folder(folder), None)
