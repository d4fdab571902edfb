"""What a reading of a book remembers for the next ones, so that a reload pays for what changed and no more.

A function that is `remembered` keeps its answers by its arguments, as `functools.lru_cache` does; but what is kept is
what the last readings used (`KEPT` of them), however large the book is and however often it changes. `turn` ends a
reading. Two readings at a time only make each other forget sooner.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["KEPT", "remembered", "turn"]

KEPT = 2
"""Readings whose answers are kept: the book that serves, and one that was bad in between."""

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

_memories: list[list[dict[Any, Any]]] = []


def remembered(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Return a function that keeps its answers; arguments are given by position and hashable. Faults are not kept."""
    generations: list[dict[Any, Any]] = [{} for _ in range(KEPT + 1)]
    _memories.append(generations)

    @wraps(function)
    def answer(*args: Arguments.args, **named: Arguments.kwargs) -> Answer:
        for generation in generations:
            if args in generation:
                found: Answer = generation[args]
                break
        else:
            found = function(*args, **named)
        generations[0][args] = found
        return found

    return answer


def turn() -> None:
    """End a reading: forget what only readings before the last ones used."""
    for generations in _memories:
        del generations[KEPT]
        generations.insert(0, {})
