"""Loads one partition's pages from the store into its empty table.

A page is unpacked whole; then those that went to sleep after it was flushed, which a tombstone names, are taken out of
it again. A subscriber's stamp is its page's unless the page says otherwise for its slot, and -1 where a slot is free: a
subscriber that redo puts there is new, whatever the page's stamp is.
"""

import numpy as np
from numpy.typing import NDArray

from state.columns import PAGE_SLOTS, Table
from state.contacts import Contacts
from state.keys import Keys, page_of, place_of
from state.layouts import StoredLayouts
from state.pages import PageError, Pages, packed_layout
from state.sleepers import Sleepers
from state.store import Store


def load_pages(
    store: Store, keys: Keys, table: Table, contacts: Contacts, pages: Pages, layouts: StoredLayouts, sleepers: Sleepers
) -> NDArray[np.int64]:
    """Load every page; return int64[capacity], the stamp of each slot, -1 for a free one.

    Raises PageError when pages do not read back, or hold more subscribers than the table has room for.
    """
    stamps = np.zeros(table.capacity, np.int64)
    adopted: set[int] = set()
    pages.layout()
    for key, page in store.scan(keys.pages):
        number = page_of(key)
        check_room(table, number)
        layout = layouts.get(packed_layout(page))
        if layout.id not in adopted:
            adopted.add(layout.id)
            pages.adopt(layout)
            pages.layout()
        pages.unpack(number, page, layout, stamps)
    table.dirty[:] = 0
    apply_tombstones(store, keys, table, contacts, sleepers)
    stamps[table.subs == 0] = -1
    table.rebuild()
    return stamps


def apply_tombstones(store: Store, keys: Keys, table: Table, contacts: Contacts, sleepers: Sleepers) -> None:
    """Take those that went to sleep out of the pages that have not been flushed since."""
    found = [place_of(key) for key, _ in store.scan(keys.tombstones)]
    if not found:
        return
    places = np.array(found, np.int64)
    check_room(table, int(places[:, 0].max()))
    for page, subscriber in found:
        sleepers.mark_left(page, subscriber)
    # A subscriber stands at most once in a page, so the first match of a row is the only one. No match: the page was
    # not flushed between the subscriber's coming and its going.
    rows = table.subs.reshape(-1, PAGE_SLOTS)[places[:, 0]] == places[:, 1:]
    slots = (places[:, 0] * PAGE_SLOTS + rows.argmax(axis=1))[rows.any(axis=1)].astype(np.int32)
    table.dirty[places[:, 0]] = 1
    contacts.release(slots)
    for array in (table.subs, table.seen, *(info.array for info in table.layout())):
        array[slots] = 0


def check_room(table: Table, page: int) -> None:
    """Refuse a page beyond the end of the table."""
    stored = (page + 1) * PAGE_SLOTS
    if stored > table.capacity:
        raise PageError(f"room for subscribers={table.capacity} must be >= {stored}, which the store holds")
