"""One entry of the log as bytes. (Surface first; bodies follow.)"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from state.batch import Batch
from state.schema import Schema


class FrameKind(IntEnum):
    EVENTS = 1
    TICK = 2
    ACTIVATION = 3
    CONTROL = 4


@dataclass(slots=True)
class Frame:
    kind: FrameKind
    append_ms: int
    batch: Batch | None = None
    sources: dict[str, int] = field(default_factory=dict)  # position of each source after this frame
    dedupe: bool = False
    payload: bytes = b""  # activation: book sources json; control: json


class Encoder:
    """Encodes frames with buffers of its own; one an appending thread."""

    def encode(self, frame: Frame) -> memoryview:
        """Return the frame's bytes, valid until the next call."""
        ...


def encode(frame: Frame) -> bytes: ...


def decode(data: bytes | memoryview, schema_of: Callable[[str], Schema]) -> Frame:
    """Rebuild a frame; `schema_of` finds the schema of a fingerprint. Cells that are not present read as 0."""
    ...
