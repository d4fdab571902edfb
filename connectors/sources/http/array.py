"""A JSON array as a body: its objects become lines, in place.

A body is an array when its first sign is `[` and the next one `{` or `]`; a lone line `[1,2]` of an NDJSON body stays
the dead letter that it is. Line ends within the array become blanks, which they are in JSON; the brackets become blanks
and each comma between two objects a line end, so nothing is copied and no object is made. What stands in the objects
is judged by the decoder, line by line.
"""

from connectors.sources.contract import Bytes
from connectors.sources.http.body import BodyError
from state.jit import kernel, routine
from state.raw import load_u8, store_u8

_BOM = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n"
_LOOK_BYTES = 1 << 12
_CUT, _MORE = -1, -2


def array_to_lines(data: Bytes, length: int) -> None:
    """Turn `data[:length]` into lines if it is a JSON array; BodyError when that is cut or something follows it."""
    start = _array_start(data, length)
    if start < 0:
        return
    found = _split(data.ctypes.data, start, length)
    if found == _CUT:
        raise BodyError("JSON array is not closed")
    if found == _MORE:
        raise BodyError("something follows the JSON array")


def _array_start(data: Bytes, length: int) -> int:
    """Return the place of the opening bracket; negative where the body is no array."""
    text = data[: min(length, _LOOK_BYTES)].tobytes()
    signs = text.removeprefix(_BOM).lstrip(_BLANKS)
    if not signs.startswith(b"[") or signs[1:].lstrip(_BLANKS)[:1] not in (b"{", b"]"):
        return -1
    return len(text) - len(signs)


@kernel
def _split(address: int, start: int, length: int) -> int:
    """Split the array at `start`; return 0, _CUT or _MORE."""
    depth = 0
    quoted = False
    i = start
    while i < length:
        sign = load_u8(address + i)
        if sign == 34:
            quoted = not quoted
        elif quoted:
            i += sign == 92
        elif sign in (10, 13):
            store_u8(address + i, 32)
        elif sign in (91, 123):
            depth += 1
        elif sign in (93, 125):
            depth -= 1
            if depth == 0:
                break
        elif sign == 44 and depth == 1:
            store_u8(address + i, 10)
        i += 1
    if i >= length:
        return _CUT
    store_u8(address + start, 32)
    store_u8(address + i, 32)
    return 0 if _blank(address + i, address + length) else _MORE


@routine
def _blank(p: int, end: int) -> bool:
    """Return whether only blanks and line ends are left."""
    while p < end and load_u8(p) in (9, 10, 13, 32):
        p += 1
    return p >= end
