"""The sources of a configuration: their decoders, and the schema that follows the book.

A decoder belongs to one thread and one schema. When a book with another schema becomes active, the next chunk is
decoded under it; chunks decoded before carry their own schema and are moved by name when they are folded.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.sources.contract import Chunk, Decoded
from connectors.sources.decoder import DAY_MS, Decoder
from connectors.sources.mapping import Mapping
from state.schema import Schema


@dataclass(frozen=True, slots=True)
class Source:
    """A source's name and how its lines are read."""

    name: str
    mapping: Mapping


class Decoders:
    """Decodes the chunks of every configured source."""

    def __init__(self, sources: Sequence[Source], schema: Schema) -> None:
        self.schema = schema
        self._mappings = {source.name: source.mapping for source in sources}
        self._local = threading.local()

    def check(self, schema: Schema) -> None:
        """Hold every mapping against a schema; MappingError says what does not fit."""
        for mapping in self._mappings.values():
            Decoder(mapping, schema)

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode a chunk with this thread's decoder for its source."""
        schema = self.schema
        decoders: dict[str, tuple[Schema, Decoder]] = self._local.__dict__.setdefault("decoders", {})
        held = decoders.get(chunk.source)
        if held is None or held[0] is not schema:
            held = (schema, Decoder(self._mappings[chunk.source], schema))
            decoders[chunk.source] = held
        return held[1].decode(chunk, chunk.received_ns // 1_000_000 + DAY_MS)
