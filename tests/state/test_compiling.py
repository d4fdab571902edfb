"""Pieces of kernels, and where kernels are kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import TypingError
from numpy.typing import NDArray

from state import jit

Ints = NDArray[np.int64]


@jit.part
def _double(value: int) -> int:
    return 2 * value


@jit.routine
def _total(values: Ints) -> int:
    total = 0
    for value in values:
        total += _double(value)
    return total


@jit.kernel
def doubled_total(values: Ints) -> int:
    """Return twice the sum."""
    return _total(values)


@jit.routine
def _itself(values: Ints) -> Ints:
    return values


@jit.kernel
def first(values: Ints) -> int:
    """Return the first value, by a piece that hands on an array."""
    return int(_itself(values)[0])


@jit.routine
def _new(count: int) -> int:
    return np.zeros(count, np.int64).shape[0]


@jit.kernel
def count_of_new(count: int) -> int:
    """Return the length of an array that a piece made."""
    return _new(count)


@jit.allocating
def squares(count: int) -> int:
    """Return the sum of squares, by an array."""
    made = np.arange(count)
    return int((made * made).sum())


def test_a_kernel_runs_its_pieces() -> None:
    assert doubled_total(np.arange(4)) == 12


def test_a_piece_has_no_code_for_calls_from_python_and_says_so() -> None:
    doubled_total(np.arange(4))

    with pytest.raises(KeyError, match="_total is a piece of kernels"):
        _total(np.arange(4))


def test_a_piece_that_returns_an_array_is_refused_because_nobody_would_count_its_uses() -> None:
    with pytest.raises(TypingError, match=r"_itself returns .* must return no array"):
        first(np.arange(4))


def test_a_kernel_that_makes_an_array_is_refused_unless_it_is_allocating() -> None:
    with pytest.raises(TypingError, match=r"NRT required but not enabled|Only accept returning of array"):
        count_of_new(4)

    assert squares(4) == 14


def test_the_uses_of_an_array_are_as_before_after_a_kernel_took_it() -> None:
    values = np.arange(4)
    before = sys.getrefcount(values)

    for _ in range(3):
        doubled_total(values)

    assert sys.getrefcount(values) == before


SOURCE = """
from state.jit import kernel, part, watch_compiling

@part
def _add(left, right):
    return left + right

@kernel
def added(left, right):
    return _add(left, right)
"""
RUN = """
from state.jit import watch_compiling
from rules.added import added
with watch_compiling(print):
    assert added(1, 2) == 3
"""


def compiled_in(folder: Path) -> list[str]:
    """Run the kernel of a copy of the product in a new process; return what it had to compile."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OPPORTUNE_KERNEL_CACHE": str(folder.parent / "kernels")}
    ran = subprocess.run([sys.executable, "-P", "-c", RUN], env=environment, check=True, capture_output=True, text=True)
    return ran.stdout.split()


def product(folder: Path) -> Path:
    (folder / "rules").mkdir(parents=True)
    (folder / "rules" / "__init__.py").touch()
    (folder / "rules" / "added.py").write_text(SOURCE)
    shutil.copytree(jit.ROOT / "state", folder / "state", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_a_second_installation_of_the_same_sources_compiles_nothing_whatever_its_folder_and_times(
    tmp_path: Path,
) -> None:
    one, two = product(tmp_path / "one"), product(tmp_path / "two")
    assert compiled_in(one) == ["added", "_add"]

    os.utime(one / "rules" / "added.py", (1, 1))

    assert compiled_in(one) == []
    assert compiled_in(two) == []
