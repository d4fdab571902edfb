"""The keys of a `[[test]]` and of what it expects."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from rules.shape import Id, Shape

__all__ = ["ExpectShape", "TestShape"]


class TestShape(Shape):
    """`[[test]]`."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    given: dict[str, Any] = Field(default_factory=dict)
    subscriber: Annotated[int, Field(gt=0, lt=1 << 63)] = 8_613_800_000_001
    events: list[dict[str, Any]]
    holdout: bool = False
    arm: str | None = None
    expect: list[dict[str, Any]] = Field(default_factory=list)


class ExpectShape(Shape):
    """One entry of a test's `expect`."""

    at: Any
    rule: Id
    channel: Id | None = None
    gate: str | None = None
    text: str | None = None
    sent: Any = None
    arm: str | None = None
    subscriber: Annotated[int, Field(gt=0, lt=1 << 63)] | None = None
