"""Packed files of every kind are read like plain ones; cut, broken and greedy ones are faults, and end nothing."""

import bz2
import gzip
import lzma
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from cramjam import zstd

from connectors.sources.files.client import FilesSource
from connectors.sources.files.packing import unpacked_start
from tests.connectors.sources.test_files import config, read_all, text

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": lambda body: bytes(zstd.compress(body)),
}  # fmt: skip
BODY = b"".join(b"%d\n" % number for number in range(30_000))


@pytest.mark.parametrize("ending", PACKERS)
def test_a_packed_file_is_read_once_from_where_it_was_left(tmp_path: Path, ending: str) -> None:
    pack = PACKERS[ending]
    (tmp_path / f"a{ending}").write_bytes(pack(BODY[:9000]) + pack(BODY[9000:]))
    positions: dict[str, int] = {}
    source = FilesSource(config(tmp_path), {}, drain=True)
    chunk = source.next_chunk(1 << 12)
    assert chunk is not None
    positions[chunk.key] = chunk.end
    source.close()

    lines = text(chunk).splitlines() + read_all(tmp_path, positions)

    assert b"\n".join(lines) + b"\n" == BODY
    assert read_all(tmp_path, positions) == []
    assert unpacked_start(f"a{ending}", pack(BODY), 4096) == BODY[:4096]


@pytest.mark.parametrize("ending", PACKERS)
def test_a_packed_file_that_is_cut_or_broken_is_a_fault(tmp_path: Path, ending: str) -> None:
    packed = PACKERS[ending](os.urandom(60_000).hex().encode() + b"\n" + BODY)
    broken = b"?" + packed[1:]
    for body in (packed[: len(packed) // 2], packed[:-1], packed[:5], broken, packed + b"junk"):
        (tmp_path / f"a{ending}").write_bytes(body)
        source = FilesSource(config(tmp_path), {}, drain=True)
        while source.next_chunk(1 << 20) is not None:
            pass
        assert source.exhausted
        assert len(source.faults) == 1
        source.close()


@pytest.mark.parametrize("ending", PACKERS)
def test_a_bomb_takes_no_more_memory_than_its_blocks(tmp_path: Path, ending: str) -> None:
    line = b"0" * 1000 + b"\n"
    (tmp_path / f"a{ending}").write_bytes(PACKERS[ending](line * 20_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = FilesSource(config(tmp_path), {}, drain=True)
    read = 0
    while (chunk := source.next_chunk(1 << 20)) is not None:
        read += chunk.length
        source.recycle(chunk)
    source.close()

    assert read == 20_000 * len(line)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 18_000  # KiB, of 20 MB


def test_an_xz_file_that_asks_for_much_memory_is_a_fault(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    (tmp_path / "a.xz").write_bytes(lzma.compress(b"1\n", filters=filters))

    source = FilesSource(config(tmp_path), {}, drain=True)

    assert source.next_chunk(1 << 20) is None
    assert "Memory usage limit exceeded" in source.faults[0].reason
    source.close()
