"""Record batches as a broker keeps them, made by aiokafka's own builder."""

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from connectors.sources.kafka.batches import lay_out_batches

LARGE = 1 << 20


def batch(values, base, *, codec=0, step=1, key=None, headers=()):
    """Return the bytes of a batch; every `step`-th offset from `base` on is there."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, LARGE)
    for number, value in enumerate(values):
        assert builder.append(step * number, 1_700_000_000_000 + number, key, value, list(headers)) is not None
    made = bytearray(builder.build())
    made[:8] = base.to_bytes(8, "big")
    return bytes(made)


def laid(data, first=0, rows_max=LARGE, *, single=False):
    """Return the pieces that bytes are laid out in."""
    return list(lay_out_batches("raw/2", data, first, rows_max, single=single))


def laid_values(values, base):
    """Return the one piece that holds these values."""
    (one,) = laid(batch(values, base), base, single=True)
    return one
