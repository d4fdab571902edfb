"""Secrets by reference: a setting says where a secret lies, never what it is.

    password = { env = "SMSC_PASSWORD" }        from the environment
    password = { file = "/run/secrets/smsc" }   the file's text, without the line end

`read` is called when a connector opens, not when the configuration is checked, so `check` needs no secrets.
"""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SecretError(Exception):
    """A secret is not where the configuration says; the text names the place, never the secret."""


class Secret(BaseModel):
    """Where a secret lies: exactly one of `env` and `file`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: Annotated[str | None, Field(description="Name of the environment variable that holds the secret.")] = None
    file: Annotated[Path | None, Field(description="File whose text, without the line end, is the secret.")] = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret is {env = ...} or {file = ...}, exactly one of them")
        return self

    def read(self) -> str:
        """Return the secret; SecretError when it is not there."""
        if self.env is not None:
            value = os.environ.get(self.env)
            if value is None:
                raise SecretError(f"environment variable {self.env} is not set")
            return value
        assert self.file is not None
        try:
            return self.file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as fault:
            raise SecretError(f"secret file {self.file}: {fault.strerror}") from fault
