"""What a chunk of a raw partition came to beside its rows: dead letters, and what is counted once it is committed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from connectors.kafka.writer import Written
from connectors.sources.contract import Decoded, Records
from connectors.sources.dead_letter import DeadLetter
from engine.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Part:
    """What a packing holds of one raw partition: up to which offset, and what is counted once that is committed."""

    key: str
    end: int
    source: str
    events: int
    slow: int
    dead: list[tuple[tuple[int, int], DeadLetter]]


def part_of(records: Records, decoded: Decoded) -> Part:
    """Return what a chunk came to."""
    chunk = records.chunk
    dead = [(records.place_of(one.offset), one) for one in decoded.dead]
    dead += [((one.offset, 0), one) for one in records.dead]
    return Part(chunk.key, chunk.end, chunk.source, decoded.batch.n, decoded.slow, dead)


def letters_of(topic: str, parts: Iterable[Part]) -> Iterator[Written]:
    """Yield the dead letters as records; a key is the place of the line, the same however often it is written."""
    for (offset, within), letter in (one for part in parts for one in part.dead):
        key = f"{letter.key}@{offset}.{within}".encode()
        yield Written(topic, 0, replace(letter, offset=offset).to_json(), key)


def count_part(metrics: Metrics, part: Part) -> None:
    """Count a chunk whose offset is committed."""
    metrics.events.labels(part.source).inc(part.events)
    metrics.slow.labels(part.source).inc(part.slow)
    for code, count in Counter(letter.code for _, letter in part.dead).items():
        metrics.dead.labels(part.source, code).inc(count)
