"""Secrets by reference: a setting says where a secret lies, never what it is.

    password = { env = "SMSC_PASSWORD" }        from the environment
    password = { file = "/run/secrets/smsc" }   the file's text, without the line end

`read` is called when a connector opens, not when the configuration is checked, so `check` needs no secrets. An empty
secret is none: a comparison with it would let everybody in, so it is refused like one that cannot be read.
"""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

TOKEN_BYTES_MIN = 16
"""Of a token that callers from other machines show: 128 bits where it is random, as `openssl rand -hex 16` makes it."""


class SecretError(Exception):
    """A secret is not where the configuration says, or too short; the text names the place, never the secret."""


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

    @property
    def place(self) -> str:
        """Where it lies, in words."""
        return f"environment variable {self.env}" if self.env is not None else f"secret file {self.file}"

    def read(self, bytes_min: int = 1) -> str:
        """Return the secret; SecretError when it is not there, is empty, or has fewer bytes than `bytes_min`."""
        value = self._text()
        length = len(value.encode(errors="surrogateescape"))
        if not value.strip():
            raise SecretError(f"{self.place} is empty")
        if length < bytes_min:
            raise SecretError(f"{self.place} holds {length} bytes, must be >= {bytes_min}")
        return value

    def _text(self) -> str:
        if self.env is not None:
            value = os.environ.get(self.env)
            if value is None:
                raise SecretError(f"{self.place} is not set")
            return value
        assert self.file is not None
        try:
            return self.file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as fault:
            raise SecretError(f"{self.place}: {fault.strerror}") from fault
        except UnicodeDecodeError as fault:
            raise SecretError(f"{self.place}: byte {fault.start} is not UTF-8") from fault
