"""What an engine must answer for the console, and how it says that it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

BY = ("rule", "campaign", "offer", "goal", "channel", "gateway", "gate", "arm", "city", "hall", "clerk", "terminal",
      "day", "book")  # fmt: skip
"""What a report can be counted by."""


class RefusedError(Exception):
    """It cannot be done, and who asked can mend it; the text says what is wrong."""


class BusyError(Exception):
    """Others have asked for as much as may run at a time."""


class SlowError(Exception):
    """It took too long and was given up; the text is how many seconds were given."""


@dataclass(frozen=True, slots=True)
class Live:
    """Figures of now.

    Args:
        status: as `/status` has them.
        rates: (seconds of the monotonic clock, events, decisions) since the start, the oldest first.
        lags_ms: of each partition, how far its clock is behind the wall's; None where its clock is the events' own.
    """

    status: Mapping[str, Any]
    rates: Sequence[tuple[float, int, int]]
    lags_ms: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Report:
    """Which report is wanted; times as the command line takes them, "" for none."""

    by: Sequence[str]
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What is to be rehearsed: which part of the subscribers, and times as of a report."""

    sample: str
    start: str
    end: str


class Answers(Protocol):
    """An engine, as the console sees it.

    What is no figure of now may raise RefusedError, BusyError or SlowError.
    """

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of the book."""

    def live(self) -> Live:
        """Return the figures of now."""

    def names(self) -> Mapping[str, Sequence[str]]:
        """Return the names in the book by kind: rule, campaign, channel."""

    async def switch(self, action: str, kind: str, name: str) -> int:
        """Pause, resume or kill; return how many queued sends that touches."""

    async def why(self, number: str, rule: str) -> Sequence[Mapping[str, Any]]:
        """Return the records of a number, as `opportune why --format ndjson` prints them; with `--rule`, if one."""

    async def books(self) -> Sequence[Mapping[str, Any]]:
        """Return the versions of the book, as `opportune books list --format ndjson` prints them."""

    async def changes(self, old: str, new: str) -> Sequence[str]:
        """Return the lines of a unified diff between two versions; "" is the folder on disk."""

    async def roll_back(self, version: str) -> str:
        """Write an earlier version into the book's folder; return what was done."""

    async def report(self, wanted: Report) -> bytes:
        """Return a report as one HTML page."""

    async def rehearsal(self, wanted: Rehearsal) -> bytes:
        """Return what the book in the folder would have done, beside the one that ran, as one HTML page."""
