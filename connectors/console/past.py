"""What pages show of the audit log: its newest lines, read on another thread and no further back than a bound."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from connectors.audit import Entry, read_entries

READ_MAX = 10_000
"""Entries that one page looks at; `opportune audit` reads all."""
SWITCHING = frozenset({"pause", "resume", "kill"})


async def newest(folder: Path, words: str, count_max: int) -> list[Entry]:
    """Return the newest entries in which these words stand, in any case."""

    def read() -> list[Entry]:
        found = (one for one in _recent(folder) if holds(one, words))
        return list(islice(found, count_max))

    return await asyncio.to_thread(read)


async def of_switches(folder: Path) -> dict[tuple[str, str], Entry]:
    """Return the last pause, resume or kill that was answered, by kind and name."""

    def read() -> dict[tuple[str, str], Entry]:
        found: dict[tuple[str, str], Entry] = {}
        for one in _recent(folder):
            kind, _, name = one.act.what.partition(" ")
            if one.act.act in SWITCHING and one.answer.startswith("touched"):
                found.setdefault((kind, name), one)
        return found

    return await asyncio.to_thread(read)


def holds(entry: Entry, words: str) -> bool:
    """Return whether some text of an entry holds these words, in any case."""
    texts = (*entry.record().values(),)
    return not words or any(words.lower() in one.lower() for one in texts if isinstance(one, str))


def _recent(folder: Path) -> Iterator[Entry]:
    return islice(read_entries(folder), READ_MAX)
