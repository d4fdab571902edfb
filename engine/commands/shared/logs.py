"""The log of a running engine: on standard error, each record on one line that holds nothing but what it shows.

Names and values from outside stand in messages; `state.visible` keeps them from drawing over the screen or forging a
line. Lines of a traceback begin with a bar, so none of them looks like a record, and only `TRACE_LINES_MAX` are kept.
"""

import logging
import sys

from connectors.seldom import SeldomFilter
from state.visible import visible

LINE_CHARS_MAX = 2_000
TRACE_LINES_MAX = 60


class OneLine(logging.Formatter):
    """Formats records so that nobody else can write one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with the end of its traceback, whatever another handler has made of that before."""
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 the base names it
        """Return the record on one line."""
        return visible(super().formatMessage(record), LINE_CHARS_MAX)

    def formatException(self, ei: object) -> str:  # noqa: N802 the base names it
        """Return the end of the traceback, which says most."""
        lines = super().formatException(ei).split("\n")  # type: ignore[arg-type]  # as the base passes it
        return "\n".join(f"| {visible(line, LINE_CHARS_MAX)}" for line in lines[-TRACE_LINES_MAX:])


def start_logging() -> None:
    """Log from INFO on to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("asyncio").addFilter(SeldomFilter())
