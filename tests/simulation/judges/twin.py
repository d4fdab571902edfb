"""Twins: partitions that fold the durable log from its beginning, in memory, and how two states are compared."""

from dataclasses import replace
from typing import Any, cast

import numpy as np

from engine.flow.fold import FoldParts
from engine.flow.partition import Partition
from state.columns import Table
from state.contacts import Contacts
from tests.fakes.store import MemoryStore
from tests.simulation.life import Size
from tests.state.called import pack_contacts, packed_bytes


class Twin(Partition):
    """A partition in memory only; nothing but `apply` works."""

    def __init__(self, number: int, size: Size, books: Any) -> None:
        limits = replace(size.sizes().fold, memory_subscribers=1 << 20)
        super().__init__(FoldParts(number, limits, MemoryStore(), books), cast("Any", None), cast("Any", None))


def packed(contacts: Contacts, slots: Any) -> Any:
    """Return the contacts of slots as the bytes that a page has of them."""
    out = np.empty(packed_bytes(contacts.arrays, slots), np.uint8)
    pack_contacts(contacts.arrays, slots, out)
    return out


def slots_of(table: Table, clean: Table) -> tuple[Any, Any]:
    """Return the live slots of a table, and those of the same subscribers in the clean one (-1: none)."""
    here = np.flatnonzero(table.subs).astype(np.int32)
    there = np.empty(here.shape[0], np.int32)
    clean.lookup(table.subs[here], there, 0, insert=False)
    return here, there
