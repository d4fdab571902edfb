"""Settings of the front desk: how long a visit lasts, where panels are kept, which systems may write.

Every field carries unit, default and bound; `config.toml` repeats these words. Secrets are named by place, not by
value. Nothing here opens a connection: checking a configuration needs neither Redis nor the secrets.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.secret import Secret


class RedisConfig(BaseModel):
    """Where Redis is, when the desk's panels are shared between processes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[
        str, Field(description="Address, redis://host:port/database or rediss:// for TLS, without a password.")
    ] = "redis://127.0.0.1:6379/0"
    user: Annotated[str, Field(description="User of Redis' access control; empty for its default user.")] = ""
    password: Annotated[Secret | None, Field(description="Password, by reference.")] = None
    ca_file: Annotated[
        Path | None,
        Field(description="Authorities that sign the server's certificate; the system's when left out."),
    ] = None
    prefix: Annotated[
        str, Field(description="First part of every key, so that two installations can share a server.", min_length=1)
    ] = "opportune:desk"
    timeout_ms: Annotated[
        int, Field(ge=50, le=60_000, description="Milliseconds until a silent server counts as lost.")
    ] = 1_000
    settle_ms: Annotated[
        int,
        Field(
            ge=20,
            le=60_000,
            description="Milliseconds after a start of Redis in which processes put back the panels they know and "
            "nothing else is taken; longer than sweep_ms, so that every process notices.",
        ),
    ] = 2_000
    recall_ms: Annotated[
        int,
        Field(
            ge=0,
            le=600_000,
            description="Milliseconds after a start of Redis, or of the process, in which a visit or card that Redis "
            "does not know may still come back: a caller that asks for it gets 503 and repeats. Longer than a dead "
            "worker's partitions take to be owned anew.",
        ),
    ] = 15_000
    visit_wait_ms: Annotated[
        int,
        Field(
            ge=0,
            le=60_000,
            description="Milliseconds that a card waits for a visit which another process may be about to bring.",
        ),
    ] = 1_000
    stream_entries_max: Annotated[
        int, Field(ge=1, le=10_000, description="Entries kept in the stream of one terminal.")
    ] = 64
    terminals_per_reader: Annotated[
        int, Field(ge=1, le=4_096, description="Terminals that share one blocking connection to Redis.")
    ] = 256

    @field_validator("url")
    @classmethod
    def _holds_no_password(cls, url: str) -> str:
        """Refuse an address with a password in it, before anything can print it."""
        if "@" in url or "?" in url:
            raise ValueError("must hold no user, password or option; a password is named by redis.password")
        if not url.startswith(("redis://", "rediss://")):
            raise ValueError(f"{url!r} must begin with redis:// or rediss://")
        return url

    @model_validator(mode="after")
    def _authorities_are_for_tls(self) -> Self:
        if self.ca_file is not None and not self.url.startswith("rediss://"):
            raise ValueError(f"ca_file={str(self.ca_file)!r} needs TLS: url={self.url!r} must begin with rediss://")
        return self


class DeskConfig(BaseModel):
    """The front desk as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: Annotated[bool, Field(description="Whether visits, cards and the page are served.")] = True
    queue: Annotated[
        Literal["memory", "redis"],
        Field(description="Where panels are kept: in this process, or in Redis for several processes."),
    ] = "memory"
    redis: Annotated[RedisConfig, Field(description="Used when queue is redis.")] = RedisConfig()
    cards_max: Annotated[int, Field(ge=1, le=3, description="Cards on one screen.")] = 3
    visit_idle_ms: Annotated[
        int, Field(ge=1_000, le=86_400_000, description="Milliseconds without activity until a visit is closed.")
    ] = 300_000
    card_life_ms: Annotated[
        int, Field(ge=1_000, le=86_400_000, description="Milliseconds a card lives when it names no end of its own.")
    ] = 300_000
    heartbeat_ms: Annotated[
        int, Field(ge=100, le=60_000, description="Milliseconds between signs of life to a page; two missed drop it.")
    ] = 15_000
    sweep_ms: Annotated[
        int, Field(ge=10, le=60_000, description="Milliseconds between searches for what has run out.")
    ] = 500
    retry_ms: Annotated[
        int, Field(ge=10, le=600_000, description="Milliseconds until an answer that the log refused is offered again.")
    ] = 2_000
    number_prefix: Annotated[
        str,
        Field(
            description="Digits put before an eleven-digit number that a clerk types, where numbers.country is empty.",
            pattern=r"^[0-9]{0,4}$",
        ),
    ] = ""
    country_code: Annotated[
        str, Field(description="Country code left out where a number is shown.", pattern=r"^[0-9]{0,4}$")
    ] = "86"
    clerk_opens_visits: Annotated[
        bool, Field(description="Whether the page lets a clerk type a number to open a visit.")
    ] = True
    token: Annotated[
        Secret | None,
        Field(description="Bearer token of systems that open visits. Without it only this machine may use the desk."),
    ] = None
    terminal_key: Annotated[
        Secret | None,
        Field(
            description="Key that signs terminals in, at least 16 bytes; every worker of a cluster needs the same. "
            "Left out, one is made in the data directory."
        ),
    ] = None
    session_ms: Annotated[
        int, Field(ge=60_000, le=604_800_000, description="Milliseconds a signed-in terminal stays signed in.")
    ] = 43_200_000

    @model_validator(mode="after")
    def _processes_agree(self) -> Self:
        if self.queue == "redis" and self.enabled and self.token is not None and self.terminal_key is None:
            raise ValueError("terminal_key is missing: processes that share a desk by queue='redis' need the same one")
        if self.queue == "redis" and self.redis.settle_ms <= self.sweep_ms:
            raise ValueError(f"redis.settle_ms={self.redis.settle_ms} must be > sweep_ms={self.sweep_ms}")
        return self
