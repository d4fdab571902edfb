"""The words with which a data directory's decisions went, or wait to go, as far as the outbox still has them.

The outbox is read beside a running engine. It forgets what has ended, a file at a time, so older words are not found.
"""

from collections.abc import Collection

import orjson

from engine.dispatch.records import words_in
from engine.flow.datadir import DataDir
from state.disk import RealDisk
from state.segments import Segments


def words_of(datadir: DataDir, decisions: Collection[str]) -> dict[str, str]:
    """Return the latest words of the decisions that the outbox has, by id."""
    found: dict[str, str] = {}
    if not decisions or not datadir.outbox.is_dir():
        return found
    segments = Segments(datadir.outbox, RealDisk(), read_only=True)
    try:
        for stored in segments.read(segments.first_position):
            said = (words_in(record) for record in orjson.loads(stored.payload))
            found.update(one for one in said if one is not None and one[0] in decisions)
    finally:
        segments.close()
    return found
