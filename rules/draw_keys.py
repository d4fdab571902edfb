"""The keys of a `[[rule]]` that say who of its candidates gets anything; what they mean is read by `rules.draws`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class DrawKeys(BaseModel):
    """Keys of a rule that draws: who is held out, who is in which arm, and whether anything goes at all."""

    holdout: str | None = None
    shadow: bool = False
    arm: str | None = None
    arms: dict[str, Any] = {}
