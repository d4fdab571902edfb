"""Record batches as a broker keeps them, made by aiokafka's own builder."""

from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from connectors.sources.kafka.batches import Laid, lay_out_batches

LARGE = 1 << 20


def batch(
    values: Sequence[bytes | None],
    base: int,
    *,
    codec: int = 0,
    step: int = 1,
    key: bytes | None = None,
    headers: Sequence[tuple[str, bytes]] = (),
    producer: int = -1,
    transactional: bool = False,
) -> bytes:
    """Return the bytes of a batch; every `step`-th offset from `base` on is there."""
    builder = DefaultRecordBatchBuilder(2, codec, transactional, producer, 0, 0, LARGE)
    for number, value in enumerate(values):
        assert builder.append(step * number, 1_700_000_000_000 + number, key, value, list(headers)) is not None
    made = bytearray(builder.build())
    made[:8] = base.to_bytes(8, "big")
    return bytes(made)


def mark(base: int, producer: int) -> bytes:
    """Return the batch that ends a producer's transaction."""
    made = bytearray(batch([b"\0\0\0\0\0\0"], base, key=b"\0\0\0\0", producer=producer, transactional=True))
    made[22] |= 32
    made[17:21] = calc_crc32c(bytes(made[21:])).to_bytes(4, "big")
    return bytes(made)


def laid(
    data: bytes, first: int = 0, rows_max: int = LARGE, *, single: bool = False, aborted: Sequence[tuple[int, int]] = ()
) -> list[Laid]:
    """Return the pieces that bytes are laid out in."""
    return list(lay_out_batches("raw/2", data, first, rows_max, single=single, aborted=aborted))


def laid_values(values: Sequence[bytes | None], base: int) -> Laid:
    """Return the one piece that holds these values."""
    (one,) = laid(batch(values, base), base, single=True)
    return one
