"""Compressed record batches, unpacked into at most `UNPACKED_BYTES_MAX` bytes, however few they came as.

A batch of a megabyte can unpack to gigabytes, and it stands in the topic for every worker and every start. gzip is
always read; the others where Python's package `cramjam` is installed.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.kafka import BrokerError

UNPACKED_BYTES_MAX = 64 << 20
Bytes = NDArray[np.uint8]

_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEAD_BYTES = 16
_GZIP = 16 + zlib.MAX_WBITS


class UnpackError(ValueError):
    """The batch is broken, or unpacks to too much: nobody will ever read it."""


def unpack(codec: int, packed: bytes) -> Bytes:
    """Return what a batch's records are; UnpackError where they are none, BrokerError where we have no such codec."""
    if codec not in _CODECS:
        raise BrokerError(f"compression={codec} must be one of {', '.join(name for name, _ in _CODECS.values())}")
    name, decode = _CODECS[codec]
    try:
        return decode(packed)
    except UnpackError:
        raise
    except ImportError as fault:
        raise BrokerError(f"compression={name} needs Python's package cramjam") from fault
    except Exception as fault:  # every codec's library raises its own
        raise UnpackError(f"{name} cannot be unpacked to <= {UNPACKED_BYTES_MAX} bytes: {fault}") from fault


def _gzip(packed: bytes) -> Bytes:
    out = bytearray()
    left = packed
    while left:
        member = zlib.decompressobj(_GZIP)
        out += member.decompress(left, UNPACKED_BYTES_MAX + 1 - len(out))
        if len(out) > UNPACKED_BYTES_MAX:
            raise UnpackError(f"gzip unpacks to more than {UNPACKED_BYTES_MAX} bytes")
        if not member.eof:
            raise UnpackError("gzip cannot be unpacked: it is cut off")
        left = member.unused_data
    return np.frombuffer(out, np.uint8)


def _snappy(packed: bytes) -> Bytes:
    from cramjam import snappy  # noqa: PLC0415 it may not be there

    blocks = list(_blocks(packed)) if packed.startswith(_XERIAL) else [packed]
    length = sum(snappy.decompress_raw_len(block) for block in blocks)
    if length > UNPACKED_BYTES_MAX:
        raise UnpackError(f"snappy unpacks to {length} bytes, more than {UNPACKED_BYTES_MAX}")
    return np.frombuffer(b"".join(bytes(snappy.decompress_raw(block)) for block in blocks), np.uint8)


def _blocks(packed: bytes) -> list[bytes]:
    """Return the blocks of a stream of the xerial library: each after its length."""
    found, at = [], _XERIAL_HEAD_BYTES
    while at < len(packed):
        (length,) = struct.unpack_from(">i", packed, at)
        if length <= 0:
            raise UnpackError(f"snappy cannot be unpacked: length of a block={length} must be > 0")
        found.append(packed[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _lz4(packed: bytes) -> Bytes:
    from cramjam import lz4  # noqa: PLC0415 it may not be there

    return _into(lz4.decompress_into, packed)


def _zstd(packed: bytes) -> Bytes:
    from cramjam import zstd  # noqa: PLC0415 it may not be there

    return _into(zstd.decompress_into, packed)


def _into(decompress: Callable[[Any, Any], int], packed: bytes) -> Bytes:
    """Unpack into memory that is only taken as far as it is filled; the library refuses to go beyond its end."""
    out = np.empty(UNPACKED_BYTES_MAX, np.uint8)
    return out[: decompress(packed, out)]


_CODECS: dict[int, tuple[str, Callable[[bytes], Bytes]]] = {
    1: ("gzip", _gzip), 2: ("snappy", _snappy), 3: ("lz4", _lz4), 4: ("zstd", _zstd),
}  # fmt: skip
