"""Books are read, checked and compiled in a process of their own, so that no event waits for it.

A thousand rules take about 100 ms of Python. In a thread of the engine that holds the interpreter lock, and decoding,
folding and committing wait for it again and again; in a process beside it they do not. What comes back is unpacked in
pieces of half a millisecond with a pause after each (see `engine.book.transfer`).

The process is forked from an engine that has no threads yet: that takes milliseconds, and shares the memory of all that
is loaded. One that has died is started again from nothing, which takes a second, and asked once more. It has no state
that matters: each question holds all that the answer depends on, and what is remembered only makes the next one quick.
It ends with the engine, however that ends, because its pipe does.
"""

import gc
import logging
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from types import TracebackType
from typing import Literal, Self

from engine.book import transfer
from engine.book.compiled import CompiledBook, compile_book
from rules.diagnostics import BookErrors
from rules.load import load_text
from rules.model import Book

ANSWER_S_MAX = 120.0
"""The longest wait for the next part of an answer: twenty thousand rules take a few seconds."""
ATTEMPTS = 2
END_S = 5.0
PAUSE_S = 0.001
"""After each piece: the threads that wait for the interpreter have all had it before the next."""

log = logging.getLogger("opportune.book")

Question = tuple[dict[str, str], dict[str, str] | None]
"""The texts to read, and the texts of the book before."""


class LoaderError(Exception):
    """The process that reads books ended, or fell silent, and so did the one that was started in its place."""


class UnreadableBookError(LoaderError, ValueError):
    """A book that cannot be read for a reason that no fault tells: it is the book's own, in any process.

    A ValueError, as garbage raises: a worker passes over such a book like over any other broken one.
    """


class Loader:
    """Compiles books beside this process. Thread-safe: one book at a time.

    Made before the engine opens anything and starts threads, so that the process holds none of it.
    """

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._start("fork" if threading.active_count() == 1 else "spawn")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The number of the process."""
        pid: int | None = self._process.pid
        assert pid is not None
        return pid

    def compile(self, sources: Mapping[str, str], before: Book | None) -> CompiledBook:
        """Return the book in `sources` as the one that follows `before`.

        Raises:
            BookErrors: every fault of the book.
            UnreadableBookError: the process could not say what is wrong with it.
            LoaderError: no process could be made to answer.
        """
        question: Question = dict(sources), dict(before.sources) if before is not None else None
        with self._asking:
            answer = self._ask_with_restart(question, before)
        if isinstance(answer, BookErrors):
            raise answer
        if isinstance(answer, Exception):
            raise UnreadableBookError(f"the book cannot be read: {type(answer).__name__}: {answer}") from answer
        return answer

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.join(END_S)
        self._kill()

    def _ask_with_restart(self, question: Question, before: Book | None) -> CompiledBook | Exception:
        """Ask; where no whole answer comes, whatever the reason, start the process again and ask once more."""
        reasons: list[str] = []
        while len(reasons) < ATTEMPTS:
            try:
                return self._ask(question, before)
            except Exception as fault:  # noqa: BLE001 also an answer that does not unpack: its code was replaced on disk
                reasons.append(self._end(fault))
                log.warning("the process that reads books is started again: %s", reasons[-1])
                try:
                    self._start("spawn")
                except OSError as refused:
                    reasons.append(f"it could not be started: {refused}")
        raise LoaderError(f"the process that reads books gave no answer: {'; then '.join(reasons)}")

    def _ask(self, question: Question, before: Book | None) -> CompiledBook | Exception:
        """Return the book, or what is wrong with it.

        What has come is received before anything is unpacked, so that the other end never waits for the pauses here.
        """
        pipe, waiting, unpacking = self._ours, deque[bytes](), transfer.Unpacking(before)
        pipe.send_bytes(pickle.dumps(question, pickle.HIGHEST_PROTOCOL))
        while unpacking.made is None:
            if pipe.poll(0 if waiting else ANSWER_S_MAX):
                waiting.append(pipe.recv_bytes())
            elif waiting:
                unpacking.take(waiting.popleft())
                time.sleep(PAUSE_S)
            else:
                raise TimeoutError(f"no answer in {ANSWER_S_MAX:g} s")
        return unpacking.made

    def _start(self, method: Literal["fork", "spawn"]) -> None:
        context = ForkContext() if method == "fork" else SpawnContext()
        ours, theirs = context.Pipe()
        closing = ours if method == "fork" else None
        process = context.Process(target=_serve, args=(theirs, closing), name="books", daemon=True)
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._ours, self._process = ours, process

    def _end(self, fault: Exception) -> str:
        """Make sure that the process is gone; say how it went."""
        self._ours.close()
        self._process.join(0.0 if isinstance(fault, TimeoutError) else END_S)
        status = self._process.exitcode
        self._kill()
        return f"{type(fault).__name__}: {fault}" if not status else f"it ended with status {status}"

    def _kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join()


def _serve(pipe: Connection, closing: Connection | None) -> None:
    """Answer until the engine hangs up; its signals are not ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if closing is not None:
        closing.close()
    gc.disable()
    gc.freeze()
    last: Book | None = None
    while True:
        try:
            question: Question = pickle.loads(pipe.recv_bytes())  # noqa: S301 made by `Loader._ask`
            last = _answer(pipe, question, last)
        except (EOFError, ConnectionError):
            return
        gc.collect()


def _answer(pipe: Connection, question: Question, last: Book | None) -> Book | None:
    """Send the book, part by part as it is made, or what is wrong with it; return the book for the next question."""
    sources, sources_before = question
    try:
        before = _before(sources_before, last)
        book = load_text(sources, before)
        for message in transfer.of_book(book, before):
            pipe.send_bytes(message)
        for message in transfer.of_program(compile_book(book)):
            pipe.send_bytes(message)
    except ConnectionError:
        raise
    except Exception as fault:  # noqa: BLE001 the caller gets the fault
        pipe.send_bytes(transfer.of_fault(fault))
        return last
    return book


def _before(sources: dict[str, str] | None, last: Book | None) -> Book | None:
    if sources is None:
        return None
    return last if last is not None and last.sources == sources else load_text(sources)
