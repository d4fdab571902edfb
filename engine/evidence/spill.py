"""Rows on disk, spread over files by subscriber: what belongs together comes back together, in the order it came.

A join of two such series is made file by file, so it needs the memory of one file, however long the series is. Files
lie in a temporary folder of the caller and go with it.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WAITING_ROWS = 1 << 17
BUCKET_BYTES = 24 << 20
"""Bytes of a journal whose records share a bucket, as far as that keeps buckets below `BUCKETS_MAX`."""
BUCKETS_MAX = 256

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
Rows = NDArray[np.void]


def buckets_for(journal_bytes: int) -> int:
    """Return into how many buckets a journal of that size is spread."""
    return max(1, min(BUCKETS_MAX, -(-journal_bytes // BUCKET_BYTES)))


class Spill:
    """Rows of one dtype, which has a field `subscriber`, in `count` buckets.

    Args:
        folder: where the files stand.
        name: what their names begin with.
        dtype: of a row.
        count: how many buckets.
    """

    def __init__(self, folder: Path, name: str, dtype: np.dtype[Any], count: int) -> None:
        self.dtype = dtype
        self.rows = 0
        self._paths = [folder / f"{name}-{number}" for number in range(count)]
        self._files = [path.open("wb") for path in self._paths]
        self._waiting: list[Rows] = []
        self._waiting_rows = 0

    def add(self, rows: Rows) -> None:
        """Add rows; they are kept until `read`."""
        self.rows += rows.shape[0]
        self._waiting.append(rows)
        self._waiting_rows += rows.shape[0]
        if self._waiting_rows >= WAITING_ROWS:
            self._write()

    def read(self, bucket: int) -> Rows:
        """Return the rows of a bucket, those of a subscriber in the order in which they were added."""
        self._write()
        self._files[bucket].flush()
        return np.fromfile(self._paths[bucket], self.dtype)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def _write(self) -> None:
        if not self._waiting:
            return
        rows = np.concatenate(self._waiting)
        self._waiting, self._waiting_rows = [], 0
        spread = (
            rows["subscriber"].view(np.uint64)
            if rows["subscriber"].flags.contiguous
            else rows["subscriber"].astype(np.uint64)
        ) * _SPREAD >> np.uint64(40)
        buckets = (spread % np.uint64(len(self._files))).astype(np.int64)
        order = np.argsort(buckets, kind="stable")
        ends = np.searchsorted(buckets[order], np.arange(len(self._files) + 1))
        for number, file in enumerate(self._files):
            if ends[number] < ends[number + 1]:
                rows[order[ends[number] : ends[number + 1]]].tofile(file)
