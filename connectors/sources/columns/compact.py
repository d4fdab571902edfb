"""The header of a Parquet page in Thrift's compact form, read with every bound checked: its sizes and its encoding.

A place outside of the bytes raises IndexError.
"""

from dataclasses import dataclass

_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)
_DEPTH_MAX = 16
_PAGES = {5: 2, 7: 2, 8: 4}
"""Fields that describe a page (data, dictionary, data of version 2), and in them the field of the encoding."""


@dataclass(slots=True)
class PageHeader:
    """What a page says of itself: bytes as they lie there and unpacked, how values are written; `length`: its own."""

    packed: int = -1
    unpacked: int = -1
    encoding: int = -1
    length: int = 0


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise IndexError("a number has more than 64 bits")

    def number(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def fields(self, depth: int) -> "list[tuple[int, int | dict[int, int]]]":
        """Return the fields of a struct that are whole numbers, or structs of such; the others are passed over."""
        found: list[tuple[int, int | dict[int, int]]] = []
        number = 0
        while (head := self.byte()) != _STOP:
            number = number + (head >> 4) if head >> 4 else self.number()
            kind = head & 15
            if kind in (_I16, _I32, _I64):
                found.append((number, self.number()))
            elif kind == _STRUCT:
                inner = self.fields(self.deeper(depth))
                found.append((number, {one: value for one, value in inner if isinstance(value, int)}))
            else:
                self.skip(kind, depth)
        return found

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    @staticmethod
    def deeper(depth: int) -> int:
        if depth == _DEPTH_MAX:
            raise IndexError(f"structs are nested more than {_DEPTH_MAX} deep")
        return depth + 1

    def skip(self, kind: int, depth: int) -> None:
        if kind == _BYTE:
            self.at += 1
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BINARY:
            length = self.varint()
            self.at += length
        elif kind in (_LIST, _SET):
            head = self.byte()
            count = head >> 4 if head >> 4 != 15 else self.varint()
            for _ in range(count):
                self.element(head & 15, self.deeper(depth))
        elif kind not in (_TRUE, _FALSE):
            raise IndexError(f"a field of kind {kind} stands in a page's header")

    def element(self, kind: int, depth: int) -> None:
        if kind in (_I16, _I32, _I64):
            self.varint()
        elif kind == _STRUCT:
            self.fields(self.deeper(depth))
        elif kind in (_TRUE, _FALSE):
            self.at += 1
        else:
            self.skip(kind, depth)


def page_header(data: bytes) -> PageHeader:
    """Return the header that `data` begins with; IndexError where there is none in it."""
    reader = _Reader(data)
    found = PageHeader()
    for number, value in reader.fields(0):
        if isinstance(value, dict):
            if number in _PAGES:
                found.encoding = value.get(_PAGES[number], -1)
        elif number == 2:
            found.unpacked = value
        elif number == 3:
            found.packed = value
    found.length = reader.at
    if reader.at > len(data):
        raise IndexError("a page's header is cut off")
    return found
