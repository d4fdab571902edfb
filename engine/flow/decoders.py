"""The sources of a configuration: their decoders, and the schema that follows the book.

A decoder belongs to one thread and one schema. When a book with another schema becomes active, the next chunk is
decoded under it; chunks decoded before carry their own schema and are moved by name when they are folded.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from connectors.sources.contract import Chunk, Decoded
from connectors.sources.decoder import DAY_MS, Decoder
from connectors.sources.mapping import Mapping
from engine.flow.unknown_lists import without_unknown_lists
from state.hashing import hash_text
from state.numbers import NO_PLAN, NumberPlan
from state.schema import Schema


@dataclass(frozen=True, slots=True)
class Source:
    """A source's name, how its lines are read, and what its events' ids are unique in.

    `dedupe` says whether they act once; of another source they are of no account.
    """

    name: str
    mapping: Mapping
    id_space: str = ""
    dedupe: bool = True


class Decoders:
    """Decodes the chunks of every configured source.

    Ids of different spaces are kept apart by a salt. Where there is one space there is none, so that such a log reads
    as those of older releases do.
    """

    def __init__(self, sources: Sequence[Source], schema: Schema, numbers: NumberPlan = NO_PLAN) -> None:
        self.schema = schema
        self.lists: Collection[str] | None = None
        """The lists of the active book: events of others become dead letters. None: they are not looked at."""
        self._numbers = numbers
        self._mappings = {source.name: source.mapping for source in sources}
        spaces = {source.name: source.id_space or source.name for source in sources if source.dedupe}
        several = len(set(spaces.values())) > 1
        self._salts = {name: hash_text(space.encode()) for name, space in spaces.items()} if several else {}
        self._local = threading.local()

    def check(self, schema: Schema) -> None:
        """Hold every mapping against a schema; MappingError says what does not fit."""
        for mapping in self._mappings.values():
            Decoder(mapping, schema, self._numbers)

    def decode(self, chunk: Chunk) -> Decoded:
        """Decode a chunk with this thread's decoder for its source."""
        schema = self.schema
        decoders: dict[str, tuple[Schema, Decoder]] = self._local.__dict__.setdefault("decoders", {})
        held = decoders.get(chunk.source)
        if held is None or held[0] is not schema:
            held = (schema, Decoder(self._mappings[chunk.source], schema, self._numbers))
            decoders[chunk.source] = held
        decoded = held[1].decode(chunk, chunk.received_ns // 1_000_000 + DAY_MS)
        if self.lists is not None:
            decoded = without_unknown_lists(decoded, chunk, self.lists, held[1].line_at)
        salt = self._salts.get(chunk.source, 0)
        if salt:
            ids = decoded.batch.id
            ids[ids != 0] ^= salt
        return decoded
