"""Settings of the console: its users, each a token with a name and a role."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.console.roles import Role
from connectors.secret import Secret


class ConsoleUser(BaseModel):
    """A user of the console."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$", description="Name that stands in the audit log; used once.")
    ]
    role: Annotated[
        Role,
        Field(description="What the user may do: author, operator, clerk lead or auditor; the table is in README.md."),
    ]
    token: Annotated[Secret, Field(description="Secret that signs the user in, by reference; each user has another.")]


class ConsoleConfig(BaseModel):
    """The operations console under /console; without users there is none.

    A user is a table [[console.users]] with name, role and token.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    session_ms: Annotated[
        int, Field(ge=60_000, le=604_800_000, description="Milliseconds until a user has to sign in again.")
    ] = 28_800_000
    answer_s: Annotated[
        float, Field(ge=1, le=3_600, description="Seconds after which a report, or why for a number, is given up.")
    ] = 120.0
    users: Annotated[tuple[ConsoleUser, ...], Field(max_length=200, description="Who may sign in.")] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [user.name for user in self.users]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"user name={twice[0]!r} must be used once")
        return self
