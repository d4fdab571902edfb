"""The panels of one process on disk, so that a page comes back after `kill -9` as it was: visit, cards, what is owed.

Every change appends the panels that it replaced, whole, to a log of their own; the newest of each terminal counts. The
system has them at once; `sync` makes them durable against a loss of power too, after the change and not before it: what
must never be lost, visits and answers, is in the engine's log before anybody sees a confirmation.

When the files grow beyond twice what the newest panels need, the oldest of these are written again, a few with every
change, and the files before them go once that is durable.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import ValidationError

from connectors.desk.model import Panel
from state.disk import DamagedError, Disk
from state.segments import Segments

SEGMENT_BYTES = 4 << 20
REWRITTEN_MAX = 8


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the newest panel of a terminal stands, and its bytes."""

    position: int
    text: bytes


class PanelStore:
    """The panels' files; one writer.

    Raises:
        LockedError: another process has them.
        DamagedError: durable panels do not read back.
    """

    def __init__(self, folder: Path, disk: Disk | None = None, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._segments = Segments(folder, disk, segment_bytes=segment_bytes)
        self._newest: dict[str, _Place] = {}
        self._bytes = 0
        self._written_again = -1  # position of panels written again whose old files stand yet
        self._keep_from = 0  # where the oldest newest panel stood then; nothing newer is needed to let files go

    def read(self) -> list[Panel]:
        """Return the newest panel of every terminal, oldest change first; called once, before the first `append`."""
        newest: dict[str, Panel] = {}
        for record in self._segments.read(self._segments.first_position):
            for text in orjson.loads(record.payload):
                try:
                    panel = Panel.model_validate_json(text)
                except ValidationError as fault:
                    raise DamagedError(f"desk: position={record.position} holds no panel: {fault}") from fault
                newest.pop(panel.terminal, None)
                newest[panel.terminal] = panel
                self._place(panel.terminal, record.position, text.encode())
        return list(newest.values())

    def append(self, panels: Iterable[Panel], now_ms: int) -> None:
        """Append panels; DiskFullError leaves everything as it was."""
        texts = {panel.terminal: panel.model_dump_json().encode() for panel in panels}
        again = [name for name in self._oldest() if name not in texts]
        texts |= {name: self._newest[name].text for name in again}
        position = self._segments.append([orjson.dumps([text.decode() for text in texts.values()])], now_ms)
        for terminal, text in texts.items():
            self._place(terminal, position, text)
        if again:
            self._keep_from = next(iter(self._newest.values())).position
            self._written_again = position

    def forget(self, terminal: str) -> None:
        """Keep the panel of a terminal no longer than its file."""
        self._bytes -= len(self._newest.pop(terminal).text)

    @property
    def kept_bytes(self) -> int:
        """Bytes on disk."""
        return self._segments.kept_bytes

    def sync(self) -> None:
        """Make durable what was appended, then delete old files; for any one thread."""
        self._segments.sync()
        if 0 <= self._written_again <= self._segments.durable:
            self._segments.retain(self._keep_from, bytes_max=0)
            self._written_again = -1

    def close(self) -> None:
        """Release the files."""
        self._segments.close()

    def _place(self, terminal: str, position: int, text: bytes) -> None:
        """Index a newest panel; removing it first keeps the dict in the order of positions."""
        before = self._newest.pop(terminal, None)
        self._bytes += len(text) - (len(before.text) if before is not None else 0)
        self._newest[terminal] = _Place(position, text)

    def _oldest(self) -> list[str]:
        """Return terminals to write again, so that files may go."""
        if self._written_again >= 0 or self._segments.kept_bytes <= 2 * (self._bytes + self._segments.segment_bytes):
            return []
        # strict=False: the first few of any number of terminals.
        return [name for name, _ in zip(self._newest, range(REWRITTEN_MAX), strict=False)]
