"""The keys of a `[[rule]]` that give it a deadline; what they mean is read by `rules.timers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

DEADLINES = ("after", "stays", "leaves")
"""A rule with one of these, in place of `on`, is asked at a deadline."""


def has_deadline(rule: Any) -> bool:
    """Whether a rule, as it is written, is asked at a deadline."""
    return isinstance(rule, Mapping) and any(key in rule for key in DEADLINES)


class TimerKeys(BaseModel):
    """Keys of a rule with a deadline; `silent` is written `for`, which is a word of Python's own."""

    after: Any = None
    stays: str | None = None
    leaves: str | None = None
    within: str | None = None
    silent: str | None = Field(None, alias="for")
    delay: str | None = None
    unless: Any = None
    key: str | None = None
    keys_max: Annotated[int, Field(ge=1, le=16)] | None = None
    still: str | None = None
