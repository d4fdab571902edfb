"""Subscribers that left memory: their rows in the store, and the way back.

Going to sleep is one batch: the row, its marks where deadlines are open (`state.sleeping_timers`), and a tombstone in
the name of the page that the subscriber left. The page itself
is not written for that. Its next flush removes its tombstones and the rows of those that woke up in it (`flushed`), so
a row that was woken stays in the store until the page that now holds the subscriber is there. Why a crash at any moment
leaves a state that can be recovered is said in `state.flusher`.
"""

import numpy as np
from numpy.typing import NDArray

from state.columns import PAGE_SLOTS, Table
from state.contacts import Contacts
from state.keys import Keys
from state.layouts import StoredLayouts
from state.page_writer import Job, PageWriter
from state.pages import PageError, Pages, packed_layout
from state.sleeping_timers import SleepingTimers
from state.store import Store, Write

ROWS_A_BATCH = 256

Int64s = NDArray[np.int64]


class Sleepers:
    """Those asleep of one partition; belongs to the fold thread.

    `stamps`, where a method takes them, are of each slot how far redo may have left it ahead; None when redo is done.
    """

    def __init__(
        self,
        table: Table,
        contacts: Contacts,
        pages: Pages,
        layouts: StoredLayouts,
        store: Store,
        keys: Keys,
        writer: PageWriter,
        timers: SleepingTimers,
    ) -> None:
        self._table = table
        self._contacts = contacts
        self._pages = pages
        self._layouts = layouts
        self._store = store
        self._keys = keys
        self._writer = writer
        self._timers = timers
        self._marks: dict[int, list[bytes]] = {}  # of those that woke up, as long as their rows are stored
        self._stored = 0  # sleeping rows in the store once every job is written
        self._woken: dict[int, set[int]] = {}  # page: subscribers that woke up in it, their rows still stored
        self._left: dict[int, set[int]] = {}  # page: subscribers that left it to sleep since it was flushed

    @property
    def count(self) -> int:
        """Subscribers asleep."""
        return self._stored - sum(map(len, self._woken.values()))

    def restore(self, count: int) -> None:
        """Set how many rows the store holds, at a start."""
        self._stored = count

    def mark_left(self, page: int, subscriber: int) -> None:
        """Remember a tombstone that the store holds, so that the page's next flush removes it."""
        self._left.setdefault(page, set()).add(subscriber)

    def put_to_sleep(self, slots: NDArray[np.int32], position: int, stamps: Int64s | None) -> None:
        """Free `slots`, keeping their subscribers as rows in the store.

        Every event up to `position` is folded and none after it: not a part of the frame that is being folded.
        """
        for start in range(0, slots.shape[0], ROWS_A_BATCH):
            self._store_rows(slots[start : start + ROWS_A_BATCH], position, stamps)
        self._contacts.release(slots)
        self._table.remove(slots)

    def _store_rows(self, slots: NDArray[np.int32], position: int, stamps: Int64s | None) -> None:
        """Enqueue one batch of rows with their tombstones."""
        subscribers = self._table.subs[slots].tolist()
        packed = self._pages.pack_rows(slots, position, stamps)
        writes = self._layouts.writes()
        marks: list[bytes] = []
        for subscriber, own in zip(subscribers, self._timers.marks_of(slots, subscribers), strict=True):
            marks += own
            # Those of the sleep before go first: a batch is applied in its order, and some may be the same.
            writes += [(mark, None) for mark in self._marks.pop(subscriber, ())]
        writes += [(mark, b"") for mark in marks]
        self._timers.slept(marks)
        for subscriber, page, row in zip(subscribers, (slots // PAGE_SLOTS).tolist(), packed, strict=True):
            writes.append((self._keys.row(subscriber), row))
            writes.append((self._keys.tombstone(page, subscriber), b""))
            self.mark_left(page, subscriber)
            woken = self._woken.get(page, set())
            if subscriber in woken:
                woken.remove(subscriber)
            else:
                self._stored += 1
        writes.append(self._count_write())
        rows = dict(zip(subscribers, packed, strict=True))
        self._writer.enqueue(Job(position, writes, rows=rows, marks=marks))

    def wake(self, subscribers: Int64s, slots: NDArray[np.int32], position: int, stamps: Int64s | None) -> Int64s:
        """Fill the slots of those that were asleep; return each one's stamp, -1 for a subscriber that is really new.

        `slots` were inserted for the `subscribers` by a lookup for `position` and are empty. `stamps` of the slots are
        set to what is returned.
        """
        found = np.full(subscribers.shape[0], -1, np.int64)
        if self._stored > 0:
            self._fill(subscribers, slots, found, redoing=stamps is not None)
            awake = np.flatnonzero(found >= 0)
            if stamps is None and awake.shape[0] and found.max() >= position:
                late = int(found.argmax())
                raise PageError(f"subscriber={subscribers[late]} woken at {position} was put to sleep at {found[late]}")
            pages = (slots[awake] // PAGE_SLOTS).tolist()
            woken = subscribers[awake].tolist()
            marks = self._timers.marks_of(slots[awake], woken)
            for subscriber, page, own in zip(woken, pages, marks, strict=True):
                self._woken.setdefault(page, set()).add(subscriber)
                if own:
                    self._marks[subscriber] = own
        if stamps is not None:
            stamps[slots] = found
        return found

    def _fill(self, subscribers: Int64s, slots: NDArray[np.int32], found: Int64s, *, redoing: bool) -> None:
        """Load the rows that there are into their slots and write their stamps to `found`."""
        rows = self._find_rows(subscribers.tolist())
        by_layout: dict[int, list[int]] = {}
        for i, row in enumerate(rows):
            if row is not None:
                by_layout.setdefault(packed_layout(row), []).append(i)
        for layout_id, chosen in by_layout.items():
            layout = self._layouts.get(layout_id)
            if redoing:
                self._pages.adopt(layout)  # redo may not have come to the birth of a column that the row has
            self._pages.layout()
            packed = [row for row in (rows[i] for i in chosen) if row is not None]
            found[chosen] = self._pages.unpack_rows(slots[chosen], packed, layout)

    def _find_rows(self, subscribers: list[int]) -> list[bytes | None]:
        """Return the sleeping row of each; first those not yet written, because the writer moves them to the store."""
        rows = [self._writer.waiting_row(subscriber) for subscriber in subscribers]
        missing = [i for i, row in enumerate(rows) if row is None]
        found = self._store.multi_get([self._keys.row(subscribers[i]) for i in missing])
        for i, row in zip(missing, found, strict=True):
            rows[i] = row
        return rows

    def has_mark(self, subscriber: int, mark: bytes) -> bool:
        """Tell whether a mark is of a subscriber that woke up, and goes with the row."""
        return mark in self._marks.get(subscriber, ())

    def flushed(self, page: int) -> list[Write]:
        """Return the end of a page's tombstones and of the rows woken up in it, for the batch that holds the page."""
        writes: list[Write] = [
            (self._keys.tombstone(page, subscriber), None) for subscriber in sorted(self._left.pop(page, ()))
        ]
        woken = self._woken.pop(page, None)
        if woken:
            for subscriber in sorted(woken):
                writes.append((self._keys.row(subscriber), None))
                writes += [(mark, None) for mark in self._marks.pop(subscriber, ())]
            self._stored -= len(woken)
            writes.append(self._count_write())
        return writes

    def _count_write(self) -> Write:
        return (self._keys.count, self._stored.to_bytes(8, "big"))
