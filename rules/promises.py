"""A book's own tests as values: what is given, what happens, and the decisions that are promised.

`rules.scenarios` makes them from TOML; `engine.runtimes.rehearsal` holds a book against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Expectation", "Scenario", "ScenarioEvent"]


@dataclass(frozen=True, slots=True)
class ScenarioEvent:
    """One step of a test: an event with Python values as written in the book, or what happens instead of one.

    `what` is "event"; "wait", time that passes; "pause" or "resume" of `name`, a (kind, name); or "refund" of `rule`'s
    newest decision for the subscriber. An `answer`, `outcome` or `reply` names the decision that it
    is about by `rule` as well. `logged_ms` is when the event is appended to the log.
    """

    at_ms: int
    type: int
    fields: Mapping[str, object]
    subscriber: int
    logged_ms: int
    what: Literal["event", "wait", "pause", "resume", "refund"] = "event"
    name: tuple[str, str] = ("", "")
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a test expects at a moment: a rule that acts on `channel`, and says `text`, or is stopped by `gate`.

    `sent_ms`: when what is decided goes; `arm`: in which arm the subscriber is.
    """

    at_ms: int
    rule: str
    channel: str | None
    gate: str | None
    subscriber: int
    text: str | None = None
    sent_ms: int | None = None
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A test beside the rules: subscribers as given, events in order, the decisions that must come and no others.

    `holdout` says whether control groups are drawn, `arm` in which arm everybody is where that is not None.
    """

    name: str
    given: Mapping[str, object]
    events: tuple[ScenarioEvent, ...]
    expect: tuple[Expectation, ...]
    file: str
    line: int
    holdout: bool = False
    arm: str | None = None

    @property
    def acting(self) -> frozenset[str]:
        """The rules that it expects to act: those of them that are in shadow act for it."""
        in_shadow = {one.rule for one in self.expect if one.gate == "shadow"}
        return frozenset({one.rule for one in self.expect if one.gate is None} - in_shadow)
