"""What a frame of the cluster says of the raw records in it, and how those that were packed twice are left out.

The frame of an intake carries, in `sources`, the raw partition and the offset behind its last record, and, as its
payload, the raw offset of every row. An intake reads a raw partition from a committed offset on, and commits only what
stands in the log; so the frames of one intake leave no row out, and two intakes that both believe to own the partition
write the same rows, at worst in frames cut differently. A fold that keeps the highest offset it has seen of each raw
partition, and leaves rows below it out, therefore takes every row once, whoever wrote it and how often.

Frames that did not come from a raw topic have no payload of this kind and pass as they are.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from state.batch import select
from state.frame import Frame, FrameKind

Int64s = NDArray[np.int64]
NONE: Int64s = np.zeros(0, np.int64)


def pack_offsets(offsets: Int64s) -> bytes:
    """Return ascending offsets as bytes: the first, then each one's distance from it in two or eight bytes."""
    first = int(offsets[0])
    distance = offsets - first
    width = np.uint16 if int(distance[-1]) < 1 << 16 else np.uint64
    return first.to_bytes(8, "little") + distance.astype(width).tobytes()


def unpack_offsets(data: bytes, rows: int) -> Int64s:
    """Return what `pack_offsets` was given; ValueError when `data` is not that for so many rows."""
    width = {8 + 2 * rows: np.uint16, 8 + 8 * rows: np.uint64}.get(len(data))
    if width is None:
        raise ValueError(f"offsets of {rows} rows have {len(data)} bytes, must have {8 + 2 * rows} or {8 + 8 * rows}")
    return np.frombuffer(data, width, rows, 8).astype(np.int64) + int.from_bytes(data[:8], "little")


def leave_out_repeated(frame: Frame, reached: Mapping[str, int]) -> Int64s:
    """Take out of a frame the rows below the offset reached for its raw partition; return the ids of their events.

    What the frame then says to have reached is never less than before.
    """
    batch = frame.batch
    if frame.kind != FrameKind.EVENTS or not frame.payload or batch is None:
        return NONE
    ((key, end),) = frame.sources.items()
    seen = reached.get(key, 0)
    frame.sources[key] = max(end, seen)
    fresh = unpack_offsets(frame.payload, batch.n) >= seen
    keep = np.flatnonzero(fresh).astype(np.int32)
    if keep.shape[0] == batch.n:
        return NONE
    frame.batch = select(batch, keep)
    return batch.id[~fresh]
