"""What every function of the expressions promises, whichever file it stands in."""

import os
from pathlib import Path

import pytest

from rules.expressions.functions import FUNCTIONS, page, reads_local_time, reference
from rules.expressions.signature import Function
from rules.expressions.tree import Literal
from tests.rules.expressions.examples import can_fold, folded, interpreted, kernel_agrees
from tests.rules.expressions.worlds import tree

PAGE = Path(__file__).parents[3] / "rules" / "FUNCTIONS.md"
ALL = tuple(FUNCTIONS.values())
FOLDED = [one for one in ALL if one.plain is not None and one.local is None and can_fold(one.example)]


@pytest.mark.parametrize("function", ALL, ids=lambda one: one.name)
def test_the_example_gives_what_it_says_in_the_interpreter(function: Function) -> None:
    found = interpreted(function.example)

    assert (type(found), found) == (type(function.example.gives), function.example.gives)


@pytest.mark.parametrize("function", ALL, ids=lambda one: one.name)
def test_the_example_gives_what_it_says_in_the_kernel(function: Function) -> None:
    assert kernel_agrees(function.example)


@pytest.mark.parametrize("function", FOLDED, ids=lambda one: one.name)
def test_the_example_on_constants_is_worked_out_while_it_is_checked(function: Function) -> None:
    made = folded(function.example)

    assert isinstance(made, Literal)
    assert made.value == function.example.gives


@pytest.mark.parametrize("function", ALL, ids=lambda one: one.name)
def test_the_reference_tells_usage_docs_and_example(function: Function) -> None:
    entry = next(part for part in reference().split("\n\n") if part.startswith(function.usage))

    assert function.docs in entry
    assert function.example.text in entry


def test_the_page_for_authors_tells_every_function() -> None:
    if os.environ.get("UPDATE_EXPECTED"):
        PAGE.write_text(page(), encoding="utf-8")

    assert PAGE.read_text(encoding="utf-8") == page()
    assert [line for line in page().splitlines() if line.startswith("## ")] == [f"## `{one.usage}`" for one in ALL]


@pytest.mark.parametrize("function", ALL, ids=lambda one: one.name)
def test_the_usage_is_a_call_of_the_function(function: Function) -> None:
    assert function.usage.startswith(f"{function.name}(")


def test_only_functions_of_local_time_depend_on_the_zone() -> None:
    assert reads_local_time(tree("seconds > 1 and abs(hour() - 3) > 1"))
    assert not reads_local_time(tree("abs(seconds) > 1 and known(at)"))
