"""Rows of the topic `pages`, read strictly: each has the key of its kind, and a value of the form that it must have.

What passes may still be a page that does not unpack, because only the table knows the layout: a partition with such a
page is held (`decide.service`), and the worker goes on with the others.
"""

import struct

import orjson

from state import keys
from state.keys import COUNT, LAYOUT, MARK, PAGE, ROW, SWEEP, TOMBSTONE
from state.page_packing import HEADER_BYTES
from state.page_writer import LENGTHS
from state.pages import decode_layout

OWNER = b"O"
KEY_BYTES = {PAGE: 7, ROW: 11, TOMBSTONE: 15, LAYOUT: 11, SWEEP: 3, COUNT: 3, keys.LENGTHS: 3, OWNER: 3, MARK: 27}
"""How long the keys of each kind are, partition included."""
COUNT_BYTES_MAX = 8
_LENGTHS = struct.Struct("<II")
_LENGTHS_AT = 16


def check_row(partition: bytes, key: bytes | None, value: bytes | None) -> None:
    """ValueError unless a row may stand in the copy of a partition, whose bytes are as in `state.keys`."""
    if key is None or key[:1] not in KEY_BYTES or key[1:3] != partition or len(key) != KEY_BYTES[key[:1]]:
        raise ValueError("the key is none of this partition")
    if value is None:
        return
    kind = key[:1]
    if kind in (PAGE, ROW):
        _check_packed(value)
    elif kind == LAYOUT and decode_layout(value).id != int.from_bytes(key[3:], "big"):
        raise ValueError("the layout must be the one that its key names")
    elif kind == SWEEP:
        _check_sweep(orjson.loads(value))
    elif kind == COUNT and len(value) > COUNT_BYTES_MAX:
        raise ValueError(f"the count has {len(value)} bytes, must have <= {COUNT_BYTES_MAX}")
    elif kind == keys.LENGTHS and len(value) != LENGTHS.size:
        raise ValueError(f"the lengths have {len(value)} bytes, must have {LENGTHS.size}")


def _check_packed(value: bytes) -> None:
    if len(value) < HEADER_BYTES:
        raise ValueError(f"the page has {len(value)} bytes, must have >= {HEADER_BYTES}")
    lanes, texts = _LENGTHS.unpack_from(value, _LENGTHS_AT)
    if lanes + texts > len(value) - HEADER_BYTES:
        raise ValueError(f"the page says that {lanes} of its {len(value)} bytes are columns, and {texts} texts")


def _check_sweep(record: object) -> None:
    if not isinstance(record, list) or len(record) != 2 or type(record[0]) is not int or record[0] < 0:
        raise ValueError("the sweep must be where redo begins, and the partition there")
    if record[1] is not None and not isinstance(record[1], dict):
        raise ValueError("the partition of a sweep must be an object")
