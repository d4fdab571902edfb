"""Keys of the store: a kind, the partition, and what of the partition it is.

    P partition page                    a page of 64 neighbouring slots
    S partition subscriber              the row of a sleeping subscriber
    T partition page subscriber         a tombstone: the subscriber left this page to sleep
    L partition layout                  the layout that packed bytes name
    M partition                         the record of the last sweep: where redo begins, and the partition's snapshot
    J partition                         how long log and journal were, durably, when pages were written last
    C partition                         how many rows of sleeping subscribers there are
    D partition timer second subscriber     a mark: the sleeping subscriber has a deadline, armed in this second

Numbers are big-endian, so that a scan of a kind is in their order. What the values look like is in `state.pages` and
`state.flusher`. A store that keeps rows of its own beside these takes other kinds: see `engine.runtimes.cluster`.
"""

import struct

PAGE, ROW, TOMBSTONE, LAYOUT, SWEEP, COUNT, LENGTHS, MARK = b"P", b"S", b"T", b"L", b"M", b"C", b"J", b"D"
KINDS = (PAGE, ROW, TOMBSTONE, LAYOUT, SWEEP, COUNT, LENGTHS, MARK)

_PARTITION_BYTES = 2
_HEAD_BYTES = 1 + _PARTITION_BYTES
_PLACE = struct.Struct(">IQ")
_MARK = struct.Struct(">QQ")
_TIMER_BYTES = 8


def partition_bytes(partition: int) -> bytes:
    """Return the partition as every key has it after its kind."""
    return partition.to_bytes(_PARTITION_BYTES, "big")


class Keys:
    """Makes and reads the keys of one partition; `pages` and `tombstones` are prefixes to scan."""

    def __init__(self, partition: int) -> None:
        of_partition = partition_bytes(partition)
        self.pages = PAGE + of_partition
        self.tombstones = TOMBSTONE + of_partition
        self.sweep = SWEEP + of_partition
        self.count = COUNT + of_partition
        self.lengths = LENGTHS + of_partition
        self._marks = MARK + of_partition
        self._rows = ROW + of_partition
        self._layouts = LAYOUT + of_partition

    def page(self, page: int) -> bytes:
        """Return the key of a page."""
        return self.pages + page.to_bytes(4, "big")

    def row(self, subscriber: int) -> bytes:
        """Return the key of a sleeping subscriber's row."""
        return self._rows + subscriber.to_bytes(8, "big")

    def tombstone(self, page: int, subscriber: int) -> bytes:
        """Return the key that says that a subscriber left a page to sleep."""
        return self.tombstones + _PLACE.pack(page, subscriber)

    def marks(self, timer: int) -> bytes:
        """Return the prefix of the marks of a timer, a number of 64 bits."""
        return self._marks + timer.to_bytes(_TIMER_BYTES, "big")

    def mark(self, timer: int, armed_s: int, subscriber: int) -> bytes:
        """Return the key that says that a subscriber who sleeps has a deadline of a timer, armed in a second."""
        return self.marks(timer) + _MARK.pack(armed_s, subscriber)

    def layout(self, layout_id: int) -> bytes:
        """Return the key of a layout."""
        return self._layouts + layout_id.to_bytes(8, "big")


def page_of(key: bytes) -> int:
    """Return the page that the key of a page names."""
    return int.from_bytes(key[_HEAD_BYTES:], "big")


def place_of(key: bytes) -> tuple[int, int]:
    """Return page and subscriber that the key of a tombstone names."""
    page, subscriber = _PLACE.unpack(key[_HEAD_BYTES:])
    return page, subscriber


def marked(key: bytes) -> tuple[int, int]:
    """Return the second and the subscriber that a mark names."""
    armed_s, subscriber = _MARK.unpack(key[_HEAD_BYTES + _TIMER_BYTES :])
    return armed_s, subscriber
