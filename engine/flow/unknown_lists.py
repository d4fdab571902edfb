"""List events that name no list of the book: their lines become dead letters.

Decoders know types and fields, not the book's lists, so this is done to what they return. Such a row would change
nothing and say nothing: a black list that is misspelled in a feed would silence nobody.
"""

from collections.abc import Callable, Collection

import numpy as np

from connectors.sources.contract import Chunk, Decoded
from connectors.sources.dead_letter import RAW_BYTES_MAX, VALUE_CHARS_MAX, Code, DeadLetter
from rules.diagnostics import nearest
from state.batch import select
from state.hashing import hash_text
from state.schema import LIST, LIST_NAME

Line = tuple[bytes, int]


def without_unknown_lists(
    decoded: Decoded, chunk: Chunk, lists: Collection[str], line_at: Callable[[Chunk, int], Line]
) -> Decoded:
    """Return what a chunk was decoded to, with a dead letter for each row of a list that is not among `lists`.

    `line_at` gives the line at a position of the chunk's source, and its number.
    """
    batch = decoded.batch
    rows = np.flatnonzero(batch.type == LIST)
    if not rows.shape[0]:
        return decoded
    known = np.array([hash_text(name.encode()) for name in lists], np.int64)
    unknown = rows[~np.isin(batch.cells[LIST_NAME, rows], known)]
    if not unknown.shape[0]:
        return decoded
    names = [
        (batch.texts.text(int(hashed)) or b"").decode("utf-8", "replace") for hashed in batch.cells[LIST_NAME, unknown]
    ]
    starts = decoded.offsets[unknown].tolist()
    dead = [
        _letter(chunk, start, line_at(chunk, start), name, lists) for start, name in zip(starts, names, strict=True)
    ]
    keep = np.setdiff1d(np.arange(batch.n), unknown).astype(np.int32)
    return Decoded(
        select(batch, keep), decoded.offsets[keep], [*decoded.dead, *dead], lines=decoded.lines, slow=decoded.slow
    )


def _letter(chunk: Chunk, offset: int, line: Line, name: str, lists: Collection[str]) -> DeadLetter:
    raw, number = line
    reason = "the book has no such list; " + (nearest(name, lists) or f"there are: {', '.join(lists)}")
    return DeadLetter(
        chunk.source,
        chunk.key,
        offset,
        number,
        Code.UNKNOWN_LIST,
        "list",
        name[:VALUE_CHARS_MAX],
        reason,
        raw[:RAW_BYTES_MAX],
        len(raw),
        chunk.received_ns // 1_000_000,
    )
