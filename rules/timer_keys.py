"""The keys of a `[[rule]]` that give it a deadline; what they mean is read by `rules.timers`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field


class TimerKeys(BaseModel):
    """Keys of a rule with `after`; `silent` is written `for`, which is a word of Python's own."""

    after: Any = None
    within: str | None = None
    silent: str | None = Field(None, alias="for")
    delay: str | None = None
    unless: Any = None
    key: str | None = None
    keys_max: Annotated[int, Field(ge=1, le=16)] | None = None
    still: str | None = None
