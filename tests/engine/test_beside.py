"""Shares of the warm-up in processes beside each other."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.runtimes import beside, warmup
from engine.runtimes.beside import Share, compile_beside
from state import jit


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A kernel cache of nobody: no share is kept."""
    monkeypatch.setenv("OPPORTUNE_KERNEL_CACHE", str(tmp_path / "kernels"))
    forget()
    yield tmp_path / "kernels"
    monkeypatch.undo()
    forget()


def forget() -> None:
    jit._parent.cache_clear()
    jit.cache_folder.cache_clear()


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def share(name: str, ran: list[str], weight: float, module: str = "state.held_texts") -> Share:
    return Share(name, lambda: ran.append(name), module, weight)


def nobody(_: str) -> None:
    raise AssertionError("nothing is shown or said")


def test_shares_whose_kernels_are_kept_are_not_compiled_and_start_no_process(
    empty_cache: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = jit.cache_folder("state.held_texts")
    folder.mkdir()
    (folder / "kernel.nbc").touch()
    monkeypatch.setattr(subprocess, "Popen", nobody)
    ran: list[str] = []

    compile_beside([share("one", ran, 1), share("two", ran, 1)], nobody, nobody)

    assert ran == []


def test_one_core_compiles_all_shares_itself(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    ran: list[str] = []

    compile_beside([share("light", ran, 1), share("heavy", ran, 2)], nobody, nobody)

    assert ran == ["heavy", "light"]


def test_the_heaviest_share_goes_to_the_process_that_has_least(empty_cache: Path) -> None:
    shares = [share(str(weight), [], weight) for weight in (2, 20, 6, 17, 9)]

    piles = beside._deal(shares, 2)

    assert [[one.weight for one in pile] for pile in piles] == [[20, 6, 2], [17, 9]]


@pytest.mark.parametrize("fault", [OSError(11, "Resource temporarily unavailable"), PermissionError(1, "Not allowed")])
def test_where_no_process_can_be_started_it_is_said_and_this_one_goes_on(
    empty_cache: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch, fault: OSError
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(subprocess, "Popen", refuse)
    ran: list[str] = []
    said: list[str] = []

    compile_beside([share("one", ran, 2), share("two", ran, 1)], nobody, said.append)

    assert ran == ["one"]
    assert said == [f"no process beside this one: {fault.strerror}"]


def test_a_process_that_fails_is_told(empty_cache: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MODULE", "engine.runtimes.no_such_module")
    said: list[str] = []

    compile_beside([share("one", [], 2), share("two", [], 1)], nobody, said.append)

    assert said == ["the process beside this one ended with status 1"]


def test_when_this_process_fails_those_beside_it_end(
    empty_cache: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []
    start: Callable[[list[str]], subprocess.Popen[str]] = beside._start

    def remember(names: list[str]) -> subprocess.Popen[str]:
        started.append(start(names))
        return started[-1]

    def fail() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(beside, "_start", remember)
    with pytest.raises(KeyboardInterrupt):
        compile_beside([Share("fails", fail, "state.held_texts", 2), share("scanner", [], 1)], print, print)

    assert [process.poll() for process in started] == [-9]


def test_what_a_process_beside_this_one_compiled_is_shown_and_kept(
    empty_cache: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    memory = next(one for one in warmup.SHARES if one.name == "memory")

    compile_beside([share("nothing", [], 100, "state.page_packing"), memory], shown.append, nobody)

    assert "append_texts" in shown
    assert jit.is_kept("state.held_texts")


def test_each_share_has_a_name_and_a_module_of_its_own() -> None:
    assert len({one.name for one in warmup.SHARES}) == len(warmup.SHARES)
    assert len({one.module for one in warmup.SHARES}) == len(warmup.SHARES)
