"""Settings of the number plan: which numbers are national, and of which country. `state.numbers` reads by them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from state.numbers import CHINA, NumberPlan


class NumbersConfig(BaseModel):
    """How subscribers' numbers are read, at every door: sources, replies, lists, desk, commands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    country: Annotated[
        str,
        Field(description="The operator's country code; empty: every number is international already."),
    ] = CHINA.country
    national: Annotated[
        dict[str, int],
        Field(description="Digits of a national number, without a leading 0, by the prefix that it has."),
    ] = dict(CHINA.national)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        self.plan()
        return self

    def plan(self) -> NumberPlan:
        """Return the plan."""
        return NumberPlan(self.country, self.national)
