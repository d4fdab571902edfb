"""Promises to sources: a chunk is done when every partition that got a part of it has it on disk.

A ticket counts its parts down and then sets its future; a fault in any part is the fault of the whole. A caller that
waits may go away, but cannot cancel the promise.
"""

import threading
from concurrent.futures import Future


class Ticket:
    """One chunk's way through the partitions.

    Args:
        length: bytes of the chunk, given back to the intake's budget when it is done.
        received_ns: when the chunk came in, wall clock; 0 when it does not count for latency.
    """

    __slots__ = ("_left", "_lock", "future", "length", "received_ns")

    def __init__(self, length: int = 0, received_ns: int = 0) -> None:
        self.length = length
        self.received_ns = received_ns
        self.future: Future[None] = Future()
        self.future.set_running_or_notify_cancel()
        self._left = 0
        self._lock = threading.Lock()

    def expect(self, parts: int) -> None:
        """Say how many parts must report; with none the ticket is done at once."""
        self._left = parts
        if parts == 0:
            self.future.set_result(None)

    def expect_more(self, parts: int) -> None:
        """Say that a part was cut into more; called before any of them reports."""
        with self._lock:
            self._left += parts

    def done(self) -> bool:
        """Count one part; return whether it was the last."""
        with self._lock:
            self._left -= 1
            last = self._left == 0
            if last and not self.future.done():
                self.future.set_result(None)
            return last

    def fail(self, fault: BaseException) -> None:
        """Give up the chunk."""
        with self._lock:
            if not self.future.done():
                self.future.set_exception(fault)
