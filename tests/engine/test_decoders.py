"""An event's id acts once within its id space: a source's own, or one that redundant sources share."""

import numpy as np

from connectors.sources.contract import chunk_of
from connectors.sources.decoder import Decoder
from connectors.sources.mapping import Mapping
from engine.flow.decoders import Decoders, Source
from state.schema import EventType, Field, Kind, make_schema

SCHEMA = make_schema((), (EventType("call", (Field("kind", Kind.STRING),)),))
LINES = b"".join(
    b'{"type":"call","msisdn":861,"time":"2008-11-04T09:00:00Z"%b}\n' % more
    for more in (b',"id":"1"', b',"id":"2"', b"")
)


def ids(sources: list[Source], name: str) -> list[int]:
    found: list[int] = Decoders(sources, SCHEMA).decode(chunk_of(LINES, name, received_ns=2 * 10**18)).batch.id.tolist()
    return found


def test_equal_ids_of_two_sources_are_two_events() -> None:
    sources = [Source("one", Mapping()), Source("two", Mapping())]
    one, two = ids(sources, "one"), ids(sources, "two")

    assert not set(one[:2]) & set(two[:2])
    assert (one[2], two[2]) == (0, 0)


def test_equal_ids_of_sources_that_share_a_space_are_one_event() -> None:
    sources = [Source("one", Mapping(), "feed"), Source("two", Mapping(), "feed"), Source("three", Mapping())]

    assert ids(sources, "one") == ids(sources, "two") != ids(sources, "three")


def test_ids_of_one_space_are_those_of_older_logs() -> None:
    sources = [
        Source("one", Mapping(), "feed"),
        Source("two", Mapping(), "feed"),
        Source("files", Mapping(), dedupe=False),
    ]
    plain = Decoder(Mapping(), SCHEMA).decode(chunk_of(LINES), 2 * 10**12).batch.id

    assert np.array_equal(ids(sources, "two"), plain)
