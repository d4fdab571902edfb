"""What caps, pauses and control groups hold for: channels, campaigns, categories. Names are of `rules.model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rules.arms import Arms

__all__ = ["Campaign", "Cap", "Category", "Channel", "Klass"]

Klass = Literal["commercial", "service"]


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `count_max` contacts of a scope within a window; `window_ms` is 0 for calendar kinds."""

    scope: Literal["rule", "campaign", "category", "channel", "all"]
    scope_id: int
    count_max: int
    kind: Literal["rolling", "day", "week", "month"]
    window_ms: int

    def __str__(self) -> str:
        return f"{self.count_max} per {f'{self.window_ms} ms' if self.kind == 'rolling' else self.kind}"


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to the customer. `per_event_max` bounds the decisions one event may put on it."""

    name: str
    channel_id: int
    kind: Literal["sms", "desk", "alert"]
    klass: Klass | None
    per_event_max: int
    caps: tuple[Cap, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What rules belong to; its caps and holdout hold for all of them together."""

    name: str
    campaign_id: int
    caps: tuple[Cap, ...]
    holdout_ppm: int = 0
    title: str = ""
    arms: Arms | None = None


@dataclass(frozen=True, slots=True)
class Category:
    """What commercial rules of several campaigns have in common; its caps hold for all of them together."""

    name: str
    category_id: int
    caps: tuple[Cap, ...]
    title: str = ""
