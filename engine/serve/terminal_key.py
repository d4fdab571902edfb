"""The key that signs the desk's terminals in: by setting, or made once in the data directory.

It is random and has nothing to do with any token, so what it signs says nothing about one. The file is its owner's
alone; a cluster names the same key in every worker's settings.
"""

import contextlib
import os
import secrets
from pathlib import Path

from connectors.desk.config import DeskConfig
from connectors.desk.session import KEY_BYTES_MIN
from connectors.secret import SecretError

FILE = "terminal.key"
KEY_BYTES = 32


def terminal_key(config: DeskConfig, folder: Path) -> bytes:
    """Return the key, which is made in `folder` at the first call; b"" where no token asks for one.

    Raises:
        SecretError: the setting's secret is not there or too short, or the file is damaged.
    """
    if config.token is None:
        return b""
    if config.terminal_key is not None:
        return config.terminal_key.read(KEY_BYTES_MIN).encode()
    path = folder / FILE
    with contextlib.suppress(FileExistsError):
        _make(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise SecretError(f"{path} holds {len(key)} bytes, must be {KEY_BYTES}; without it a new one is made")
    return key


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; FileExistsError when there is one."""
    draft = path.with_suffix(f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()
