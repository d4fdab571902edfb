"""Who stands at the counter: a subscriber's attributes as a clerk may know them.

The state belongs to the workers, so it is asked through the pipeline. Brand, tenure and handset are read from the
attributes named in `NAMES`, where the book declares them; anything else stays where it is.
"""

import asyncio
from typing import Any

from connectors.desk.model import Customer
from engine.core import Core
from engine.pipeline import Pipeline
from engine.records import plain

NAMES = {"brand": "brand", "tenure": "tenure_months", "handset": "handset"}
"""What the page shows, and the attribute it is read from."""

MONTHS_A_YEAR = 12


async def customer_of(pipeline: Pipeline, core: Core, subscriber: int) -> Customer:
    """Return what is known of a subscriber; empty where nothing is."""
    known = await attributes_of(pipeline, core, subscriber)
    return Customer(
        brand=str(known.get(NAMES["brand"], ""))[:40],
        tenure=tenure(known.get(NAMES["tenure"])),
        handset=str(known.get(NAMES["handset"], ""))[:60],
    )


async def attributes_of(pipeline: Pipeline, core: Core, subscriber: int) -> dict[str, Any]:
    """Return the known attributes of a subscriber, by name."""
    cells = await asyncio.wrap_future(pipeline.ask(subscriber, lambda partition: partition.attributes(subscriber)))
    active = core.active
    assert active is not None
    features = {feature.name: feature for feature in active.book.features}
    return {
        name: plain(cell, features[name].value_kind, features[name].members, core.strings)
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
