"""The customer at the counter: a subscriber's attributes as a clerk may know them.

The state belongs to its partition: here it is asked through the pipeline, in a cluster the owner of the partition sends
it with the visit. Brand, tenure and handset are read from the attributes named in `NAMES`, where the book declares
them; anything else stays where it is.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from connectors.desk.model import Customer
from engine.answers.records import plain
from engine.flow.core import Core
from engine.flow.pipeline import Pipeline
from rules.model import Book
from state.texts import Chained, Lookup

NAMES = {"brand": "brand", "tenure": "tenure_months", "handset": "handset"}
"""What the page shows, and the attribute it is read from."""

MONTHS_A_YEAR = 12


async def customer_of(pipeline: Pipeline, core: Core, subscriber: int) -> Customer:
    """Return what is known of a subscriber; empty where nothing is."""
    known = await asyncio.wrap_future(pipeline.ask(subscriber, lambda partition: partition.attributes(subscriber)))
    assert core.active is not None
    return described(known.cells, core.active.book, Chained(known.texts, core.strings))


def described(cells: Mapping[str, int], book: Book, texts: Lookup) -> Customer:
    """Return what attribute cells, by name, say of a customer."""
    known = _plain(cells, book, texts)
    return Customer(
        brand=str(known.get(NAMES["brand"], ""))[:40],
        tenure=tenure(known.get(NAMES["tenure"])),
        handset=str(known.get(NAMES["handset"], ""))[:60],
    )


def _plain(cells: Mapping[str, int], book: Book, texts: Lookup) -> dict[str, Any]:
    features = {feature.name: feature for feature in book.features}
    return {
        name: plain(cell, features[name].value_kind, features[name].members, texts)
        for name, cell in cells.items()
        if name in features
    }


def tenure(months: object) -> str:
    """Say for how long somebody has been a customer."""
    if not isinstance(months, int):
        return ""
    years, rest = divmod(months, MONTHS_A_YEAR)
    words = f"{years} 年" if years else ""
    return f"在网 {words}{f' {rest} 个月' if rest or not years else ''}".replace("  ", " ").rstrip()
