"""Books compiled beside the engine are the books compiled in it; what did not change stays the same object.

The process that compiles may die at any moment: the book comes all the same, or a clear error does.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import fields
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.book import loader as loading
from engine.book.compiled import CompiledBook, compile_texts
from engine.book.loader import Loader, LoaderError, UnreadableBookError
from engine.book.shelf import KEPT_MAX, BookShelf
from engine.book.watch import BookWatcher
from engine.runtimes.cluster.shared.record_guard import FAULTS
from perf import books
from rules.diagnostics import BookErrors
from rules.load import load_text, read_folder
from rules.model import Book

ROOT = Path(__file__).parents[2]
SHIPPED = read_folder(ROOT / "rules" / "book")


@pytest.fixture(scope="module")
def loader() -> Iterator[Loader]:
    with Loader() as one:
        yield one


def parts(value: Any) -> Any:
    """A compiled book as plain values; of arrays also what machine code is made for."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.flags.writeable, value.flags.c_contiguous, value.tobytes()
    if isinstance(value, Mapping):
        return type(value), {name: parts(one) for name, one in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return type(value), [parts(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, tuple):
        return type(value), [parts(one) for one in value]
    return value


def numbered(count: int, variant: int = 0, differ: int | None = None) -> dict[str, str]:
    return books.sized(count, variant, differ)


@pytest.mark.parametrize("sources", [SHIPPED, numbered(70)], ids=["shipped", "seventy rules"])
def test_a_book_compiled_beside_the_engine_is_the_one_compiled_in_it(loader: Loader, sources: dict[str, str]) -> None:
    assert parts(loader.compile(sources, None)) == parts(compile_texts(sources, None))


def test_a_changed_book_is_the_one_compiled_in_the_engine_and_shares_what_did_not_change(loader: Loader) -> None:
    before = load_text(numbered(70))
    sources = numbered(70, variant=5, differ=2)
    sources["a.toml"] += '[features.calls_day]\ncount = "call"\nover = "1d"\n'

    made = loader.compile(sources, before)

    assert parts(made) == parts(compile_texts(sources, before))
    assert made.book.schema is before.schema
    assert sum(made.book.by_id[rule.id] is rule for rule in before.rules) == 68


def test_members_keep_their_bits_over_books_compiled_beside_the_engine(loader: Loader) -> None:
    before = load_text({"a.toml": '[attributes]\nservices = { set = ["b"] }\n'})
    made = loader.compile({"a.toml": '[attributes]\nservices = { set = ["a", "b"] }\n'}, before)

    assert made.book.features[made.book.feature_index("services")].members == ("b", "a")


def test_a_bad_book_is_refused_with_every_fault_and_the_next_one_is_read(loader: Loader) -> None:
    bad = {name: text.replace("calls_hour >= 6", "cals_hour >= 6") for name, text in numbered(40).items()}
    with pytest.raises(BookErrors) as here:
        compile_texts(bad, None)

    with pytest.raises(BookErrors) as beside:
        loader.compile(bad, None)

    assert beside.value.diagnostics == here.value.diagnostics
    assert str(beside.value) == str(here.value)
    assert loader.compile(SHIPPED, None).book.version == load_text(SHIPPED).version


def test_a_process_that_was_killed_is_started_again_and_answers() -> None:
    with Loader() as loader:
        first = loader.pid
        os.kill(first, signal.SIGKILL)

        made = loader.compile(SHIPPED, None)

        assert loader.pid != first
        assert parts(made) == parts(compile_texts(SHIPPED, None))
    assert not alive(first)
    assert not alive(loader.pid)


def test_a_process_that_always_dies_is_a_clear_fault_and_the_running_book_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_serve", die)
    (tmp_path / "book.toml").write_text(numbered(4)["a.toml"])
    told: list[str] = []
    activated: list[CompiledBook] = []
    with Loader() as loader:
        watcher = BookWatcher(tmp_path, loader.compile, activated.append, told.append)
        watcher.begin(load_text(SHIPPED))

        watcher.reload()

    assert told == ["error"]
    assert not activated
    assert "the process that reads books gave no answer: it ended with status 7; then it ended" in watcher.fault


def test_a_book_that_breaks_its_reading_is_garbage_and_the_same_process_reads_the_next(loader: Loader) -> None:
    process = loader.pid
    with pytest.raises(UnreadableBookError, match="the book cannot be read: AttributeError") as caught:
        loader.compile({"book.toml": 7}, None)  # type: ignore[dict-item]  # a text that breaks its reading

    assert isinstance(caught.value, FAULTS)
    assert loader.compile(SHIPPED, None).book.rules
    assert loader.pid == process


def test_a_process_that_cannot_be_started_is_a_clear_fault_and_the_next_book_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with Loader() as loader:
        os.kill(loader.pid, signal.SIGKILL)
        with monkeypatch.context() as patch:
            patch.setattr(SpawnProcess, "start", refuse)
            with pytest.raises(LoaderError, match=r"could not be started: .*unavailable"):
                loader.compile(SHIPPED, None)
        assert loader.compile(SHIPPED, None).book.rules


def test_a_process_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_serve", sleep)
    monkeypatch.setattr(loading, "ANSWER_S_MAX", 0.05)
    monkeypatch.setattr(loading, "END_S", 0.05)
    with Loader() as loader, pytest.raises(LoaderError, match=r"no answer in 0\.05 s"):
        loader.compile(SHIPPED, None)


def test_the_process_ends_with_its_engine_however_that_ends() -> None:
    told, tell = multiprocessing.get_context("fork").Pipe(duplex=False)
    engine = multiprocessing.get_context("fork").Process(target=be_an_engine, args=(tell,))
    engine.start()
    assert alive(told.recv())

    engine.kill()
    engine.join()

    tell.close()
    with pytest.raises(EOFError):
        told.recv()  # the last holder of the other end was the process


def test_many_threads_may_ask_at_once(loader: Loader) -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: made.append(loader.compile(numbered(10, n), None).book.version))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made) == sorted(load_text(numbered(10, n)).version for n in range(8))


def test_memory_stays_over_many_reloads(loader: Loader, tmp_path: Path) -> None:
    shelf = BookShelf(tmp_path, compile_=loader.compile)
    book: Book | None = None
    sizes = []
    for round_ in range(1, 91):
        compiled = shelf.compile(numbered(10, round_), book)
        shelf.put(compiled)
        book = compiled.book
        if round_ % 30 == 0:
            sizes.append(resident_bytes(loader.pid))

    assert len(shelf._compiled) == KEPT_MAX
    assert sizes[2] - sizes[0] < 1 << 20
    first = load_text(numbered(10, 1))
    assert shelf.get(first.version).book.rules == first.rules


def die(*_: object) -> None:
    os._exit(7)


def sleep(*_: object) -> None:
    signal.pause()


def be_an_engine(tell: Any) -> None:
    with Loader() as loader:
        tell.send(loader.pid)
        signal.pause()


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
