"""Waiting for room on a full disk: what the disk refused is tried again until it is taken, or until the end.

Log, journal and dead letters go through it. While one waits nothing is lost: the worker holds its frame, the intake
fills, and sources slow down. The log says once that it waits, and once that it goes on.
"""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from state.disk import DiskFullError

T = TypeVar("T")

RETRY_S = 0.5

log = logging.getLogger("opportune.pipeline")


class Patience:
    """Shared by the partitions of an engine; thread-safe. `fault` is what the disk said, while it has no room."""

    def __init__(self, retry_s: float = RETRY_S) -> None:
        self.fault: DiskFullError | None = None
        self._retry_s = retry_s
        self._ended = threading.Event()

    def retry(self, write: Callable[[], T]) -> T:
        """Return what `write` returns; DiskFullError only after `end`. A write that is refused must change nothing."""
        while True:
            try:
                done = write()
            except DiskFullError as fault:
                if self._ended.is_set():
                    raise
                if self.fault is None:
                    log.error("%s; the flow waits until there is room", fault)
                self.fault = fault
                self._ended.wait(self._retry_s)
                continue
            if self.fault is not None:
                self.fault = None
                log.warning("there is room on the disk again; the flow goes on")
            return done

    def end(self) -> None:
        """Wait no longer: what is refused from now on raises."""
        self._ended.set()
