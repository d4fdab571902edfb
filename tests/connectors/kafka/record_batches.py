"""Record batches as a broker keeps them, made by aiokafka's own builder."""

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from connectors.sources.kafka.batches import lay_out_batches

LARGE = 1 << 20


def batch(values, base, *, codec=0, step=1, key=None, headers=(), producer=-1, transactional=False):
    """Return the bytes of a batch; every `step`-th offset from `base` on is there."""
    builder = DefaultRecordBatchBuilder(2, codec, transactional, producer, 0, 0, LARGE)
    for number, value in enumerate(values):
        assert builder.append(step * number, 1_700_000_000_000 + number, key, value, list(headers)) is not None
    made = bytearray(builder.build())
    made[:8] = base.to_bytes(8, "big")
    return bytes(made)


def mark(base, producer):
    """Return the batch that ends a producer's transaction."""
    made = bytearray(batch([b"\0\0\0\0\0\0"], base, key=b"\0\0\0\0", producer=producer, transactional=True))
    made[22] |= 32
    made[17:21] = calc_crc32c(bytes(made[21:])).to_bytes(4, "big")
    return bytes(made)


def laid(data, first=0, rows_max=LARGE, *, single=False, aborted=()):
    """Return the pieces that bytes are laid out in."""
    return list(lay_out_batches("raw/2", data, first, rows_max, single=single, aborted=aborted))


def laid_values(values, base):
    """Return the one piece that holds these values."""
    (one,) = laid(batch(values, base), base, single=True)
    return one
