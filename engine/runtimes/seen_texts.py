"""Which texts the recorded events have had in the fields that conditions compare with constants.

The log is read once, column by column; a text becomes Python when its hash is met for the first time. Of a field with
more different texts than `TEXTS_MAX` nothing is said: a peer number is not compared with a constant.
"""

from collections.abc import Collection, Mapping

import numpy as np

from engine.runtimes.backtest.recorded import Recording
from state.batch import Batch
from state.schema import Kind
from state.texts import Chained, Lookup

TEXTS_MAX = 20_000
FOREVER_MS = 1 << 62

Place = tuple[str, str]
"""Event type and field."""


def seen_texts(recording: Recording, wanted: Collection[Place]) -> Mapping[Place, frozenset[str]]:
    """Return the texts of each wanted field that any recorded event has; fields with too many are left out."""
    extent = recording.extent()
    found: dict[Place, dict[int, str]] = {place: {} for place in wanted}
    for one in recording.frames(extent, range(recording.fixed.partitions), FOREVER_MS):
        if one.frame.batch is not None and one.frame.batch.n:
            _look(one.frame.batch, found, recording.strings)
    return {place: frozenset(texts.values()) for place, texts in found.items() if 0 < len(texts) <= TEXTS_MAX}


def _look(batch: Batch, found: dict[Place, dict[int, str]], old: Lookup) -> None:
    texts = Chained(batch.texts, old)
    for (event, field), known in found.items():
        code = batch.schema.codes.get(event)
        slot = batch.schema.types[code].slots.get(field) if code is not None else None
        if code is None or slot is None or len(known) > TEXTS_MAX:
            continue
        if batch.schema.types[code].fields[slot].kind != Kind.STRING:
            continue
        rows = (batch.type == code) & ((batch.present >> slot) & 1 == 1)
        for hashed in np.unique(batch.cells[slot, rows]).tolist():
            if hashed not in known:
                text = texts.text(hashed)
                known[hashed] = text.decode(errors="replace") if text is not None else ""
