"""Waiting for room on a full disk: what the disk refused is tried again until it is taken, or until the end.

Log, journal, pages, texts and dead letters go through it. While one waits nothing is lost: the worker holds its frame,
the intake fills, and sources slow down; pages wait in the queue of their writer, and the fold goes on. The log says
that it waits, and that it goes on, once a minute at most.
"""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from connectors.seldom import Seldom
from state.disk import DiskFullError

T = TypeVar("T")

RETRY_S = 0.5

log = logging.getLogger("opportune.pipeline")


class Patience:
    """Shared by the partitions of an engine; thread-safe. `fault` is what the disk said, while it has no room.

    `rest` passes the seconds between two attempts; by default it waits, and the end cuts it short.
    """

    def __init__(self, retry_s: float = RETRY_S, rest: Callable[[float], object] | None = None) -> None:
        self.fault: DiskFullError | None = None
        self._retry_s = retry_s
        self._ended = threading.Event()
        self._rest = rest or self._ended.wait
        self._guard = threading.Lock()
        self._waiting = 0
        self._seldom = Seldom(log)

    def retry(self, write: Callable[[], T]) -> T:
        """Return what `write` returns; DiskFullError only after `end`. A write that is refused must change nothing."""
        waits = False
        try:
            while True:
                try:
                    return write()
                except DiskFullError as fault:
                    if self._ended.is_set():
                        raise
                    if not waits:
                        self._wait(fault)
                        waits = True
                    self._rest(self._retry_s)
        finally:
            if waits:
                self._go_on()

    def _wait(self, fault: DiskFullError) -> None:
        with self._guard:
            self._waiting += 1
            self.fault = fault
            if self._waiting == 1:
                self._seldom.error("%s; the flow waits until there is room", fault)

    def _go_on(self) -> None:
        with self._guard:
            self._waiting -= 1
            if self._waiting == 0:
                self.fault = None
                if not self._ended.is_set():
                    self._seldom.warning("there is room on the disk again; the flow goes on")

    def end(self) -> None:
        """Wait no longer: what is refused from now on raises."""
        self._ended.set()
