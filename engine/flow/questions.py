"""A question to a partition's state, asked from any thread and answered between two frames."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from engine.flow.partition import Partition

T = TypeVar("T")


class Question(Generic[T]):
    """Something to read from a partition's state, and the promise of an answer, which cannot be cancelled."""

    def __init__(self, read: Callable[[Partition], T]) -> None:
        self.answer: Future[T] = Future()
        self.answer.set_running_or_notify_cancel()
        self._read = read

    def put_to(self, partition: Partition) -> None:
        """Answer; a fault of the reading goes to the one that asked."""
        try:
            found = self._read(partition)
        except Exception as fault:  # noqa: BLE001 it is theirs
            self.answer.set_exception(fault)
        else:
            self.answer.set_result(found)
