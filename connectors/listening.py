"""An address that cannot be listened on is refused in the words of the settings that name it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["naming"]


@contextmanager
def naming(settings: str, host: str, port: int) -> Iterator[None]:
    """Turn an OSError of the listening inside into one that says which settings chose the address."""
    try:
        yield
    except OSError as fault:
        reason = os.strerror(fault.errno) if fault.errno else str(fault)
        raise OSError(fault.errno, f"{settings} say {host}:{port}: {reason}") from fault
