"""Work that is taken from the queues, in steps: between two of them other threads may go on.

A thread takes the steps of its task without a pause. The simulation has no threads: it holds several tasks at once and
draws whose step comes next, so that a crash, or another task, can come between any two.
"""

from collections.abc import Iterator

Task = Iterator[None]
"""Work that its owner alone has; it is done when the iterator ends."""


def finish(task: Task) -> None:
    """Take all steps of a task."""
    for _ in task:
        pass
