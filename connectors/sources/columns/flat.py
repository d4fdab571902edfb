"""The tables of a flatbuffer, read with every bound checked: enough to look at an Arrow message before it is believed.

A place outside of the buffer raises `struct.error` or IndexError; nothing is followed further than it is asked.
"""

import struct

_U16, _I32, _U32, _I64, _U8, _I16 = (struct.Struct(f"<{letter}") for letter in "HiIqBh")


class Table:
    """One table of a flatbuffer; a field that is not there reads as 0 or None."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self._place = place
        self._fields = place - _at(_I32, data, place)
        self._size = _at(_U16, data, self._fields)

    @classmethod
    def root(cls, data: bytes) -> "Table":
        """Return the table that a buffer begins with."""
        return cls(data, _at(_U32, data, 0))

    def byte(self, number: int) -> int:
        """Return an unsigned byte."""
        return self._number(_U8, number)

    def short(self, number: int) -> int:
        """Return a signed number of two bytes."""
        return self._number(_I16, number)

    def long(self, number: int) -> int:
        """Return a signed number of eight bytes."""
        return self._number(_I64, number)

    def table(self, number: int) -> "Table | None":
        """Return the table that a field refers to."""
        place = self._field(number)
        return Table(self._data, place + _at(_U32, self._data, place)) if place else None

    def pairs(self, number: int) -> list[tuple[int, int]]:
        """Return a vector of structs of two numbers of eight bytes each."""
        place = self._field(number)
        if not place:
            return []
        place += _at(_U32, self._data, place)
        count = _at(_U32, self._data, place)
        if 16 * count > len(self._data):
            raise IndexError(f"vector of {count} structs must lie within {len(self._data)} bytes")
        return [
            (_at(_I64, self._data, at), _at(_I64, self._data, at + 8))
            for at in range(place + 4, place + 4 + 16 * count, 16)
        ]

    def _number(self, form: struct.Struct, number: int) -> int:
        place = self._field(number)
        return _at(form, self._data, place) if place else 0

    def _field(self, number: int) -> int:
        slot = 4 + 2 * number
        offset = _at(_U16, self._data, self._fields + slot) if slot < self._size else 0
        return self._place + offset if offset else 0


def _at(form: struct.Struct, data: bytes, place: int) -> int:
    if place < 0:
        raise IndexError(f"place={place} must be >= 0")
    return int(form.unpack_from(data, place)[0])
