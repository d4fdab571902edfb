"""Compressed batches that a feed may write to a raw topic: none takes the memory or ends a worker, each is counted."""

import gzip
import importlib.util
import resource
import struct

import pytest
from aiokafka.record.util import calc_crc32c

from connectors.kafka import BrokerError
from connectors.sources.dead_letter import Code
from connectors.sources.kafka import client
from connectors.sources.kafka.batches import PIECE_BYTES
from connectors.sources.kafka.client import records_of
from connectors.sources.kafka.config import RawConfig
from connectors.sources.kafka.unpack import UNPACKED_BYTES_MAX, UnpackError, unpack
from tests.connectors.kafka.record_batches import batch, laid

SOURCE = RawConfig(name="feed", topic="raw")
GZIP, LZ4 = 1, 3
HEADER_BYTES = 61


def repacked(packed: bytes, base: int, records: int, codec: int = GZIP) -> bytes:
    """Return a batch that says to hold so many records, packed as `packed`."""
    made = bytearray(batch([b"x"] * records, base)[:HEADER_BYTES] + packed)
    made[8:12] = struct.pack(">i", len(made) - 12)
    made[21:23] = struct.pack(">h", codec)
    made[17:21] = calc_crc32c(bytes(made[21:])).to_bytes(4, "big")
    return bytes(made)


BOMB = gzip.compress(gzip.compress(b""), 1) + gzip.compress(bytes(UNPACKED_BYTES_MAX), 9) + gzip.compress(b"x")


@pytest.mark.parametrize(
    "packed",
    [BOMB, b"garbage", gzip.compress(b"x" * 500)[:-9], gzip.compress(b"x") + b"garbage"],
    ids=["bomb", "garbage", "cut", "followed-by-garbage"],
)
def test_a_batch_that_cannot_be_unpacked_is_one_dead_letter_and_the_records_around_it_are_read(packed: bytes) -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = batch([b"a", b"b"], 100) + repacked(packed, 102, 3) + batch([b"c"], 105)
    pieces = laid(data, 100, single=True)
    letters = [one for piece in pieces for one in records_of(SOURCE, 0, piece, 5_000_000).dead]
    assert [(one.code, one.key, one.offset, one.value) for one in letters] == [
        (Code.BATCH_UNREADABLE, "raw/0", 102, "3 records")
    ]
    assert [bytes(one.text[: one.length]) for one in pieces if not one.refused] == [b"a\nb\n", b"c\n"]
    assert pieces[-1].next_offset == 106
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    assert grown_mb < 200, grown_mb


def test_a_codec_that_is_not_installed_is_said_and_loses_nothing() -> None:
    if importlib.util.find_spec("cramjam") is not None:
        assert bytes(unpack(LZ4, _lz4(b"x" * 500))) == b"x" * 500
        with pytest.raises(UnpackError):
            unpack(LZ4, _lz4(bytes(UNPACKED_BYTES_MAX + 1)))
        return
    with pytest.raises(BrokerError, match=r"raw/2, batch at offset 7: compression=lz4 needs Python.s package cramjam"):
        laid(repacked(b"x", 7, 1, LZ4))


def _lz4(data: bytes) -> bytes:
    from cramjam import lz4  # noqa: PLC0415 it may not be there

    return bytes(lz4.compress(data))


def test_batches_that_unpack_to_much_are_read_in_pieces() -> None:
    one = b"z" * 500_000
    data = b"".join(batch([one, one], base, codec=GZIP) for base in range(0, 100, 2))
    pieces = laid(data, single=True)

    assert len(data) < 200_000
    assert max(piece.length for piece in pieces) <= PIECE_BYTES + 2 * len(one) + 2
    assert sum(piece.offsets.shape[0] for piece in pieces) == 100
    assert client.ANSWER_BYTES <= 4 * PIECE_BYTES
