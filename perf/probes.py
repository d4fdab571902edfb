"""Where the time of one thread goes: functions of the product are replaced by timed ones while a measurement runs.

    with Probes(STAGES) as probes:
        ...
    probes.spent_ns["scan"]

Time is the thread's CPU time, and each stage's own: what a probed function spends in another probed one is that
other's. A probe on a name that is no longer there fails at once.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Self

Place = tuple[Any, str, str]
"""Whose function (a class or a module), its name there, and the stage that its time belongs to."""


class Counter:
    """Adds up what a function of the product returns, as long as it is entered: pages of `Flusher.step`."""

    def __init__(self, owner: Any, name: str) -> None:
        self.total = 0
        self._owner, self._name = owner, name
        self._function = getattr(owner, name)

    def __enter__(self) -> Self:
        def counted(*args: Any, **named: Any) -> Any:
            result = self._function(*args, **named)
            self.total += result
            return result

        setattr(self._owner, self._name, counted)
        return self

    def __exit__(self, *_: object) -> None:
        setattr(self._owner, self._name, self._function)


class Probes:
    """Times functions by stage; see the module."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.spent_ns: dict[str, int] = dict.fromkeys((stage for _, _, stage in places), 0)
        self._places = places
        self._kept: list[tuple[Any, str, Any]] = []
        self._inner_ns = 0

    def __enter__(self) -> Self:
        for owner, name, stage in self._places:
            function = getattr(owner, name)
            self._kept.append((owner, name, function))
            setattr(owner, name, self._timed(function, stage))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, function in reversed(self._kept):
            setattr(owner, name, function)
        self._kept.clear()

    def clear(self) -> None:
        """Forget what was measured so far."""
        self.spent_ns = dict.fromkeys(self.spent_ns, 0)

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            outer, self._inner_ns = self._inner_ns, 0
            began = time.thread_time_ns()
            try:
                return function(*args, **named)
            finally:
                whole = time.thread_time_ns() - began
                self.spent_ns[stage] += whole - self._inner_ns
                self._inner_ns = outer + whole

        return timed
