"""What a frame of the cluster says of the raw records in it, and how those that were packed twice are left out.

The frame of an intake carries, in `sources`, the raw partitions that its rows came from, in the order of the rows, with
the offset after the last record of each, and, as its payload, the raw offset of every row. An intake reads a raw
partition from a committed offset on, and commits only what stands in the log; so the frames of one intake leave no row
out, and two intakes that both believe to own the partition write the same rows, at worst in frames cut differently or
beside rows of other partitions. A fold that keeps the highest offset it has seen of each raw partition, and leaves that
partition's rows below it out, therefore takes every row once, however often it was written, by which intake and beside
what.

Frames that did not come from a raw topic have no payload of this kind and pass as they are.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from state.batch import select
from state.frame import Frame, FrameKind

Int64s = NDArray[np.int64]
NONE: Int64s = np.zeros(0, np.int64)


def pack_offsets(parts: Sequence[Int64s]) -> bytes:
    """Return the ascending offsets of each raw partition's rows, none of them empty, as bytes.

    The first of each partition, int64 LE; for each but the last how many it has, int64 LE; then each row's distance
    from the first of its partition, in two or, where one needs it, eight bytes.
    """
    firsts = np.array([part[0] for part in parts], np.int64)
    counts = np.array([part.shape[0] for part in parts], np.int64)
    distance = np.concatenate(parts) - np.repeat(firsts, counts)
    width = np.uint16 if int(distance.max()) < 1 << 16 else np.uint64
    return firsts.tobytes() + counts[:-1].tobytes() + distance.astype(width).tobytes()


def unpack_offsets(data: bytes, partitions: int, rows: int) -> tuple[Int64s, Int64s]:
    """Return the offsets of all rows, and how many each raw partition has, as `pack_offsets` was given them.

    ValueError when `data` is not that for so many partitions and rows.
    """
    head = 8 * (2 * partitions - 1)
    width = {head + 2 * rows: np.uint16, head + 8 * rows: np.uint64}.get(len(data)) if partitions else None
    if width is None:
        raise ValueError(
            f"offsets of {rows} rows of {partitions} partitions have {len(data)} bytes, must have {head + 2 * rows} or "
            f"{head + 8 * rows}"
        )
    firsts = np.frombuffer(data, np.int64, partitions)
    counts = np.frombuffer(data, np.int64, partitions - 1, 8 * partitions)
    counts = np.append(counts, rows - counts.sum())
    if counts.min() < 1:
        raise ValueError(f"rows of {partitions} partitions={counts.tolist()} must be >= 1 each, {rows} together")
    return np.frombuffer(data, width, rows, head).astype(np.int64) + np.repeat(firsts, counts), counts


def leave_out_repeated(frame: Frame, reached: Mapping[str, int]) -> Int64s:
    """Take out of a frame the rows below the offset reached for its raw partition; return the ids of their events.

    What the frame then says to have reached is never less than before.
    """
    batch = frame.batch
    if frame.kind != FrameKind.EVENTS or not frame.payload or batch is None:
        return NONE
    seen = np.array([reached.get(key, 0) for key in frame.sources], np.int64)
    offsets, counts = unpack_offsets(frame.payload, len(frame.sources), batch.n)
    frame.sources = {key: max(end, reached.get(key, 0)) for key, end in frame.sources.items()}
    fresh = offsets >= np.repeat(seen, counts)
    keep = np.flatnonzero(fresh).astype(np.int32)
    if keep.shape[0] == batch.n:
        return NONE
    frame.batch = select(batch, keep)
    return batch.id[~fresh]


def in_log_order(frame: Frame) -> None:
    """Put the rows of a frame in the order of their log times; those of one time stay as they stand."""
    batch = frame.batch
    if batch is not None and (np.diff(batch.log_ms) < 0).any():
        frame.batch = select(batch, np.argsort(batch.log_ms, kind="stable").astype(np.int32))
