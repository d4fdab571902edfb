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


class _Turns:
    """Which formats may be written now."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._last_s: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def take(self, message: str) -> int | None:
        """Return how many of a format were left out since it was written last; None where it is left out now."""
        now_s = self._now_s()
        last_s = self._last_s.get(message)
        if last_s is not None and now_s - last_s < EVERY_S:
            self._left_out[message] = self._left_out.get(message, 0) + 1
            return None
        self._last_s[message] = now_s
        return self._left_out.pop(message, 0)


class Seldom:
    """Writes to `log`, each format at most once in `EVERY_S`."""

    def __init__(self, log: logging.Logger, now_s: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._turns = _Turns(now_s)

    def warning(self, message: str, *arguments: object) -> None:
        """Write a warning."""
        self._say(logging.WARNING, message, arguments)

    def error(self, message: str, *arguments: object) -> None:
        """Write an error."""
        self._say(logging.ERROR, message, arguments)

    def exception(self, message: str, *arguments: object) -> None:
        """Write an error with the traceback of what is handled now."""
        self._say(logging.ERROR, message, arguments, trace=True)

    def _say(self, level: int, message: str, arguments: tuple[object, ...], *, trace: bool = False) -> None:
        left_out = self._turns.take(message)
        if left_out is not None:
            self._log.log(level, message + "%s", *map(_clipped, arguments), _more(left_out), exc_info=trace)


class SeldomFilter(logging.Filter):
    """The same for the logger of a library.

    Args:
        callers_faults: exceptions that are the other side's doing: their text is written, without a traceback.
    """

    def __init__(
        self, callers_faults: tuple[type[BaseException], ...] = (), now_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._callers_faults = callers_faults
        self._turns = _Turns(now_s)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass, with how many were left out, or not."""
        left_out = self._turns.take(str(record.msg))
        if left_out is None:
            return False
        arguments = record.args if isinstance(record.args, tuple) else ()
        fault = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        reason = ""
        if isinstance(fault, self._callers_faults):
            record.exc_info, reason = None, f": {type(fault).__name__}: {_clipped(fault)}"
        record.msg = f"{record.msg}%s%s"
        record.args = (*map(_clipped, arguments), reason, _more(left_out))
        return True


def _more(left_out: int) -> str:
    return f" ({left_out} more like this in between)" if left_out else ""


def _clipped(argument: object) -> object:
    """Return an argument as one line of bounded length; a number as it is, for its format."""
    if isinstance(argument, int | float):
        return argument
    text = str(argument)
    shown = text if len(text) <= ARGUMENT_CHARS_MAX else f"{text[:ARGUMENT_CHARS_MAX]}... ({len(text)} characters)"
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in shown)
