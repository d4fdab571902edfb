"""From the bytes of a chunk to columns.

    decoder = Decoder(mapping, schema)
    decoded = decoder.decode(chunk, at_ms_max)

A decoder belongs to one thread. It is made anew when a book with another schema becomes active; that costs under a
millisecond.
"""

from connectors.sources.contract import Chunk, Decoded
from connectors.sources.mapping import Mapping, compile_mapping
from connectors.sources.strict import decode_strictly
from state.schema import Schema

DAY_MS = 86_400_000


class Decoder:
    """Decodes the chunks of one source under one schema. Not to be shared by threads."""

    def __init__(self, mapping: Mapping, schema: Schema) -> None:
        self.plan = compile_mapping(mapping, schema)

    def decode(self, chunk: Chunk, at_ms_max: int) -> Decoded:
        """Decode every line; an event later than `at_ms_max` (receive time + `DAY_MS`) is a dead letter."""
        return decode_strictly(self.plan, chunk, at_ms_max)
