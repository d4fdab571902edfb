"""Records of the topic `log`, read strictly: frames whose every part can be folded.

What passes here passes for every owner and at every redo, for it depends on the record and on the books alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from engine.runtimes.cluster.shared.control_records import check_switch
from engine.runtimes.cluster.shared.moments import moment_of
from engine.runtimes.cluster.shared.packed_records import unpack_offsets
from state.frame import Frame, FrameError, FrameKind, decode
from state.schema import Schema

AHEAD_MS_MAX = 3_600_000
"""As far as brokers let a record's time be ahead of theirs."""
TIME_END_MS = 1 << 47
"""In the year 6429: later times are nobody's, and no calendar of Python's has them long after."""


def read_frame(
    record: Any, schema_of: Callable[[str], Schema], book_of: Callable[[str], object] | None = None
) -> Frame:
    """Return the frame of a record of Kafka; FrameError or another fault of `record_guard` where it is none.

    `book_of` finds the book that an activation names; None where activations do not matter.
    """
    value = record.value
    if value is None:
        raise FrameError("the record has no value")
    frame = decode(value, schema_of)
    _check_head(frame)
    _check_written(frame, getattr(record, "timestamp", None))
    if frame.kind == FrameKind.ACTIVATION:
        version = orjson.loads(frame.payload)["version"]
        if book_of is not None:
            book_of(version)
    elif frame.kind == FrameKind.CONTROL:
        _check_control(orjson.loads(frame.payload))
    elif frame.kind == FrameKind.TICK:
        moment_of(frame)
    elif frame.payload and frame.batch is not None:
        unpack_offsets(frame.payload, len(frame.sources), frame.batch.n)
    if frame.batch is not None and frame.batch.n:
        _check_rows(frame)
    return frame


def _check_head(frame: Frame) -> None:
    if not all(isinstance(end, int) for end in frame.sources.values()):
        raise FrameError("the ends of its sources must be numbers")
    if not all(isinstance(one, int) for state in frame.clocks.values() for one in _list(state)):
        raise FrameError("the clocks of its sources must be lists of numbers")
    if not 0 <= frame.append_ms < TIME_END_MS:
        raise FrameError(f"append_ms={frame.append_ms} must be >= 0 and < {TIME_END_MS}")


def _check_written(frame: Frame, written: Any) -> None:
    """Refuse a frame that says it was appended long after its record: believed, it would move the time of all others.

    Ours are written with one time in both. Faust gives it in seconds, as a fraction; the client in milliseconds.
    """
    if written is None:
        return
    written_ms = round(written * 1000) if isinstance(written, float) else written
    if frame.append_ms > written_ms + AHEAD_MS_MAX:
        raise FrameError(f"append_ms={frame.append_ms} must be <= {AHEAD_MS_MAX} after its record's, {written_ms}")


def _list(state: object) -> list[object]:
    if not isinstance(state, list):
        raise FrameError("the clocks of its sources must be lists of numbers")
    return state


def _check_control(control: Any) -> None:
    if control["action"] != "forget":
        check_switch(control)
    elif not isinstance(control["keys"], list) or not all(isinstance(key, str) for key in control["keys"]):
        raise FrameError("keys to forget must be texts")


def _check_rows(frame: Frame) -> None:
    """Refuse rows that kernels would take for places in their tables, and times that no calendar has."""
    batch = frame.batch
    assert batch is not None
    if int(batch.type.max()) >= len(batch.schema.types):
        raise FrameError(f"type={int(batch.type.max())} must be < {len(batch.schema.types)}")
    if not bool(np.all(batch.subscriber > 0)):
        raise FrameError("subscribers must be > 0")
    for name, times in (("at_ms", batch.at_ms), ("log_ms", batch.log_ms)):
        if int(times.min()) < 0 or int(times.max()) >= TIME_END_MS:
            raise FrameError(f"{name} must be >= 0 and < {TIME_END_MS}")
