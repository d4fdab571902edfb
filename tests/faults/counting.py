"""A plain counter: what the engine made of its input, read from its files, in the simplest Python.

It shares the readers of log and journal with the product, and nothing of what decides.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from engine.flow.dead_letters import read_letters
from state.decisions import OutcomeState, decision_id
from state.disk import RealDisk
from state.hashing import hash_text
from state.journal import Journal
from state.log import Log
from state.schema import OUTCOME
from tests.engine.engines import Engine

Row = tuple[str, int, int, int]
"""Type, subscriber, time, id."""

CAPS = {"long-care": (2, 6 * 3_600_000), "spender": (3, 3_600_000)}
"""The rolling caps of the book in `tests.engine.world`: rule, number, window."""
DAY_MS = 86_400_000
ZONE_MS = 8 * 3_600_000


def partitions(data: Path) -> list[int]:
    return sorted(int(path.name) for path in (data / "log").iterdir())


def rows_of_log(data: Path, *, deduped: bool) -> Counter[Row]:
    """Count the rows in the log that came from lines; those from sources without positions once an id."""
    found: Counter[Row] = Counter()
    for number in partitions(data):
        log = Log(data / "log" / str(number), RealDisk(), read_only=True)
        for _, frame in log.read(log.first_position):
            batch = frame.batch
            if batch is None or frame.dedupe != deduped:
                continue
            names = [kind.name for kind in batch.schema.types]
            columns = (batch.type.tolist(), batch.subscriber.tolist(), batch.at_ms.tolist(), batch.id.tolist())
            found.update(
                (names[code], *rest) for code, *rest in zip(*columns, strict=True) if names[code] in {"call", "charge"}
            )
        log.close()
    return Counter(dict.fromkeys(found, 1)) if deduped else found


def rows_of_lines(lines: Iterable[bytes]) -> tuple[Counter[Row], int]:
    """Count the events among lines, and the lines that are none."""
    found: Counter[Row] = Counter()
    broken = 0
    for text in lines:
        try:
            value = orjson.loads(text)
            at_ms = _ms(value["time"])
            found[value["type"], value["msisdn"], at_ms, hash_text(value["id"].encode())] += 1
        except (ValueError, KeyError, TypeError):
            broken += 1
    return found, broken


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def letters(data: Path, source: str) -> list[tuple[str, int]]:
    """Return the places of the dead letters of a source."""
    return [
        (kept.letter.key, kept.letter.offset)
        for kept in read_letters(data / "dead", RealDisk())
        if kept.letter.source == source
    ]


def journal_positions(data: Path) -> Iterator[tuple[int, list[int]]]:
    """Yield each partition's journal entries' log positions, in order."""
    for number in partitions(data):
        journal = Journal(data / "journal" / str(number), RealDisk(), read_only=True)
        yield number, [entry.reached for entry in journal.read(journal.first_position)]
        journal.close()


def what_was_decided(records: Iterable[dict[str, Any]], below: int) -> Counter[tuple[Any, ...]]:
    """Count decisions by what they say, for subscribers below a number; not by their ids."""
    return Counter(
        (one["subscriber"], one["rule"], one["at_ms"], one["outcome"], one["gate"], one["channel"])
        for one in records
        if one["subscriber"] < below
    )


def breaches(records: Iterable[dict[str, Any]], contacts: Mapping[str, int]) -> list[str]:
    """Return every place where a subscriber was reached more often by a rule than its cap allows."""
    got: dict[tuple[int, str], list[int]] = defaultdict(list)
    for one in records:
        if one["gate"] is None and one["id"] in contacts:
            got[one["subscriber"], one["rule"]].append(contacts[one["id"]])
    found = []
    for (subscriber, rule), times in got.items():
        times.sort()
        if rule in CAPS:
            count, window = CAPS[rule]
            crowded = any(late - early < window for early, late in zip(times, times[count:], strict=False))
        else:
            crowded = max(Counter((at_ms + ZONE_MS) // DAY_MS for at_ms in times).values()) > 1
        if crowded:
            found.append(f"{subscriber} got {rule} at {times}")
    return found


def contacts(data: Path) -> dict[str, int]:
    """Return when each decision reached somebody, or may have, as its gateway's answer said."""
    reached: dict[str, int] = {}
    for number in partitions(data):
        log = Log(data / "log" / str(number), RealDisk(), read_only=True)
        for _, frame in log.read(log.first_position):
            if frame.batch is None:
                continue
            rows = (frame.batch.type == OUTCOME).nonzero()[0]
            for partition, position, row, rule, state, *_, contact_ms in frame.batch.cells[:8, rows].T.tolist():
                if state in (OutcomeState.COMMITTED, OutcomeState.UNKNOWN):
                    reached.setdefault(decision_id(partition, position, row, rule), contact_ms)
        log.close()
    return reached


def outcomes(data: Path) -> dict[str, set[int]]:
    """Return what the log heard of each decision."""
    heard: dict[str, set[int]] = defaultdict(set)
    for number in partitions(data):
        log = Log(data / "log" / str(number), RealDisk(), read_only=True)
        for _, frame in log.read(log.first_position):
            if frame.batch is None:
                continue
            rows = (frame.batch.type == OUTCOME).nonzero()[0]
            for partition, position, row, rule, state in frame.batch.cells[:5, rows].T.tolist():
                heard[decision_id(partition, position, row, rule)].add(state)
        log.close()
    return heard


def messages(engine: Engine) -> Counter[str]:
    """Count the spool's messages by decision."""
    return Counter(one["id"] for one in engine.spooled())
