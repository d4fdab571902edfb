"""Log lines that cannot become a flood: one line of a kind a minute, clipped, with how many were left out.

    seldom = Seldom(log)
    seldom.warning("source %s: cannot be read: %s", name, fault)

The kind is the format, so what comes from outside belongs into the arguments. Thread-safe as `logging` is.
"""

import logging
import time
from collections.abc import Callable

EVERY_S = 60.0
ARGUMENT_CHARS_MAX = 300


class Seldom:
    """Writes to `log`, each format at most once in `EVERY_S`."""

    def __init__(self, log: logging.Logger, now_s: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now_s = now_s
        self._last_s: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, message: str, *arguments: object) -> None:
        """Write a warning."""
        self._say(logging.WARNING, message, arguments)

    def error(self, message: str, *arguments: object) -> None:
        """Write an error."""
        self._say(logging.ERROR, message, arguments)

    def _say(self, level: int, message: str, arguments: tuple[object, ...]) -> None:
        now_s = self._now_s()
        last_s = self._last_s.get(message)
        if last_s is not None and now_s - last_s < EVERY_S:
            self._left_out[message] = self._left_out.get(message, 0) + 1
            return
        self._last_s[message] = now_s
        left_out = self._left_out.pop(message, 0)
        more = f" ({left_out} more like this in between)" if left_out else ""
        self._log.log(level, message + "%s", *map(_clipped, arguments), more)


def _clipped(argument: object) -> object:
    """Return an argument as one line of bounded length; a number as it is, for its format."""
    if isinstance(argument, int | float):
        return argument
    text = str(argument)
    shown = text if len(text) <= ARGUMENT_CHARS_MAX else f"{text[:ARGUMENT_CHARS_MAX]}... ({len(text)} characters)"
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in shown)
